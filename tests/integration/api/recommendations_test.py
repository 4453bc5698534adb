"""Recommendations over HTTP, with stored vectors whose distances are known."""

from typing import Any

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.candidates.models import Candidate
from apps.embeddings.models import CandidateEmbedding, EmbeddingModel, PostingEmbedding
from apps.postings.models import Posting
from apps.recommendations.models import Interaction
from apps.recommendations.text_index import update_text_index
from tests.integration.api.conftest import Api, key, names, user_with

pytestmark = pytest.mark.usefixtures("corpus")

RECOMMENDED = """
    query($id: ID!, $first: Int, $after: String, $filter: PostingFilter) {
      recommendedPostings(candidateId: $id, first: $first, after: $after, filter: $filter) {
        totalCount degraded pageInfo { hasNextPage endCursor }
        edges {
          score node { externalId company { name } skills { name } }
          explanation {
            vectorScore skillCoverage parts { name value weight }
            matchedSkills { name } missingSkills { name } extraSkills { name }
          }
        }
      }
    }
"""


def test_recommendations_come_best_first_with_parts_that_add_up_to_the_score(recruiter: Api) -> None:
    data = recruiter.data(RECOMMENDED, id=key("c1"), first=30)["recommendedPostings"]
    assert (data["totalCount"], data["degraded"]) == (30, False)
    scores = [edge["score"] for edge in data["edges"]]
    assert scores == sorted(scores, reverse=True)
    for edge in data["edges"]:
        number = int(edge["node"]["externalId"][1:])
        explanation = edge["explanation"]
        assert explanation["vectorScore"] == pytest.approx(
            np.cos(np.radians(3 * number)), abs=2e-3
        )  # half precision
        assert sum(part["value"] * part["weight"] for part in explanation["parts"]) == pytest.approx(
            edge["score"], abs=1e-5
        )
        asked = {skill["name"] for skill in edge["node"]["skills"]}
        assert {skill["name"] for skill in explanation["matchedSkills"]} == asked & {"Python"}
        assert {skill["name"] for skill in explanation["missingSkills"]} == asked - {"Python"}
        assert {skill["name"] for skill in explanation["extraSkills"]} == {"Python"} - asked


def test_pages_of_matches_hold_each_row_once(recruiter: Api) -> None:
    found: list[str] = []
    after = None
    while True:
        data = recruiter.data(RECOMMENDED, id=key("c1"), first=7, after=after)["recommendedPostings"]
        found += names(data)
        if not data["pageInfo"]["hasNextPage"]:
            break
        after = data["pageInfo"]["endCursor"]
    assert len(found) == len(set(found)) == 30


def test_recommendations_with_a_filter_leave_out_closed_postings_unless_asked_for(recruiter: Api) -> None:
    Posting.objects.filter(external_id="p1").update(status="closed")
    Posting.objects.filter(external_id="p3").update(closes_at="2020-01-01T00:00Z")
    data = recruiter.data(RECOMMENDED, id=key("c1"), first=30, filter={"location": "oslo"})[
        "recommendedPostings"
    ]
    assert set(names(data)) == {f"p{number}" for number in range(5, 30, 2)}
    everything = recruiter.data(RECOMMENDED, id=key("c1"), filter={"openOnly": False})["recommendedPostings"]
    assert everything["totalCount"] == 30


def test_recommendations_leave_out_postings_that_the_candidate_applied_for_or_dismissed(
    recruiter: Api, django_capture_on_commit_callbacks: Any
) -> None:
    record = """mutation($c: ID!, $p: ID!, $a: InteractionAction!) {
        recordInteraction(candidateId: $c, postingId: $p, action: $a) { interaction { action at } } }"""
    recruiter.data(RECOMMENDED, id=key("c1"))  # to have it cached
    for posting, action in (("p0", "APPLIED"), ("p1", "DISMISSED"), ("p2", "VIEWED")):
        with django_capture_on_commit_callbacks(execute=True):
            recruiter.data(record, c=key("c1"), p=key(posting), a=action)
    found = names(recruiter.data(RECOMMENDED, id=key("c1"), first=30)["recommendedPostings"])
    assert "p2" in found
    assert not {"p0", "p1"} & set(found)
    # The same interaction again updates the time and adds no row.
    recruiter.data(record, c=key("c1"), p=key("p0"), a="APPLIED")
    assert Interaction.objects.count() == 3
    assert recruiter.error(record, c=key("c1"), p="999999", a="SAVED") == (
        "NOT_FOUND",
        "there is no posting 999999",
    )


