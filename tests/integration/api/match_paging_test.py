"""Pages of matches while the corpus changes between them."""

from typing import Any

import pytest

from apps.embeddings.models import EmbeddingModel, PostingEmbedding
from apps.postings.models import Posting
from apps.postings.services import after_edit
from apps.recommendations.interactions import record_interaction
from tests.integration.api.conftest import Api, key

pytestmark = pytest.mark.usefixtures("corpus")

PAGE = """query($id: ID!, $after: String) { recommendedPostings(candidateId: $id, first: 6, after: $after) {
    totalCount pageInfo { hasNextPage endCursor } edges { node { externalId } } } }"""


class Reader:
    """Reads the list page by page."""

    def __init__(self, api: Api) -> None:
        self.api, self.candidate = api, key("c1")
        self.pages: list[list[str]] = []
        self.more, self.cursor, self.total = True, None, 0

    def read(self) -> None:
        """Read the next page."""
        data = self.api.data(PAGE, id=self.candidate, after=self.cursor)["recommendedPostings"]
        self.pages.append([edge["node"]["externalId"] for edge in data["edges"]])
        self.more, self.cursor = data["pageInfo"]["hasNextPage"], data["pageInfo"]["endCursor"]
        self.total = data["totalCount"]

    @property
    def found(self) -> list[str]:
        """External ids of all rows read so far."""
        return [name for page in self.pages for name in page]


def set_vector(posting: Posting, vector: list[float]) -> None:
    """Give a posting a vector and invalidate the caches that show it."""
    PostingEmbedding.objects.update_or_create(
        posting=posting,
        model=EmbeddingModel.objects.get(),
        defaults={"content_hash": posting.content_hash, "vector": vector},
    )
    after_edit(posting)


def test_pages_of_matches_hold_every_remaining_row_once_when_rows_are_added_edited_and_closed(
    recruiter: Api, django_capture_on_commit_callbacks: Any
) -> None:
    reader = Reader(recruiter)
    reader.read()
    first, last = reader.found[0], "p28"
    with django_capture_on_commit_callbacks(execute=True):
        # A row of the first page moves to the end, one of a later page to the top, and a new one above all.
        set_vector(Posting.objects.get(external_id=first), [-1.0, 0.0, 0.0, 0.0])
        set_vector(Posting.objects.get(external_id=last), [1.0, 0.0, 0.0, 0.0])
        set_vector(Posting.objects.create(external_id="new", title="New"), [1.0, 0.0, 0.0, 0.0])
    reader.read()
    closed = ({f"p{number}" for number in range(28)} - set(reader.found)).pop()
    with django_capture_on_commit_callbacks(execute=True):
        Posting.objects.filter(external_id=closed).update(status="closed")
        after_edit(Posting.objects.get(external_id=closed))
    while reader.more:
        reader.read()
    assert sorted(reader.found) == sorted({f"p{number}" for number in range(30)} - {closed})
    assert reader.total == 29
    # A new reader gets the current list.
    other = Reader(recruiter)
    while other.more:
        other.read()
    assert sorted(other.found) == sorted({"new", *(f"p{number}" for number in range(30))} - {closed})
    assert last in other.pages[0]
    assert first not in other.pages[0]


def test_later_pages_of_matches_leave_out_a_posting_that_was_dismissed_between_pages(
    recruiter: Api, django_capture_on_commit_callbacks: Any
) -> None:
    reader = Reader(recruiter)
    reader.read()
    with django_capture_on_commit_callbacks(execute=True):
        record_interaction(int(key("c1")), int(key("p28")), "dismissed")
    while reader.more:
        reader.read()
    assert sorted(reader.found) == sorted({f"p{number}" for number in range(30)} - {"p28"})


def test_paging_continues_in_a_new_list_when_the_cached_one_has_expired(
    recruiter: Api, clean_cache: None
) -> None:
    from django.core.cache import caches

    from apps.recommendations.services import match_cache

    reader = Reader(recruiter)
    reader.read()
    caches["default"].clear()
    match_cache.clear_l1()
    while reader.more:
        reader.read()
    assert sorted(reader.found) == sorted(f"p{number}" for number in range(30))


@pytest.mark.parametrize("after", ["nonsense", "WyJtYXRjaCIsIi4uLyIsMC41LDFd", "WyJuZXdlc3QiLG51bGwsMV0"])
def test_a_cursor_of_another_list_is_refused(recruiter: Api, after: str) -> None:
    code, message = recruiter.error(PAGE, id=key("c1"), after=after)
    assert code == "BAD_USER_INPUT"
    assert message.startswith("after: is not a cursor of this list")
