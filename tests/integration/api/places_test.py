"""Places over HTTP: shown, compared by ranking, and as a condition on remote postings."""

from typing import Any

import pytest

from apps.candidates.inputs import CandidateInput
from apps.candidates.services import upsert_candidates
from apps.postings.inputs import PostingInput
from apps.postings.services import upsert_postings
from tests.integration.api.conftest import Api, key, names

PLACES = "places { city region country countryName latitude longitude }"
ROWS: list[dict[str, Any]] = [
    {"external_id": "p-us", "title": "A", "country": "USA", "remote": True},
    {"external_id": "p-any", "title": "B", "remote": True},
    {"external_id": "p-emea", "title": "C", "region": "EMEA", "remote": True},
    {
        "external_id": "p-two",
        "title": "D",
        "remote": True,
        "city": "Berlin",
        "country": "Germany",
        "places": [{"city": "Berlin", "country": "Germany"}, {"region": "SP", "country": "Brazil"}],
    },
    {"external_id": "p-site", "title": "E", "city": "Berlin", "country": "DE"},
    {"external_id": "p-sao", "title": "F", "city": "São Paulo", "country": "BR"},
]


@pytest.fixture(autouse=True)
def rows(db: None, clean_cache: None) -> None:
    """Remote and other postings in several countries, and two candidates."""
    upsert_postings([PostingInput.model_validate(row) for row in ROWS])
    upsert_candidates(
        [
            CandidateInput(external_id="c-br", headline="A", city="sao paulo", country="Brazil", remote=True),
            CandidateInput(external_id="c-no", headline="B"),
        ]
    )


def test_places_of_a_row_are_all_shown_with_country_and_coordinates(recruiter: Api) -> None:
    query = f"{{ postings(first: 10) {{ edges {{ node {{ externalId {PLACES} }} }} }} }}"
    edges = recruiter.data(query)["postings"]["edges"]
    shown = {edge["node"]["externalId"]: edge["node"]["places"] for edge in edges}
    nowhere = {"city": "", "region": "", "latitude": None, "longitude": None}
    usa = nowhere | {"country": "US", "countryName": "United States"}
    berlin: dict[str, Any] = {"city": "Berlin", "region": "", "country": "DE", "countryName": "Germany"}
    berlin |= {"latitude": 52.52437, "longitude": 13.41053}
    assert (shown["p-us"], shown["p-any"], shown["p-site"]) == ([usa], [], [berlin])
    assert shown["p-two"] == [berlin, nowhere | {"region": "SP", "country": "BR", "countryName": "Brazil"}]
    query = f"query($id: ID!) {{ candidate(id: $id) {{ {PLACES} }} }}"
    [place] = recruiter.data(query, id=key("c-br"))["candidate"]["places"]
    assert (place["city"], place["countryName"], round(place["latitude"])) == ("sao paulo", "Brazil", -24)


def test_name_of_a_country_is_in_the_language_that_the_field_names(anonymous: Api) -> None:
    query = """query($language: String!) { postings(filter: {location: "Berlin", remote: false}) { edges {
        node { places { countryName(language: $language) english: countryName } } } } }"""
    for language, name in (("de", "Deutschland"), ("ko", "독일"), ("nonsense", "Germany")):
        [edge] = anonymous.data(query, language=language)["postings"]["edges"]
        assert edge["node"]["places"] == [{"countryName": name, "english": "Germany"}]


def _fits(edges: Any) -> dict[str, Any]:
    return {edge["node"]["externalId"]: edge["explanation"]["locationFit"] for edge in edges}


def test_location_of_a_candidate_is_compared_with_all_places_and_the_countries_of_remote_work(
    recruiter: Api,
) -> None:
    query = """query($id: ID!) { recommendedPostings(candidateId: $id, first: 10) {
        edges { node { externalId } explanation { locationFit } } } }"""
    fits = _fits(recruiter.data(query, id=key("c-br"))["recommendedPostings"]["edges"])
    # On site counts half for a candidate who wants remote work.
    assert fits == {"p-us": 0, "p-any": 1, "p-emea": 1, "p-two": 1, "p-site": 0, "p-sao": 0.5}
    fits = _fits(recruiter.data(query, id=key("c-no"))["recommendedPostings"]["edges"])
    assert set(fits.values()) == {None}


@pytest.mark.parametrize("country", ["Germany", "DE", "de", "Deutschland", "독일"])
def test_country_of_a_profile_may_be_a_name_or_a_code(anonymous: Api, country: str) -> None:
    query = """query($country: String) {
        recommendedPostingsForProfile(profile: {text: "x", country: $country}, first: 10) {
            edges { node { externalId } explanation { locationFit } } } }"""
    fits = _fits(anonymous.data(query, country=country)["recommendedPostingsForProfile"]["edges"])
    assert fits == {"p-us": 0, "p-any": 1, "p-emea": 1, "p-two": 1, "p-site": 0.4, "p-sao": 0}


@pytest.mark.parametrize(
    ("country", "left_out"),
    [
        ("Brazil", {"p-us"}),
        ("br", {"p-us"}),
        ("United States", {"p-two"}),
        ("Deutschland", {"p-us"}),
        ("Norway", {"p-us", "p-two"}),
    ],
)
def test_eligible_in_leaves_out_remote_postings_that_are_limited_to_other_countries(
    anonymous: Api, country: str, left_out: set[str]
) -> None:
    query = """query($filter: PostingFilter) { postings(filter: $filter, first: 10) {
        edges { node { externalId } } } }"""
    data = anonymous.data(query, filter={"eligibleIn": country})["postings"]
    assert set(names(data)) == {row["external_id"] for row in ROWS} - left_out


def test_eligible_in_names_a_country_that_it_does_not_know(anonymous: Api) -> None:
    code, message = anonymous.error('{ postings(filter: {eligibleIn: "Atlantis"}) { totalCount } }')
    assert (code, "'Atlantis' is not a country" in message) == ("BAD_USER_INPUT", True)
