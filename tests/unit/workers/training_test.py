"""Pairs and batches of a training."""

from collections import Counter
from itertools import islice
from random import Random

import pytest

from workers.training import pairs
from workers.training.batches import Source, distinct_batches, plan, schedule
from workers.training.pairs import Pair
from workers.training.postings import sentences

NAMES = {
    f"{code} nurse": ["nurse", f"nurse of ward {code}", f"ward {code} nurse", f"carer {code}"]
    for code in range(9)
}


def test_names_are_paired_within_their_occupation_and_never_with_themselves() -> None:
    rows = [
        {"name": "RN", "preferred": "nurse", "esco_code": "2221"},
        {"name": "nurse", "preferred": "nurse", "esco_code": "2221"},
        {"name": "cook", "preferred": "cook", "esco_code": "5120"},
    ]
    assert pairs.occupations(rows) == {"2221 nurse": ["nurse", "RN"]}  # a single name has no pair
    found = list(islice(pairs.name_pairs(NAMES, Random(1)), 200))
    assert all(pair.anchor != pair.positive for pair in found)
    assert all({pair.anchor, pair.positive} <= set(NAMES[pair.group]) for pair in found)
    assert Counter(pair.anchor for pair in found)["carer 3"] > 0


def test_a_posting_is_paired_with_what_a_candidate_would_write_for_it() -> None:
    posting = {
        "title": "Nurse",
        "tasks": ["Dress wounds.", "Keep records."],
        "statement": "I have a year of experience such as: caring for patients",
    }
    found = list(islice(pairs.posting_pairs([posting, posting], Random(1)), 20))
    statements = [pair for pair in found if pair.anchor == "caring for patients"]  # without its formula
    assert {pair.positive for pair in statements} == {
        "Nurse. Dress wounds. Keep records.",
        "Nurse. Keep records. Dress wounds.",
    }
    halves = {pair.anchor: pair.positive for pair in found if pair not in statements}
    assert halves == {"Dress wounds.": "Nurse. Keep records.", "Keep records.": "Nurse. Dress wounds."}


def test_aliases_that_repeat_the_name_of_a_skill_are_no_pairs() -> None:
    skill = {"skill_name": "Welding", "aliases": "welding, joining metals, TIG", "description": ""}
    assert next(pairs.skill_pairs([skill], Random(1))) == Pair("joining metals", "Welding", "welding")


def test_a_batch_holds_no_group_and_no_text_twice_and_loses_no_pair() -> None:
    supply = [Pair(f"a{number}", f"b{number % 7}", str(number % 5)) for number in range(40)]
    batches = list(distinct_batches(iter(supply), 4))
    assert sorted(map(repr, supply)) == sorted(repr(pair) for batch in batches for pair in batch)
    for batch in batches:
        assert len({pair.group for pair in batch}) == len(batch) == len({pair.positive for pair in batch})


def test_a_longer_plan_begins_with_the_same_batches() -> None:
    """Otherwise a training could not continue with another number of steps."""
    sources = [
        Source("occupations", 4, 24, 2, lambda random: pairs.name_pairs(NAMES, random)),
        Source("more", 3, 24, 1, lambda random: pairs.name_pairs(NAMES, random)),
    ]
    short, long = (plan(sources, steps=steps, seed=3) for steps in (5, 11))
    assert [batch.pairs for batch in long[:5]] == [batch.pairs for batch in short]
    assert Counter(batch.source.name for batch in long[:9]) == {"occupations": 6, "more": 3}
    assert schedule([4, 2, 2], 8).count(0) == 4
    lone = [Source("names", 4, 24, 1, lambda _: iter([Pair("a", "b", "c")] * 9))]
    with pytest.raises(ValueError, match="fewer than two groups"):
        plan(lone, steps=1, seed=0)


def test_sentences_of_a_description_leave_out_headings_and_markup() -> None:
    text = "## Your tasks\n\n- **Dress** the wounds of patients. Keep the records of the ward.\n\nApply now"
    assert sentences(text) == ["Dress the wounds of patients.", "Keep the records of the ward."]
