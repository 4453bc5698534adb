"""Deletion of old runs and dead letters."""

from datetime import timedelta

import pytest
from django.utils import timezone

from apps.embeddings.models import DeadLetter, EmbeddingChunk, EmbeddingRun, Invalidation
from apps.embeddings.pruning import delete_expired
from tests.integration.embeddings.factories import make_model, make_postings

pytestmark = pytest.mark.django_db


def test_delete_expired_deletes_only_old_and_closed_records() -> None:
    make_postings(1)
    long_ago = timezone.now() - timedelta(days=365)
    model = make_model()

    def run(**changes) -> EmbeddingRun:
        values = {"kind": "posting", "model": model, "state": "finished", "finished_at": long_ago} | changes
        made = EmbeddingRun.objects.create(**values)
        EmbeddingChunk.objects.create(
            run=made, number=0, wave=0, row_ids=[1], rows=1, text_bytes=1, state="written"
        )
        return made

    old, recent = run(), run(finished_at=timezone.now())
    is_open = run(state="paused", finished_at=None)
    unheard, heard, with_letter = run(), run(), run()
    Invalidation.objects.create(run=unheard)
    Invalidation.objects.create(run=heard, acknowledged_at=long_ago)
    for row_id, state in enumerate(("open", "discarded", "cleared", "replayed")):
        DeadLetter.objects.create(
            kind="posting",
            row_id=row_id,
            model=model,
            run=with_letter,
            content_hash=b"x",
            step="encode",
            state=state,
        )
    DeadLetter.objects.update(updated_at=long_ago)

    pruned = delete_expired()
    assert (pruned.runs, pruned.chunks, pruned.dead_letters) == (2, 2, 2)
    kept = set(EmbeddingRun.objects.values_list("pk", flat=True))
    assert kept == {recent.pk, is_open.pk, unheard.pk, with_letter.pk}
    assert old.pk not in kept and heard.pk not in kept
    assert set(DeadLetter.objects.values_list("state", flat=True)) == {"open", "discarded"}
    assert delete_expired() == type(pruned)(0, 0, 0)
