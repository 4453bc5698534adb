"""The reasons of matches: the sentences that carry them, and what one more skill would change."""

from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import User

from apps.candidates.models import Candidate, CandidateSkill
from apps.embeddings.models import EmbeddingModel
from apps.postings.models import Posting
from apps.rpc.errors import TransientRpcError
from apps.skills.models import Skill
from tests.conftest import empty_caches
from tests.integration.api.conftest import Api, key

pytestmark = pytest.mark.usefixtures("corpus")

CARRYING, OTHER = "Repairs diesel engines of large ships", "Answers the calls of many customers"
OWN = "I have repaired diesel engines of ships for years."
REASONS = "explanation { sentences { posting profile similarity } whatIf { skill { name } score } }"
POSTINGS = f"""query($id: ID!) {{ recommendedPostings(candidateId: $id, first: 10) {{
    edges {{ score node {{ externalId }} {REASONS} }} }} }}"""
CANDIDATES = f"""query($id: ID!) {{ recommendedCandidates(postingId: $id, first: 10) {{
    edges {{ score node {{ externalId }} {REASONS} }} }} }}"""


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Texts in which engines and calls are orthogonal; the batches that are embedded."""
    batches: list[list[str]] = []

    def embed(texts: list[str], _model: EmbeddingModel) -> Any:
        batches.append(texts)
        return [np.eye(4)[0 if "engines" in text else 1 if "calls" in text else 2] for text in texts]

    monkeypatch.setattr("apps.recommendations.reasons.embed_texts", embed)
    for posting in Posting.objects.all():
        posting.description = f"## Tasks\n\n- {OTHER}\n- {CARRYING}\n"
        posting.save()
    Candidate.objects.update(resume=f"I live in a small town. {OWN}")
    return batches


def first_edge(data: Any, name: str) -> Any:
    """The first edge of a list."""
    return data[name]["edges"][0]


def test_sentences_are_embedded_once_for_a_page_and_cached(recruiter: Api, calls: list[list[str]]) -> None:
    for _ in range(2):
        edges = recruiter.data(POSTINGS, id=key("c1"))["recommendedPostings"]["edges"]
        assert [edge["explanation"]["sentences"] for edge in edges] == 10 * [
            {"posting": CARRYING, "profile": OWN, "similarity": 1.0}
        ]
    assert len(calls) == 1
    edge = first_edge(recruiter.data(CANDIDATES, id=key("p3")), "recommendedCandidates")
    assert edge["explanation"]["sentences"] == {"posting": CARRYING, "profile": OWN, "similarity": 1.0}


def test_sentences_are_not_embedded_unless_they_are_asked_for(recruiter: Api, calls: list[list[str]]) -> None:
    recruiter.data(POSTINGS.replace("sentences { posting profile similarity }", ""), id=key("c1"))
    assert calls == []


def test_sentences_are_null_and_not_cached_while_the_embedding_server_is_unavailable(
    anonymous: Api, calls: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable(*_: Any) -> None:
        raise TransientRpcError("embedding server is unavailable")

    monkeypatch.setattr("apps.recommendations.profiles.query_vector", lambda *_: [1.0, 0.0, 0.0, 0.0])
    query = '{ searchPostings(text: "engines of ships") { edges { explanation { sentences { posting } } } } }'
    with monkeypatch.context() as patched:
        patched.setattr("apps.recommendations.reasons.embed_texts", unavailable)
        edge = first_edge(anonymous.data(query), "searchPostings")
        assert edge["explanation"]["sentences"] is None
    edge = first_edge(anonymous.data(query), "searchPostings")
    assert edge["explanation"]["sentences"] == {"posting": CARRYING}


def test_reasons_show_sentences_of_candidates_only_to_those_who_may_see_them(
    anonymous: Api, calls: list[list[str]]
) -> None:
    own = User.objects.create_user("own")
    Candidate.objects.filter(external_id="c1").update(user=own)
    assert anonymous.error(POSTINGS, id=key("c1"))[0] == "UNAUTHENTICATED"
    assert anonymous.error(CANDIDATES, id=key("p1"))[0] == "UNAUTHENTICATED"
    assert Api(own).error(POSTINGS, id=key("c2"))[0] == "FORBIDDEN"
    assert calls == []
    edge = first_edge(Api(own).data(POSTINGS, id=key("c1")), "recommendedPostings")
    assert edge["explanation"]["sentences"]["profile"] == OWN


@pytest.mark.parametrize("has_skills", [True, False])
def test_what_if_is_the_score_once_the_candidate_has_the_skill(
    recruiter: Api, clean_cache: None, has_skills: bool
) -> None:
    candidate = Candidate.objects.get(external_id="c1")
    if not has_skills:
        candidate.skill_uses.all().delete()

    def edges() -> dict[str, Any]:
        found = recruiter.data(POSTINGS.replace("first: 10", "first: 30"), id=key("c1"))
        return {each["node"]["externalId"]: each for each in found["recommendedPostings"]["edges"]}

    before = edges()["p2"]
    scores = {each["skill"]["name"]: each["score"] for each in before["explanation"]["whatIf"]}
    assert scores.keys() == ({"PostgreSQL"} if has_skills else {"Python", "PostgreSQL"})
    skill = Skill.objects.get(name="PostgreSQL")
    CandidateSkill.objects.create(candidate=candidate, skill=skill)
    empty_caches()
    after = edges()["p2"]
    assert after["score"] == pytest.approx(scores["PostgreSQL"], abs=2e-6)
