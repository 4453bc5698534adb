"""Parts of a score, and their weighted mean."""

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.recommendations.checks import check_ranking_file
from apps.recommendations.ranking import (
    Features,
    Nearness,
    Place,
    Rarity,
    list_weights,
    parts_of,
    place_named,
    total,
)
from apps.recommendations.weights import PARTS, SHIPPED, RankingFileError, read_ranking

TODAY = date(2026, 11, 23)
RANKING = read_ranking(SHIPPED)
RARITY = Rarity({1: 1.0, 2: 1.0, 3: 1.0, 4: 1.0, 5: 1.0, 6: 4.0})


def known_parts(
    candidate: Features,
    posting: Features,
    nearness: Nearness = Nearness(0.5),  # noqa: B008  immutable
) -> dict[str, float]:
    """The parts of a pair on a fixed day."""
    return parts_of(
        candidate=candidate, posting=posting, nearness=nearness, rarity=RARITY, ranking=RANKING, today=TODAY
    )


def test_part_is_left_out_when_its_values_are_unknown() -> None:
    assert known_parts(Features(), Features(), Nearness(0.6)) == {"vector": 0.6}


def test_row_does_not_win_by_what_is_unknown_of_it() -> None:
    seeker = Features(skills=frozenset({1, 2}), experience_years=5)
    poor = known_parts(seeker, Features(skills=frozenset({3}), experience_years=10))
    unknown = known_parts(seeker, Features())
    weights = list_weights(RANKING, [poor, unknown], share=1.0)
    assert total(unknown, weights) <= total(poor, weights)
    assert sum(weights.values()) == pytest.approx(1)


def test_skills_give_coverage_and_overlap() -> None:
    parts = known_parts(Features(skills=frozenset({1, 2, 3})), Features(skills=frozenset({2, 3, 4, 5})))
    assert (parts["coverage"], parts["overlap"]) == (2 / 4, 2 / 5)


def test_skill_counts_more_when_it_is_rare_or_stands_in_the_title() -> None:
    def coverage(has: int, **where: Any) -> float:
        return known_parts(Features(skills=frozenset({has})), Features(skills=frozenset({1, 2, 6}), **where))[
            "coverage"
        ]

    assert coverage(6) == 4 / 6 > coverage(1) == 1 / 6
    title, stated = RANKING.title_skill, RANKING.stated_skill
    assert coverage(1, title_skills=frozenset({1})) == pytest.approx(title / (title + 5))
    assert coverage(1, stated_skills=frozenset({1})) == pytest.approx(stated / (stated + 5))


@pytest.mark.parametrize(
    ("has", "wanted", "fit"),
    [(5, 3, 1.0), (3, 3, 1.0), (1, 4, 0.25), (0, 2, 0.0), (0, 0, 1.0), (-1, 0, 1.0), (None, 2, None)],
)
def test_experience_falls_with_missing_years(has: float | None, wanted: float, fit: float | None) -> None:
    parts = known_parts(Features(experience_years=has), Features(experience_years=wanted))
    assert parts.get("experience") == fit


@pytest.mark.parametrize(("has", "wanted", "fit"), [(5, 3, 1.0), (3, 4, 2 / 3), (0, 5, 0.0)])
def test_english_falls_with_each_missing_level(has: int, wanted: int, fit: float) -> None:
    parts = known_parts(Features(english_level=has), Features(english_level=wanted))
    assert parts["english"] == pytest.approx(fit)


@pytest.mark.parametrize(
    ("one", "other", "remote", "fit"),
    [
        (Place("kyiv", "", "ua"), Place("kyiv", "", "ua"), False, 1.0),
        (Place("lviv", "", "ua"), Place("kyiv", "", "ua"), False, 0.4),
        (Place("oslo", "", "no"), Place("kyiv", "", "ua"), False, 0.0),
        (Place("oslo", "", "no"), Place("kyiv", "", "ua"), True, 0.0),
        (Place("oslo", "", "no"), Place("bergen", "", "no"), True, 1.0),
        (Place("oslo", "", "no"), None, True, 1.0),
        (Place("oslo", "", ""), Place("kyiv", "", "ua"), True, 1.0),
        (None, Place("kyiv", "", "ua"), False, None),
        (Place("portland", "oregon", "us"), Place("portland", "maine", "us"), False, 0.4),
        (Place("london", "", "ca"), Place("london", "", "gb"), False, 0.0),
        (Place("london", "", ""), Place("london", "", "gb"), False, 1.0),
        (Place("", "bavaria", "de"), Place("munich", "bavaria", "de"), False, 0.7),
    ],
)
def test_location_compares_the_smallest_place_that_both_name(
    one: Place | None, other: Place | None, remote: bool, fit: float | None
) -> None:
    ones, others = ((place,) if place else () for place in (one, other))
    assert known_parts(Features(places=ones), Features(places=others, remote=remote)).get("location") == fit


def test_location_is_the_best_of_all_places() -> None:
    oslo, kyiv, bergen = Place("oslo", "", "no"), Place("kyiv", "", "ua"), Place("bergen", "", "no")
    assert known_parts(Features(places=(bergen,)), Features(places=(kyiv, oslo)))["location"] == 0.4
    assert known_parts(Features(places=(bergen, kyiv)), Features(places=(kyiv, oslo)))["location"] == 1.0


