"""A client, users and a small corpus for the tests of the API."""

import json
from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from apps.caching.mirror import mirror
from apps.candidates.inputs import CandidateInput
from apps.candidates.models import Candidate
from apps.candidates.services import upsert_candidates
from apps.embeddings.models import CandidateEmbedding, EmbeddingModel, PostingEmbedding
from apps.postings.inputs import PostingInput
from apps.postings.models import Posting
from apps.postings.services import upsert_postings

DIMENSIONS = 4


class Api:
    """A client of /graphql, anonymous or signed in."""

    def __init__(self, user: User | None = None) -> None:
        self.client = Client()
        if user:
            self.client.force_login(user)

    def __call__(self, query: str, **variables: Any) -> Any:
        response = self.client.post(
            "/graphql", json.dumps({"query": query, "variables": variables}), content_type="application/json"
        )
        return json.loads(response.content)

    def data(self, query: str, **variables: Any) -> Any:
        """The data of a response without errors."""
        answer = self(query, **variables)
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def error(self, query: str, **variables: Any) -> tuple[str, str]:
        """Code and message of the only error."""
        [error] = self(query, **variables)["errors"]
        return error["extensions"]["code"], error["message"]


def user_with(*permissions: str) -> User:
    """A new user with these permissions."""
    user = User.objects.create_user(f"user-{User.objects.count()}")
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


@pytest.fixture(autouse=True)
def no_broker(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Collects the tasks that are sent to workers, since no worker runs in these tests."""
    sent: list[Any] = []
    monkeypatch.setattr(
        "celery.current_app.send_task", lambda name, *_, **options: sent.append((name, options.get("kwargs")))
    )
    return sent


@pytest.fixture
def subscribed(servers: Any) -> None:
    """Waits until this process is subscribed to invalidations, which also closes the breaker of the cache."""
    assert mirror.wait_until_subscribed(30)


@pytest.fixture
def anonymous() -> Api:
    return Api()


@pytest.fixture
def recruiter(db: None) -> Api:
    return Api(user_with("view_candidate", "change_posting", "change_candidate"))


@pytest.fixture
def corpus(db: None, clean_cache: None) -> EmbeddingModel:
    """Thirty postings, three candidates, and an active model of four dimensions.

    The vector of posting n is at an angle of n × 3 degrees to those of the candidates.
    """
    upsert_postings(
        [
            PostingInput.model_validate(
                {
                    "external_id": f"p{number}",
                    "title": f"Posting {number}",
                    "company": f"Company {number % 4}",
                    "city": "Oslo" if number % 2 else "Bergen",
                    "country": "NO",
                    "skills": ["Python", "PostgreSQL"][: number % 3],
                    "salary_max": 50_000 + 1_000 * number,
                    "salary_currency": "EUR",
                    "experience_years": number % 5,
                    "published_at": f"2026-11-{number % 28 + 1:02}",
                }
            )
            for number in range(30)
        ]
    )
    upsert_candidates(
        [
            CandidateInput(external_id=f"c{number}", headline=f"Candidate {number}", skills=["Python"])
            for number in range(3)
        ]
    )
    model = EmbeddingModel.objects.create(name="test", dimensions=DIMENSIONS, state="active")
    for posting in Posting.objects.all():
        angle = np.radians(3 * int(posting.external_id[1:]))
        vector = [float(np.cos(angle)), float(np.sin(angle)), 0.0, 0.0]
        PostingEmbedding.objects.create(
            posting=posting, model=model, content_hash=posting.content_hash, vector=vector
        )
    for candidate in Candidate.objects.all():
        CandidateEmbedding.objects.create(
            candidate=candidate, model=model, content_hash=candidate.content_hash, vector=[1.0, 0.0, 0.0, 0.0]
        )
    return model


def key(external_id: str) -> str:
    """The primary key of a posting or candidate, as an argument of type ID."""
    rows = Posting.objects if external_id.startswith("p") else Candidate.objects
    return str(rows.get(external_id=external_id).pk)


def names(connection: Any) -> list[str]:
    """The external ids of the rows of a connection, in order."""
    return [edge["node"]["externalId"] for edge in connection["edges"]]
