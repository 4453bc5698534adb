"""What candidates do with postings."""

from django.db import transaction
from django.utils import timezone

from apps.caching.services import invalidate_on_commit
from apps.candidates.models import Candidate
from apps.postings.models import Posting
from apps.recommendations.models import Interaction
from apps.recommendations.profiles import NotFoundError

# After these, the posting is not recommended to the candidate again.
FINAL = (Interaction.Action.APPLIED, Interaction.Action.DISMISSED)


@transaction.atomic
def record_interaction(candidate_id: int, posting_id: int, action: str) -> Interaction:
    """The interaction with the time of now, new or renewed. Idempotent but for the time.

    Raises NotFoundError where the candidate or the posting is not there.
    """
    # Locked, so that neither is deleted before the interaction stands.
    if not Candidate.objects.select_for_update(no_key=True).filter(pk=candidate_id).values_list("pk").first():
        raise NotFoundError(f"there is no candidate {candidate_id}")
    if not Posting.objects.select_for_update(no_key=True).filter(pk=posting_id).values_list("pk").first():
        raise NotFoundError(f"there is no posting {posting_id}")
    interaction, _ = Interaction.objects.update_or_create(
        candidate_id=candidate_id, posting_id=posting_id, action=action, defaults={"at": timezone.now()}
    )
    invalidate_on_commit(["candidates"], [candidate_id], lists=False)  # no list over candidates shows it
    return interaction


def done_with(candidate_id: int) -> list[int]:
    """Postings that are not to be recommended to the candidate again."""
    return list(
        Interaction.objects.filter(candidate_id=candidate_id, action__in=FINAL).values_list(
            "posting_id", flat=True
        )
    )
