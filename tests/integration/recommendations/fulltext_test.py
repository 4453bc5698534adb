"""The words of records, and finding and scoring rows by them."""

from math import log, sqrt
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from apps.embeddings.models import Invalidation
from apps.embeddings.registry import default_model
from apps.embeddings.runs import request_run
from apps.postings.inputs import PostingInput
from apps.postings.models import Posting
from apps.postings.services import upsert_postings
from apps.recommendations import fulltext
from apps.recommendations.models import PostingText
from apps.recommendations.retrieval import keys_of
from apps.recommendations.text_index import Indexed, index_texts

pytestmark = pytest.mark.django_db


def put(*rows: dict[str, Any]) -> None:
    upsert_postings([PostingInput.model_validate(row) for row in rows])
    index_texts("posting", limit=1_000)


def analyze() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE recommendations_postingtext")


def search(text: str, **filters: Any) -> dict[str, float]:
    """Scores by external id, the best first."""
    query = fulltext.query_of(fulltext.words_of_text(text, kind="posting"), kind="posting")
    with transaction.atomic():
        found = fulltext.find(query, matching=keys_of(Posting.objects.filter(**filters)), k=10)
    scores = fulltext.scores(query, found.idf, found.rows)
    names = dict(Posting.objects.values_list("pk", "external_id"))
    return {names[row]: round(score, 4) for row, score in sorted(scores.items(), key=lambda each: -each[1])}


def test_words_are_pending_until_they_are_those_of_the_row() -> None:
    put({"external_id": "a", "title": "Welder"}, {"external_id": "b", "title": "Baker"})
    assert index_texts("posting", limit=10) == Indexed(0, complete=True)
    Posting.objects.filter(external_id="a").update(status="closed")
    assert index_texts("posting", limit=10) == Indexed(0, complete=True)
    Posting.objects.filter(external_id="a").update(title="Turner")
    assert search("welder") == {"a": 1.0}
    assert index_texts("posting", limit=10) == Indexed(1, complete=True)
    assert search("welder") == {}
    assert search("turner") == {"a": 1.0}
    Posting.objects.filter(external_id="b").update(language="de")
    assert index_texts("posting", limit=1) == Indexed(1, complete=False)
    with connection.cursor() as cursor:  # in plain SQL, as somebody may do it
        cursor.execute("DELETE FROM postings_posting WHERE external_id = 'a'")
    assert PostingText.objects.count() == 2


def test_words_of_few_rows_are_written_some_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("apps.recommendations.text_index.GENTLE_BATCH", 2)
    put(*({"external_id": str(number), "title": "Welder"} for number in range(100)))
    analyze()
    for edited, transactions in ((5, 3), (6, 1)):
        Posting.objects.filter(pk__in=Posting.objects.order_by("pk")[:edited]).update(
            title=f"Turner {edited}"
        )
        with CaptureQueriesContext(connection) as statements:
            assert index_texts("posting", limit=1_000) == Indexed(edited, complete=True)
        assert sum("INSERT INTO" in each["sql"] for each in statements) == transactions
        assert len(search("turner")) == edited


def test_new_words_are_told_by_the_run_that_goes_on(django_capture_on_commit_callbacks: Any) -> None:
    with django_capture_on_commit_callbacks() as alone:
        put({"external_id": "a", "title": "Welder"})
    run, _ = request_run("posting", default_model(), reason="test")
    with django_capture_on_commit_callbacks() as beside_a_run:
        put({"external_id": "b", "title": "Baker"})
    assert len(beside_a_run) == len(alone) - 1  # the edit itself is still told at once
    assert Invalidation.objects.get().run == run


def test_each_row_is_searched_in_its_own_language() -> None:
    put(
        {"external_id": "de", "title": "Krankenschwestern gesucht", "language": "de"},
        {"external_id": "en", "title": "Nurses wanted", "language": "en-GB"},
        {"external_id": "uk", "title": "Медсестра", "language": "uk"},  # PostgreSQL has no stemmer for it
    )
    assert list(search("Krankenschwester")) == ["de"]
    assert list(search("nursing")) == ["en"]
    assert list(search("медсестра")) == ["uk"]
    assert search("медсестри") == {}