def test_saving_a_posting_raises_the_interest_in_similar_ones_but_not_in_itself(
    recruiter: Api, django_capture_on_commit_callbacks: Any
) -> None:
    query = """query($id: ID!) { recommendedPostings(candidateId: $id, first: 30) {
        edges { node { externalId } score explanation { interest parts { name value weight } } } } }"""

    def interests() -> dict[str, float | None]:
        edges = recruiter.data(query, id=key("c1"))["recommendedPostings"]["edges"]
        for edge in edges:
            parts = edge["explanation"]["parts"]
            assert sum(each["value"] * each["weight"] for each in parts) == pytest.approx(
                edge["score"], abs=1e-5
            )
        return {edge["node"]["externalId"]: edge["explanation"]["interest"] for edge in edges}

    assert set(interests().values()) == {None}
    record = """mutation($c: ID!, $p: ID!, $a: InteractionAction!) {
        recordInteraction(candidateId: $c, postingId: $p, action: $a) { interaction { action } } }"""
    with django_capture_on_commit_callbacks(execute=True):
        recruiter.data(record, c=key("c1"), p=key("p20"), a="SAVED")
    found = interests()
    assert found["p20"] is None
    assert found["p21"] == pytest.approx(np.cos(np.radians(3)), abs=2e-3)
    assert found["p29"] == pytest.approx(np.cos(np.radians(27)), abs=2e-3)
    # Viewing a posting changes nothing and invalidates no cached response.
    with django_capture_on_commit_callbacks(execute=True) as callbacks:
        recruiter.data(record, c=key("c1"), p=key("p10"), a="VIEWED")
    assert callbacks == []
    # A posting that is dismissed later no longer counts as interest, and is not recommended.
    with django_capture_on_commit_callbacks(execute=True):
        recruiter.data(record, c=key("c1"), p=key("p20"), a="DISMISSED")
    found = interests()
    assert "p20" not in found
    assert set(found.values()) == {None}


def test_retrieval_is_shown_to_users_who_may_see_runs_only(anonymous: Api) -> None:
    query = """query($id: ID!) { similarPostings(postingId: $id, filter: {location: "Oslo"}) { totalCount
        totalCountIsEstimate
        retrieval { strategy matching efSearch byVector byText words textShare phases { name } } } }"""
    update_text_index("posting", limit=100)
    data = anonymous.data(query, id=key("p4"))["similarPostings"]
    assert data == {"totalCount": 15, "totalCountIsEstimate": False, "retrieval": None}
    operator = Api(user_with("view_embeddingrun"))
    assert operator.data(query, id=key("p4"))["similarPostings"]["retrieval"] == {
        "strategy": "exact",
        "matching": 15,
        "efSearch": 0,
        "byVector": 15,
        "byText": 15,
        "words": 3,  # posting, 4, python
        "textShare": 0.25,
        "phases": [{"name": name} for name in ("vector", "text", "scores", "ranking")],
    }


def test_candidates_for_a_posting_and_similar_postings_come_by_similarity(
    recruiter: Api, anonymous: Api
) -> None:
    query = """query($id: ID!) { recommendedCandidates(postingId: $id) {
        totalCount edges { score node { headline } } } }"""
    # The other candidates point away from the posting, so the one that is left comes first.
    CandidateEmbedding.objects.exclude(candidate__external_id="c2").update(vector=[0.0, 0.0, 1.0, 0.0])
    data = recruiter.data(query, id=key("p5"))["recommendedCandidates"]
    assert [edge["node"]["headline"] for edge in data["edges"]] == [
        "Candidate 2",
        "Candidate 0",
        "Candidate 1",
    ]
    assert data["totalCount"] == 3
    assert anonymous.error(query, id=key("p5"))[0] == "UNAUTHENTICATED"
    similar = (
        "query($id: ID!) { similarPostings(postingId: $id, first: 4) { edges { node { externalId } } } }"
    )
    found = names(anonymous.data(similar, id=key("p10"))["similarPostings"])
    assert "p10" not in found
    assert set(found) <= {"p4", "p7", "p13", "p16"}  # the nearest of those with the same skill
    assert anonymous.error(similar, id="999999") == ("NOT_FOUND", "there is no posting 999999")


def test_a_cached_list_of_matches_takes_as_many_statements_for_every_page_size(recruiter: Api) -> None:
    recruiter.data(RECOMMENDED, id=key("c1"), first=1)
    recruiter.data(RECOMMENDED, id=key("c2"), first=1)
    candidate = key("c1")
    for size in (1, 30):
        with CaptureQueriesContext(connection) as statements:
            recruiter.data(RECOMMENDED, id=candidate, first=size)
        sql = [
            each["sql"] for each in statements if "auth_" not in each["sql"] and "session" not in each["sql"]
        ]
        own = [each for each in sql if "candidates_candidate" in each and "user_id" in each]
        # The active model, options of the ranking, the rows that still match, those of the page with skills.
        assert len(sql) - len(own) == 4


