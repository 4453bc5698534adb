"""Record what candidates do with postings, and what it says of their interest."""

from collections.abc import Sequence
from typing import Any

from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from apps.caching.services import invalidate_on_commit
from apps.candidates.models import Candidate
from apps.embeddings.models import EmbeddingModel
from apps.postings.models import Posting
from apps.recommendations.models import Interaction
from apps.recommendations.profiles import NotFoundError
from apps.sql import load

# Actions that show interest in a posting.
LIKED = (Interaction.Action.SAVED, Interaction.Action.APPLIED)
MAX_LIKED = 20  # the latest liked postings, which show what interests a candidate now
# Actions after which the posting is not recommended to the candidate again.
FINAL = (Interaction.Action.APPLIED, Interaction.Action.DISMISSED)


@transaction.atomic
def record_interaction(candidate_id: int, posting_id: int, action: str) -> Interaction:
    """Record an interaction, or set the time of an earlier one to now. Idempotent except for the time.

    Raises NotFoundError where the candidate or the posting does not exist.
    """
    # Locked, so that neither is deleted before the interaction is committed.
    if not Candidate.objects.select_for_update(no_key=True).filter(pk=candidate_id).values_list("pk").first():
        raise NotFoundError(f"there is no candidate {candidate_id}")
    if not Posting.objects.select_for_update(no_key=True).filter(pk=posting_id).values_list("pk").first():
        raise NotFoundError(f"there is no posting {posting_id}")
    interaction, _ = Interaction.objects.update_or_create(
        candidate_id=candidate_id, posting_id=posting_id, action=action, defaults={"at": timezone.now()}
    )
    if action in LIKED + FINAL:  # no other action changes a recommendation
        invalidate_on_commit(["candidates"], [candidate_id], lists=False)  # no list over candidates shows it
    return interaction


def finished_postings(candidate_id: int) -> QuerySet[Interaction, int]:
    """Keys of the postings that are not recommended to the candidate again."""
    return Interaction.objects.filter(candidate_id=candidate_id, action__in=FINAL).values_list(
        "posting_id", flat=True
    )


def interest(candidate_id: int, posting_ids: Sequence[int], *, model: EmbeddingModel) -> dict[int, float]:
    """The highest cosine of each posting to another one that the candidate lately saved or applied for.

    Dismissed postings do not count, even if they were saved before. Empty where no posting was liked.
    """
    parameters: dict[str, Any] = {
        "candidate": candidate_id,
        "liked": [str(action) for action in LIKED],
        "dismissed": str(Interaction.Action.DISMISSED),
        "model": model.pk,
        "max_liked": MAX_LIKED,
        "ids": list(posting_ids),
    }
    with connection.cursor() as cursor:
        cursor.execute(load(__file__, "interest"), parameters)
        return dict(cursor.fetchall())
