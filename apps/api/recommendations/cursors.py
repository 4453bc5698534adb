"""Paging through ranked matches: a cursor names the list that its page was cut from, and a place in it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from apps.api.errors import bad_field
from apps.api.paging import Page, decode, encode, page_size
from apps.recommendations.matches import Match

ORDER = "match"
SNAPSHOT = re.compile(r"[0-9a-f]{24}")


@dataclass(frozen=True)
class MatchCursor:
    """`snapshot` names the list. The place is a score and a key: it also holds in a newer list of the same question."""

    snapshot: str
    score: float
    row_id: int

    @classmethod
    def parse(cls, cursor: str) -> "MatchCursor":
        """Raises BadInputError."""
        snapshot, score, row_id = decode(cursor, ORDER, 3)
        if (
            not isinstance(snapshot, str)
            or not SNAPSHOT.fullmatch(snapshot)
            or not isinstance(score, int | float)
            or not isinstance(row_id, int)
        ):
            raise bad_field("after", "is no cursor of this list")
        return cls(snapshot, score, row_id)

    def is_before(self, match: Match) -> bool:
        return (-match.score, match.row_id) > (-self.score, self.row_id)

    def __str__(self) -> str:
        return encode(ORDER, [self.snapshot, self.score, self.row_id])


def page_of_matches(
    items: Sequence[Match], *, snapshot: str, first: int | None, after: MatchCursor | None
) -> Page:
    """One page of a list sorted by descending score, then ascending key. Raises BadInputError for a wrong `first`."""
    size = page_size(first)
    rest = items if after is None else [match for match in items if after.is_before(match)]
    shown = rest[:size]
    cursors = [str(MatchCursor(snapshot, match.score, match.row_id)) for match in shown]
    return Page(shown, cursors, has_next=len(rest) > size, has_previous=after is not None)
