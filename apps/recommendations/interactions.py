"""What candidates do with postings."""

from collections.abc import Sequence

from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from apps.caching.services import invalidate_on_commit
from apps.candidates.models import Candidate
from apps.embeddings.kinds import tables
from apps.embeddings.models import EmbeddingModel, Kind
from apps.postings.models import Posting
from apps.recommendations.models import Interaction
from apps.recommendations.profiles import NotFoundError

# What a candidate likes, by these.
LIKED = (Interaction.Action.SAVED, Interaction.Action.APPLIED)
LATEST_LIKED = 20  # postings that say what interests a candidate now
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
    if action in LIKED + FINAL:  # others change no recommendation
        invalidate_on_commit(["candidates"], [candidate_id], lists=False)  # no list over candidates shows it
    return interaction


def done_with(candidate_id: int) -> QuerySet[Interaction, int]:
    """Keys of the postings that are not to be recommended to the candidate again."""
    return Interaction.objects.filter(candidate_id=candidate_id, action__in=FINAL).values_list(
        "posting_id", flat=True
    )


def interest(candidate_id: int, posting_ids: Sequence[int], *, model: EmbeddingModel) -> dict[int, float]:
    """How near each posting is to what the candidate saved or applied for lately: the highest cosine to another one.

    Dismissed postings say nothing here, even if they were saved before. Empty where nothing was liked.
    """
    names = tables(Kind.POSTING)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH liked AS MATERIALIZED (
                SELECT posting_id, vector FROM (
                    SELECT posting_id FROM {Interaction._meta.db_table}
                    WHERE candidate_id = %(candidate)s GROUP BY posting_id
                    HAVING bool_or(action = ANY (%(liked)s)) AND NOT bool_or(action = %(dismissed)s)
                    ORDER BY max(at) FILTER (WHERE action = ANY (%(liked)s)) DESC, posting_id LIMIT %(latest)s) AS liked
                JOIN {names.embedding} USING (posting_id) WHERE model_id = %(model)s
            )
            SELECT embedding.posting_id, 1 - min(embedding.vector <=> liked.vector)
            FROM {names.embedding} AS embedding JOIN liked ON liked.posting_id <> embedding.posting_id
            WHERE embedding.model_id = %(model)s AND embedding.posting_id = ANY (%(ids)s)
            GROUP BY embedding.posting_id
            """,
            {
                "candidate": candidate_id,
                "liked": [str(action) for action in LIKED],
                "dismissed": str(Interaction.Action.DISMISSED),
                "model": model.pk,
                "latest": LATEST_LIKED,
                "ids": list(posting_ids),
            },
        )
        return dict(cursor.fetchall())
