from collections.abc import Sequence
from typing import Any

import graphene

from apps.api.access import require
from apps.api.enums import enum_value
from apps.api.errors import UnavailableError, bad_field
from apps.caching import generations, tags
from apps.caching.mirror import mirror
from apps.caching.shared import CacheUnavailableError


class CacheNamespace(graphene.Enum):
    """What cached answers are about."""

    POSTINGS = "postings"
    CANDIDATES = "candidates"
    SKILLS = "skills"


class InvalidateCache(graphene.Mutation):
    """Makes every web process answer fresh, as after a change behind jobrec's back. For users who may change runs."""

    class Arguments:
        namespaces = graphene.List(
            graphene.NonNull(CacheNamespace), required=True, description="What changed, at least one"
        )
        ids = graphene.List(
            graphene.NonNull(graphene.Int),
            description="Primary keys of the rows that changed; all by default",
        )

    processes_reached = graphene.Int(required=True, description="Web processes that listened")

    @staticmethod
    def mutate(
        _root: None, info: Any, namespaces: Sequence[Any], ids: Sequence[int] | None = None
    ) -> "InvalidateCache":
        require(info, "embeddings.change_embeddingrun")
        if not namespaces:
            raise bad_field("namespaces", "name at least one")
        changed = tags.changed([enum_value(each) for each in namespaces], ids or ())
        try:
            raised, reached = generations.increment_tags(changed)
        except CacheUnavailableError as error:
            raise UnavailableError("the shared cache does not answer: try again later") from error
        mirror.learn(raised)
        return InvalidateCache(processes_reached=reached)


class CacheMutations(graphene.ObjectType):
    invalidate_cache = InvalidateCache.Field(required=True)
