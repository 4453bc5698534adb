"""Parts of a score, and their weighted mean."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.recommendations.ranking import (
    WEIGHTS,
    Features,
    Nearness,
    Place,
    Score,
    normalised_weights,
    place_named,
    score,
    total,
)

TODAY = date(2026, 11, 23)


def scored(candidate: Features, posting: Features, nearness: Nearness, text_share: float = 1.0) -> Score:
    """Score a pair on a fixed day."""
    return score(candidate=candidate, posting=posting, nearness=nearness, text_share=text_share, today=TODAY)


def parts_of(candidate: Features, posting: Features, cosine: float | None = 0.5) -> dict[str, float]:
    """The parts of a pair's score."""
    return scored(candidate, posting, Nearness(cosine)).parts


def test_weights_sum_to_one() -> None:
    assert sum(WEIGHTS.values()) == pytest.approx(1)


def test_part_is_left_out_when_its_values_are_unknown() -> None:
    silent = scored(Features(), Features(), Nearness(0.6))
    assert silent.parts == {"vector": 0.6}
    assert silent.total == pytest.approx(0.6)


def test_skills_give_coverage_and_overlap() -> None:
    parts = parts_of(Features(skills=frozenset({1, 2, 3})), Features(skills=frozenset({2, 3, 4, 5})))
    assert parts["coverage"] == 2 / 4
    assert parts["overlap"] == 2 / 5


@pytest.mark.parametrize(
    ("has", "wanted", "fit"),
    [(5, 3, 1.0), (3, 3, 1.0), (1, 4, 0.25), (0, 2, 0.0), (0, 0, 1.0), (-1, 0, 1.0), (None, 2, None)],
)
def test_experience_falls_with_missing_years(has: float | None, wanted: float, fit: float | None) -> None:
    parts = parts_of(Features(experience_years=has), Features(experience_years=wanted))
    assert parts.get("experience") == fit


@pytest.mark.parametrize(("has", "wanted", "fit"), [(5, 3, 1.0), (3, 4, 2 / 3), (0, 5, 0.0)])
def test_english_falls_with_each_missing_level(has: int, wanted: int, fit: float) -> None:
    parts = parts_of(Features(english_level=has), Features(english_level=wanted))
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
    assert parts_of(Features(places=ones), Features(places=others, remote=remote)).get("location") == fit


def test_location_is_the_best_of_all_places() -> None:
    oslo, kyiv, bergen = Place("oslo", "", "no"), Place("kyiv", "", "ua"), Place("bergen", "", "no")
    assert parts_of(Features(places=(bergen,)), Features(places=(kyiv, oslo)))["location"] == 0.4
    assert parts_of(Features(places=(bergen, kyiv)), Features(places=(kyiv, oslo)))["location"] == 1.0


def test_location_of_remote_work_is_0_in_a_country_that_it_does_not_name() -> None:
    limited = Features(places=(Place(country="US"), Place(country="CA")), remote=True)
    brazil, canada = Place("recife", "", "BR"), Place("toronto", "", "CA")
    assert parts_of(Features(places=(brazil,), remote=True), limited)["location"] == 0.0
    assert parts_of(Features(places=(brazil, canada)), limited)["location"] == 1.0
    assert parts_of(Features(remote=True), limited)["location"] == 1.0  # the seeker's country is unknown
    assert parts_of(Features(places=(brazil,)), Features(remote=True))["location"] == 1.0


def test_place_is_folded_and_its_country_is_a_code() -> None:
    [written] = place_named("São Paulo", "SP", "Brasil")
    assert written == Place("sao paulo", "sp", "BR")
    assert place_named("SAO PAULO", "sp", "br") == (written,)
    assert place_named("", " ", "") == ()
    assert place_named("", "", "Atlantís") == (Place(country="atlantis"),)


def test_location_counts_half_when_only_the_candidate_wants_remote_work() -> None:
    oslo = Place("oslo", "", "no")
    assert parts_of(Features(places=(oslo,), remote=True), Features(places=(oslo,)))["location"] == 0.5
    assert parts_of(Features(remote=True), Features(places=(oslo,)))["location"] == 0.0
    assert parts_of(Features(remote=True), Features(remote=True))["location"] == 1.0
    assert "location" not in parts_of(
        Features(), Features(places=(oslo,), remote=True)
    )  # neither names a place to compare


def test_salary_is_left_out_when_currencies_differ() -> None:
    expects = Features(salary_per_year=50_000, salary_currency="EUR")
    assert parts_of(expects, Features(salary_per_year=40_000, salary_currency="EUR"))["salary"] == 0.8
    assert "salary" not in parts_of(expects, Features(salary_per_year=40_000, salary_currency="USD"))


def test_freshness_halves_every_thirty_days() -> None:
    old = Features(published_on=TODAY - timedelta(days=60))
    assert parts_of(Features(), old)["freshness"] == pytest.approx(0.25)
    future = Features(published_on=TODAY + timedelta(days=3))
    assert parts_of(Features(), future)["freshness"] == 1.0


def test_weight_of_the_text_is_scaled_by_its_share() -> None:
    """0.16 of text and 0.42 of vector at a full share; a quarter of 0.16 at a share of 0.25."""
    nearness = Nearness(cosine=0.5, text=1.0)
    assert scored(Features(), Features(), nearness).total == pytest.approx((0.42 * 0.5 + 0.16) / 0.58)
    assert scored(Features(), Features(), nearness, 0.25).total == pytest.approx((0.42 * 0.5 + 0.04) / 0.46)


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
def test_score_is_the_weighted_mean_of_parts_between_0_and_1(
    skills, years, english, salary, cosines, text, text_share, age
) -> None:
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
    nearness = Nearness(cosines[0], text, cosines[1])
    result = scored(sides[0], sides[1], nearness, text_share)
    assert 0 <= result.total <= 1 + 1e-12
    assert all(0 <= value <= 1 for value in result.parts.values())
    weights = normalised_weights(result.parts, text_share=text_share)
    assert sum(weights.values()) == pytest.approx(1)
    assert result.total == pytest.approx(sum(weights[name] * value for name, value in result.parts.items()))
    assert result.total == total(result.parts, text_share=text_share)