def test_what_is_typed_counts_in_the_language_of_each_row_and_not_once_for_each() -> None:
    put(
        {"external_id": "en", "title": "Senior data engineer", "language": "en"},
        {"external_id": "uk", "title": "Senior data engineer", "language": "uk"},
        {"external_id": "de", "title": "Krankenschwester", "language": "de"},
    )
    assert fulltext.words_of_text("senior data engineer with SQL", kind="posting").different == 4
    scores = search("senior data engineer")
    assert scores == {"en": 1.0, "uk": 1.0}


def test_a_score_is_the_cosine_of_two_sets_of_words_in_which_rare_ones_weigh_more() -> None:
    put(
        {"external_id": "body", "title": "Clerk", "description": "welding boats all day"},
        {"external_id": "title", "title": "Welding", "description": "steel bridges everywhere"},
        {"external_id": "none", "title": "Baker", "description": "bread"},
    )
    rows = fulltext.query_of(fulltext.NO_WORDS, kind="posting").rows
    weld, boat = log(1 + rows / 2), log(1 + rows / 1)
    assert search("welding boats") == {
        "body": round(sqrt(2 / 4), 4),  # clerk, weld, boat, day: both words of the query in four
        "title": round(min(1, weld / (weld + boat) * sqrt(2 / 1)), 4),
    }
    assert search("welding boats", title="Welding") == {
        "title": round(min(1, weld / (weld + boat) * sqrt(2 / 1)), 4)
    }


@pytest.mark.parametrize(
    ("rows", "all_hits"), [(40, 10), (3, 1_000), (10, 10)], ids=["few rows", "few places", "many of both"]
)
def test_rows_that_match_are_found_by_a_word_that_stands_in_many_others(
    rows: int, all_hits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fulltext, "HITS", 10)
    monkeypatch.setattr(fulltext, "ROWS", rows)
    monkeypatch.setattr(fulltext, "ALL_HITS", all_hits)
    welders = [{"external_id": f"b{number}", "title": "Welder", "city": "Bergen"} for number in range(5)]
    put(*({"external_id": f"o{number}", "title": "Welder", "city": "Oslo"} for number in range(20)))
    put(
        *welders,
        *({"external_id": f"x{number}", "title": "Baker", "city": "Bergen"} for number in range(15)),
    )
    analyze()
    assert search("welder", city="Bergen") == {row["external_id"]: 1.0 for row in welders}
    assert search("welder", city="Nowhere") == {}


def test_a_word_is_as_common_as_it_is_however_far_it_was_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fulltext, "HITS", 10)
    monkeypatch.setattr(fulltext, "SMALLEST", 1)
    put(
        *({"external_id": f"w{number}", "title": "Welder on boats, Oslo"} for number in range(40)),
        *({"external_id": f"b{number}", "title": "Baker"} for number in range(42)),
    )
    analyze()
    [score] = set(search("welder baker").values())
    # About half of the query's weight; two words in the query, three in the row.
    assert score == pytest.approx(0.5 * sqrt(2 / 3), abs=0.02)


def test_any_sign_may_stand_in_a_query() -> None:
    put({"external_id": "a", "title": "O'Brien's node.js & C:\\temp shop"})
    for text in ("o'brien", "node.js", "c:\\temp", "' | & ! \\", "", "%s :* <->", "'''"):
        search(text)
    assert list(search("node.js")) == ["a"]
    assert list(search("O'Brien's")) == ["a"]


def test_a_text_of_any_length_can_be_indexed_and_searched() -> None:
    text = " ".join(f"word{number}" for number in range(120_000))
    put({"external_id": "long", "title": "Long", "description": text[:1_000_000]})
    assert list(search(text)) == ["long"]
