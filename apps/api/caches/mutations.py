"""Mutations that invalidate caches."""

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
    """The kinds of data that cached responses depend on."""

    POSTINGS = "postings"
    CANDIDATES = "candidates"
    SKILLS = "skills"


class InvalidateCache(graphene.Mutation):
    """Invalidate cached responses in every web process, after a change that jobrec did not make itself.

    For users who may change runs.
    """

    class Arguments:
        namespaces = graphene.List(
            graphene.NonNull(CacheNamespace),
            required=True,
            description="The kinds of data that changed, at least one",
        )
        ids = graphene.List(
            graphene.NonNull(graphene.Int),
            description="Primary keys of the rows that changed; all rows by default",
        )

    processes_reached = graphene.Int(
        required=True, description="Number of web processes that received the invalidation"
    )

    @staticmethod
    def mutate(
        _root: None, info: Any, namespaces: Sequence[Any], ids: Sequence[int] | None = None
    ) -> "InvalidateCache":
        require(info, "embeddings.change_embeddingrun")
        if not namespaces:
            raise bad_field("namespaces", "name at least one")
        changed = tags.changed([enum_value(namespace) for namespace in namespaces], ids or ())
        try:
            raised, reached = generations.increment_tags(changed)
        except CacheUnavailableError as error:
            raise UnavailableError("the shared cache does not respond; try again later") from error
        mirror.learn(raised)
        return InvalidateCache(processes_reached=reached)


class CacheMutations(graphene.ObjectType):
    """The mutations of this module, as a part of the schema's Mutation."""

    invalidate_cache = InvalidateCache.Field(required=True)
