"""The query `node`: any object by its global id, as Relay's clients refetch it."""

from collections.abc import Callable
from typing import Any

import graphene
from graphene import relay

from apps.api.access import require, require_for_candidate
from apps.api.candidates.queries import VIEW_CANDIDATES
from apps.api.errors import bad_field
from apps.api.fields import PER_READER, RootField
from apps.api.ids import type_and_key
from apps.api.records import CANDIDATES, POSTINGS
from apps.embeddings.models import DeadLetter, EmbeddingRun
from apps.postings.models import Company


def _candidate(info: Any, key: int) -> Any:
    require_for_candidate(info, key, VIEW_CANDIDATES)
    return CANDIDATES.node(key)


def _run(info: Any, key: int) -> Any:
    require(info, "embeddings.view_embeddingrun")
    return EmbeddingRun.objects.select_related("model").with_progress().filter(pk=key).first()


def _dead_letter(info: Any, key: int) -> Any:
    require(info, "embeddings.view_deadletter")
    return DeadLetter.objects.select_related("model").filter(pk=key).first()


# By type name: the object with a primary key, or None. They check permissions as the other queries do.
READERS: dict[str, Callable[[Any, int], Any]] = {
    "Posting": lambda _info, key: POSTINGS.node(key),
    "Company": lambda _info, key: Company.objects.filter(pk=key).first(),
    "Candidate": _candidate,
    "EmbeddingRun": _run,
    "DeadLetter": _dead_letter,
}


class NodeQueries(graphene.ObjectType):
    """The query of this module, as a part of the schema's Query."""

    node = RootField(
        relay.Node,
        cost=0,
        reads=PER_READER,
        id=graphene.ID(required=True, description="Global id of the object"),
        description="Any object by its global id, null if it does not exist. Its type decides who may see it",
    )

    @staticmethod
    def resolve_node(_root: None, info: Any, id: str) -> Any:  # noqa: A002  named by the schema
        """Return the object of the type and key in a global id. Raises BadInputError and access errors."""
        name, key = type_and_key(id, argument="id")
        if name not in READERS:
            raise bad_field("id", f"{id[:40]!r} is the id of no type of {', '.join(sorted(READERS))}")
        return READERS[name](info, key)