def test_location_of_remote_work_is_0_in_a_country_that_it_does_not_name() -> None:
    limited = Features(places=(Place(country="US"), Place(country="CA")), remote=True)
    brazil, canada = Place("recife", "", "BR"), Place("toronto", "", "CA")
    assert known_parts(Features(places=(brazil,), remote=True), limited)["location"] == 0.0
    assert known_parts(Features(places=(brazil, canada)), limited)["location"] == 1.0
    assert known_parts(Features(remote=True), limited)["location"] == 1.0  # the seeker's country is unknown
    assert known_parts(Features(places=(brazil,)), Features(remote=True))["location"] == 1.0


def test_place_is_folded_and_its_country_is_a_code() -> None:
    [written] = place_named("São Paulo", "SP", "Brasil")
    assert written == Place("sao paulo", "sp", "BR")
    assert place_named("SAO PAULO", "sp", "br") == (written,)
    assert place_named("", " ", "") == ()
    assert place_named("", "", "Atlantís") == (Place(country="atlantis"),)


def test_location_counts_half_when_only_the_candidate_wants_remote_work() -> None:
    oslo = Place("oslo", "", "no")
    assert known_parts(Features(places=(oslo,), remote=True), Features(places=(oslo,)))["location"] == 0.5
    assert known_parts(Features(remote=True), Features(places=(oslo,)))["location"] == 0.0
    assert known_parts(Features(remote=True), Features(remote=True))["location"] == 1.0
    assert "location" not in known_parts(
        Features(), Features(places=(oslo,), remote=True)
    )  # neither names a place to compare


def test_salary_is_left_out_when_currencies_differ() -> None:
    expects = Features(salary_per_year=50_000, salary_currency="EUR")
    assert known_parts(expects, Features(salary_per_year=40_000, salary_currency="EUR"))["salary"] == 0.8
    assert "salary" not in known_parts(expects, Features(salary_per_year=40_000, salary_currency="USD"))


def test_freshness_halves_every_thirty_days() -> None:
    old = Features(published_on=TODAY - timedelta(days=60))
    assert known_parts(Features(), old)["freshness"] == pytest.approx(0.25)
    future = Features(published_on=TODAY + timedelta(days=3))
    assert known_parts(Features(), future)["freshness"] == 1.0


def test_weights_of_full_text_are_scaled_by_its_share() -> None:
    rows = [{"vector": 0.5, "text": 1.0, "title": 1.0}]
    whole, part = list_weights(RANKING, rows, share=1.0), list_weights(RANKING, rows, share=0.25)
    assert part["text"] / part["vector"] == pytest.approx(0.25 * whole["text"] / whole["vector"])
    assert part["title"] / part["vector"] == pytest.approx(0.25 * whole["title"] / whole["vector"])


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"weights": {"vectro": 1}}, "unknown parts vectro"),
        ({"weights": {"vector": -1}}, "weights.vector"),
        ({"weights": {"vector": 0}}, "every weight is 0"),
        ({"half_life": 1}, "half_life"),
    ],
)
def test_file_of_weights_is_refused_with_its_fault(
    change: dict[str, object], fault: str, tmp_path: Path, settings: Any
) -> None:
    path = tmp_path / "weights.json"
    path.write_text(json.dumps(json.loads(SHIPPED.read_text()) | change))
    with pytest.raises(RankingFileError, match=fault):
        read_ranking(path)
    settings.RANKING_FILE = str(path)
    assert [error.id for error in check_ranking_file()] == ["recommendations.E001"]
    settings.RANKING_FILE = ""
    assert check_ranking_file() == []


@given(
    skills=st.tuples(st.frozensets(st.integers(0, 9)), st.frozensets(st.integers(0, 9))),
    years=st.tuples(st.none() | st.floats(0, 60), st.none() | st.floats(0, 60)),
    english=st.tuples(st.none() | st.integers(0, 5), st.none() | st.integers(0, 5)),
    salary=st.tuples(st.none() | st.floats(0, 1e6), st.none() | st.floats(0, 1e6)),
    cosines=st.tuples(st.none() | st.floats(-1, 1), st.none() | st.floats(-1, 1)),
    text=st.none() | st.floats(0, 1),
    text_share=st.floats(0.25, 1),
    age=st.integers(-10, 4000),
)
def test_score_is_between_0_and_1(skills, years, english, salary, cosines, text, text_share, age) -> None:
    sides = [
        Features(
            skills=skills[side],
            experience_years=years[side],
            english_level=english[side],
            salary_per_year=salary[side],
            salary_currency="USD",
            published_on=TODAY - timedelta(days=age),
        )
        for side in (0, 1)
    ]
    nearness = Nearness(cosines[0], text, text, cosines[1])
    parts = known_parts(sides[0], sides[1], nearness)
    assert all(0 <= value <= 1 for value in parts.values())
    assert parts.keys() <= set(PARTS)
    weights = list_weights(RANKING, [parts], share=text_share)
    assert 0 <= total(parts, weights) <= 1 + 1e-12
