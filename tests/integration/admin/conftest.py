"""Users, rows and messages for the tests of the admin."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from apps.candidates.inputs import CandidateInput
from apps.candidates.models import Candidate
from apps.candidates.services import upsert_candidates
from apps.embeddings.chunk_ledger import finish_run, store_vectors, write_chunk
from apps.embeddings.dead_letters import FailedText
from apps.embeddings.models import EmbeddingModel, EmbeddingRun
from apps.embeddings.reading import read_texts
from apps.postings.inputs import PostingInput
from apps.postings.models import Posting
from apps.postings.services import upsert_postings
from apps.recommendations.interactions import record_interaction
from tests.integration.embeddings.factories import embedded, lease_of, make_model, planned_run


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The messages to the workers, recorded instead of sent."""
    messages: list[Any] = []
    monkeypatch.setattr(
        "celery.current_app.send_task",
        lambda name, **options: messages.append((name, options.get("args"), options.get("kwargs"))),
    )
    return messages


@pytest.fixture
def administrator(db: None, clean_cache: None, client: Client) -> Client:
    """A client that is signed in as a superuser."""
    client.force_login(User.objects.create_superuser("chief"))
    return client


def member_of(group: str) -> Client:
    """A client that is signed in as a new member of a group."""
    user = User.objects.create_user(f"of-{group}".lower(), is_staff=True)
    user.groups.add(Group.objects.get(name=group))
    client = Client()
    client.force_login(user)
    return client


def fill(count: int) -> None:
    """Add `count` rows to every table: runs with a written chunk and a dead letter each."""
    before = Posting.objects.count()
    upsert_postings(
        [
            PostingInput.model_validate(
                {
                    "external_id": f"p{number}",
                    "title": f"Posting {number}",
                    "company": f"Company {number}",
                    "job_family": f"Family {number}",
                    "description": "Docker",
                    "skills": ["Python", f"Skill {number}"],
                    "published_at": "2026-11-01",
                }
            )
            for number in range(before, before + count)
        ]
    )
    upsert_candidates(
        [
            CandidateInput(external_id=f"c{number}", headline=f"Candidate {number}", skills=["Python"])
            for number in range(before, before + count)
        ]
    )
    for posting, candidate in zip(
        Posting.objects.all()[:count], Candidate.objects.all()[:count], strict=True
    ):
        record_interaction(candidate.pk, posting.pk, "saved")
    model = EmbeddingModel.objects.active() or make_model(state=EmbeddingModel.State.ACTIVE)
    make_model(name=f"filling from {before}")
    for number in range(count):
        embed_all_but_one(model, number)


def embed_all_but_one(model: EmbeddingModel, number: int) -> EmbeddingRun:
    """A finished run over the pending postings, of which the newest cannot be embedded."""
    newest = Posting.objects.order_by("-pk")
    newest.filter(pk__in=newest.values("pk")[:2]).update(title=f"Edited {number}")
    run = planned_run(model)
    for chunk in run.chunks.all():
        lease = lease_of(chunk)
        texts, _ = read_texts(lease)
        bad = [text for text in texts if newest[0].pk in text.row_ids]
        good = [
            each for each in embedded(lease) if each.content_hash not in {text.content_hash for text in bad}
        ]
        store_vectors(
            lease, good, [FailedText(text, "encode", "RuntimeError: odd", "line 7") for text in bad]
        )
        write_chunk(chunk.pk)
    assert finish_run(run.pk)
    return run
