"""Fitting the weights of the ranking to interactions."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from apps.candidates.inputs import CandidateInput
from apps.candidates.models import Candidate
from apps.candidates.services import upsert_candidates
from apps.embeddings.models import CandidateEmbedding, EmbeddingModel, PostingEmbedding
from apps.postings.inputs import PostingInput
from apps.postings.models import Posting
from apps.postings.services import upsert_postings
from apps.recommendations.models import Interaction
from apps.recommendations.weights import SHIPPED, read_ranking

pytestmark = pytest.mark.django_db


@pytest.fixture
def model(clean_cache: None) -> EmbeddingModel:
    """Eight candidates and ten postings with an active model, whose vectors say nothing."""
    model = EmbeddingModel.objects.create(name="test/model", dimensions=4, state=EmbeddingModel.State.ACTIVE)
    upsert_postings(
        [
            PostingInput.model_validate(
                {
                    "external_id": f"p{number}",
                    "title": f"Posting {number}",
                    "salary_max": 30_000 + 5_000 * number,
                    "salary_currency": "EUR",
                }
            )
            for number in range(10)
        ]
    )
    upsert_candidates(
        [
            CandidateInput.model_validate(
                {
                    "external_id": f"c{number}",
                    "headline": f"Candidate {number}",
                    "salary_min": 80_000,
                    "salary_currency": "EUR",
                }
            )
            for number in range(8)
        ]
    )
    vector = [1.0, 0.0, 0.0, 0.0]
    for posting in Posting.objects.all():
        PostingEmbedding.objects.create(
            posting=posting, model=model, content_hash=posting.content_hash, vector=vector
        )
    for candidate in Candidate.objects.all():
        CandidateEmbedding.objects.create(
            candidate=candidate, model=model, content_hash=candidate.content_hash, vector=vector
        )
    return model


def act(candidate: Candidate, posting: str, action: str) -> None:
    """Record an interaction."""
    Interaction.objects.create(
        candidate=candidate,
        posting=Posting.objects.get(external_id=posting),
        action=action,
        at=timezone.now(),
    )


def run(*arguments: str) -> str:
    """Run the command and return its output."""
    output = StringIO()
    call_command("fit_ranking", *arguments, "--no-progress", stdout=output)
    return output.getvalue()


def test_fit_raises_the_weight_of_what_candidates_choose_by_and_writes_a_file(
    model: EmbeddingModel, tmp_path: Path, settings: Any
) -> None:
    for candidate in Candidate.objects.all():  # they apply for what pays well and dismiss the rest
        for number in range(10):
            act(candidate, f"p{number}", "applied" if number > 7 else "dismissed" if number % 2 else "viewed")
    out = tmp_path / "weights.json"
    report = run("--out", str(out))
    assert "nDCG@10 on held-out candidates" in report
    fitted, shipped = read_ranking(out), read_ranking(SHIPPED)
    assert fitted.weights["salary"] > 2 * shipped.weights["salary"]
    assert fitted.weights["vector"] == shipped.weights["vector"]
    assert fitted.weights["named"] == shipped.weights["named"]
    assert "salary" in json.loads(out.read_text())["fitted"]["parts"]
    settings.RANKING_FILE = str(out)
    with pytest.raises(CommandError, match="exists"):
        run("--out", str(out))


def test_fit_refuses_too_few_interactions(model: EmbeddingModel, tmp_path: Path) -> None:
    candidate = Candidate.objects.first()
    assert candidate is not None
    act(candidate, "p1", "saved")
    act(candidate, "p1", "dismissed")
    act(candidate, "p2", "viewed")
    with pytest.raises(CommandError, match="too few interactions"):
        run("--out", str(tmp_path / "weights.json"))
    assert not list(tmp_path.iterdir())
