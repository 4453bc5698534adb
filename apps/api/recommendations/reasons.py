"""The reasons of the matches of one page, computed only if a request asks for them."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from apps.embeddings.models import EmbeddingModel, Kind
from apps.recommendations.matches import Match
from apps.recommendations.reasons import CarryingSentences, WhatIf, carrying_sentences, texts_of, what_if
from apps.rpc.errors import RpcError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SeekerText:
    """Where the text comes from that matches were found for: a stored row, or the text itself."""

    kind: Kind
    row_id: int | None = None
    text: str = ""

    def read(self) -> str:
        """The text; empty if the row was deleted."""
        return self.text if self.row_id is None else texts_of(self.kind, [self.row_id]).get(self.row_id, "")


@dataclass
class PageReasons:
    """The reasons of `matches`, rows of `kind`. `share` is the share of the text scores in their list."""

    kind: Kind
    matches: Sequence[Match]
    seeker: SeekerText
    share: float

    @cached_property
    def _sentences(self) -> dict[int, CarryingSentences] | None:
        """None if they could not be computed."""
        model = EmbeddingModel.objects.active()
        if model is None:
            return None
        ids = [match.row_id for match in self.matches]
        try:
            return carrying_sentences(self.kind, ids, self.seeker.read(), model)
        except RpcError as error:
            logger.warning("Cannot embed the sentences of a page: %s", error)
            return None

    @cached_property
    def _what_if(self) -> dict[int, list[WhatIf]]:
        posting_id = self.seeker.row_id if self.kind == Kind.CANDIDATE else None
        return what_if(self.kind, self.matches, posting_id=posting_id, share=self.share)

    def sentences_of(self, match: Match, context: Any) -> CarryingSentences | None:
        """The sentences that carry a match. A response that lacks them is not cached."""
        if self._sentences is None:
            context.is_cacheable = False
            return None
        return self._sentences.get(match.row_id)

    def what_if_of(self, match: Match) -> list[WhatIf]:
        """What one more skill would change; [] for postings that are similar to a posting."""
        if self.kind == self.seeker.kind:
            return []
        return self._what_if.get(match.row_id, [])


@dataclass(frozen=True)
class ReasonedMatch(Match):
    """A match with the reasons of its page."""

    page: PageReasons = field(compare=False, repr=False)
