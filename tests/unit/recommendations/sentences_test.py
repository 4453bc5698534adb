"""Splitting texts into sentences, and choosing those that are compared."""

import numpy as np

from apps.recommendations.sentences import MAX_TEXTS, SEEKER_SENTENCES, nearest_sentences, sentences_of

TEXT = """# Your duties
- Plans the audits of U.S. agencies. Writes reports, e.g. for boards.
* Leads [a team](http://example.org) of **five** people
1. Files taxes every year!
\u6771\u4eac\u306e\u4f1a\u793e\u3067\u3059\u3002\u82f1\u8a9e\u304c\u5fc5\u8981\u3067\u3059\u3002
"""


def test_sentences_are_items_of_lists_and_parts_between_full_stops_without_markup() -> None:
    assert sentences_of(TEXT) == [
        "Plans the audits of U.S. agencies.",
        "Writes reports, e.g. for boards.",
        "Leads a team of five people",
        "Files taxes every year!",
        "\u6771\u4eac\u306e\u4f1a\u793e\u3067\u3059\u3002",
        "\u82f1\u8a9e\u304c\u5fc5\u8981\u3067\u3059\u3002",
    ]


def test_long_page_embeds_a_bounded_number_of_texts_in_one_call() -> None:
    calls: list[int] = []

    def embed(texts: list[str]) -> np.ndarray:
        calls.append(len(texts))
        return np.ones((len(texts), 1), np.float32)

    rows = {key: [f"row {key} sentence {number} here" for number in range(40)] for key in range(100)}
    pairs = nearest_sentences(rows, [f"own sentence {number} here" for number in range(40)], embed)
    assert pairs.keys() == rows.keys()
    assert calls == [MAX_TEXTS + SEEKER_SENTENCES]
    assert nearest_sentences({1: []}, ["nobody has words"], embed) == {}
