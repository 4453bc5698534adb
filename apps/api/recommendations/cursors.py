"""Paging through ranked matches: a cursor names the ranked list of its page, and a position in it."""

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass

from apps.api.paging import Page, bad_cursor, decode_cursor, encode_cursor, page_size
from apps.recommendations.matches import Match

ORDER = "match"
SNAPSHOT = re.compile(r"[0-9a-f]{24}")


@dataclass(frozen=True)
class MatchCursor:
    """The ranked list `snapshot`, and the score and key of the match after which a page starts.

    Score and key are also a position in a newer list for the same query, which replaces an expired one.
    """

    snapshot: str
    score: float
    row_id: int

    @classmethod
    def parse(cls, cursor: str) -> "MatchCursor":
        """Read the cursor that a client sent. Raises BadInputError."""
        snapshot, score, row_id = decode_cursor(cursor, ORDER, 3)
        if (
            not isinstance(snapshot, str)
            or not SNAPSHOT.fullmatch(snapshot)
            or not isinstance(score, int | float)
            or not isinstance(row_id, int)
        ):
            raise bad_cursor()
        return cls(snapshot, score, row_id)

    def is_before(self, match: Match) -> bool:
        """True if the match comes after this position."""
        return (-match.score, match.row_id) > (-self.score, self.row_id)

    def __str__(self) -> str:
        return encode_cursor(ORDER, [self.snapshot, self.score, self.row_id])


def page_of_matches(
    matches: Sequence[Match],
    *,
    visible: Container[int],
    snapshot: str,
    first: int | None,
    after: MatchCursor | None,
) -> Page:
    """One page of a ranked list, without the rows that are not `visible`.

    It begins after the row of the cursor; where a newer list lacks that row, with the rows of lower scores.
    Raises BadInputError for a wrong `first`.
    """
    size = page_size(first)
    rest = list(matches if after is None else _after(matches, after))
    rest = [match for match in rest if match.row_id in visible]
    items = rest[:size]
    cursors = [str(MatchCursor(snapshot, match.score, match.row_id)) for match in items]
    return Page(items, cursors, has_next=len(rest) > size, has_previous=after is not None)


def _after(matches: Sequence[Match], cursor: MatchCursor) -> Sequence[Match]:
    for place, match in enumerate(matches, start=1):
        if match.row_id == cursor.row_id and match.score == cursor.score:
            return matches[place:]
    return [match for match in matches if cursor.is_before(match)]