def test_a_user_who_is_a_candidate_reads_and_writes_its_own_row_only(db: None) -> None:
    user = user_with()
    Candidate.objects.filter(external_id="c1").update(user=user)
    api = Api(user)
    assert api.data(RECOMMENDED, id=key("c1"))["recommendedPostings"]["totalCount"] == 30
    assert api.error(RECOMMENDED, id=key("c2"))[0] == "FORBIDDEN"
    one = "query($id: ID!) { candidate(id: $id) { headline } }"
    assert api.data(one, id=key("c1"))["candidate"]["headline"] == "Candidate 1"
    assert api.error(one, id=key("c2"))[0] == "FORBIDDEN"
    assert api.error("{ candidates { totalCount } }")[0] == "FORBIDDEN"
    upsert = "mutation($input: CandidateInput!) { upsertCandidate(input: $input) { candidate { headline } } }"
    mine = {"externalId": "c1", "headline": "Renamed", "skills": ["Python"]}
    assert api.data(upsert, input=mine)["upsertCandidate"]["candidate"]["headline"] == "Renamed"
    assert Candidate.objects.get(external_id="c1").user == user
    assert api.error(upsert, input=mine | {"externalId": "c2"})[0] == "FORBIDDEN"


def test_recommendations_have_rows_without_a_vector_last_and_miss_none(recruiter: Api) -> None:
    PostingEmbedding.objects.filter(posting__external_id__in=["p0", "p1", "p2", "p28"]).delete()
    data = recruiter.data(RECOMMENDED, id=key("c1"), first=100)["recommendedPostings"]
    assert (data["totalCount"], data["degraded"]) == (30, False)
    assert sorted(names(data)) == sorted(f"p{number}" for number in range(30))
    assert names(data).index("p1") > names(data).index("p4")  # the same but for the direction
    by_name = {edge["node"]["externalId"]: edge["explanation"]["vectorScore"] for edge in data["edges"]}
    assert (by_name["p1"], by_name["p3"]) == (0, pytest.approx(np.cos(np.radians(9)), abs=2e-3))
    PostingEmbedding.objects.filter(posting__city="Oslo").delete()
    data = recruiter.data(RECOMMENDED, id=key("c1"), filter={"location": "Oslo"})["recommendedPostings"]
    assert sorted(names(data)) == sorted(f"p{number}" for number in range(1, 30, 2))


def test_recommendations_without_an_active_model_come_by_skills_and_are_degraded(
    recruiter: Api, corpus: EmbeddingModel
) -> None:
    EmbeddingModel.objects.update(state="filling")
    data = recruiter.data(RECOMMENDED, id=key("c1"), first=30)["recommendedPostings"]
    assert data["degraded"] is True
    assert set(names(data)[:20]) == {f"p{number}" for number in range(30) if number % 3}


def test_starting_a_run_plans_it_if_rows_are_pending(
    recruiter: Api, no_broker: list[Any], django_capture_on_commit_callbacks: Any
) -> None:
    mutation = "mutation { startEmbeddingRun(kind: POSTING) { runs { kind state rows } } }"
    assert recruiter.error(mutation)[0] == "FORBIDDEN"
    operator = Api(user_with("add_embeddingrun", "view_embeddingrun"))
    assert operator.data(mutation)["startEmbeddingRun"]["runs"] == []
    Posting.objects.filter(external_id="p1").update(title="Edited")
    with django_capture_on_commit_callbacks(execute=True):
        data = operator.data(mutation)
    assert data["startEmbeddingRun"]["runs"] == [{"kind": "POSTING", "state": "PLANNED", "rows": 0}]
    assert [name for name, _ in no_broker] == ["workers.tasks.plan_run"]
    assert operator.data("{ embeddingRuns { totalCount edges { node { state rowsEmbedded } } } }") == {
        "embeddingRuns": {"totalCount": 1, "edges": [{"node": {"state": "PLANNED", "rowsEmbedded": 0}}]}
    }


def test_skill_categories_hold_the_dictionary_with_its_aliases(anonymous: Api) -> None:
    data = anonymous.data("{ skillCategories { name skills { name aliases } } }")["skillCategories"]
    by_name = {skill["name"]: skill["aliases"] for category in data for skill in category["skills"]}
    assert len(by_name) >= 400
    assert "k8s" in by_name["Kubernetes"]
