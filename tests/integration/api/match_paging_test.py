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
    """Reads on from page to page."""

    def __init__(self, api: Api) -> None:
        self.api, self.candidate = api, key("c1")
        self.pages: list[list[str]] = []
        self.more, self.cursor, self.total = True, None, 0

    def read(self) -> None:
        data = self.api.data(PAGE, id=self.candidate, after=self.cursor)["recommendedPostings"]
        self.pages.append([edge["node"]["externalId"] for edge in data["edges"]])
        self.more, self.cursor = data["pageInfo"]["hasNextPage"], data["pageInfo"]["endCursor"]
        self.total = data["totalCount"]

    @property
    def found(self) -> list[str]:
        return [name for page in self.pages for name in page]


def point(posting: Posting, vector: list[float]) -> None:
    PostingEmbedding.objects.update_or_create(
        posting=posting,
        model=EmbeddingModel.objects.get(),
        defaults={"content_hash": posting.content_hash, "vector": vector},
    )
    after_edit(posting)


def test_while_rows_are_inserted_edited_and_closed_none_comes_twice_and_none_that_stayed_is_lost(
    recruiter: Api, django_capture_on_commit_callbacks: Any
) -> None:
    reader = Reader(recruiter)
    reader.read()
    first, last = reader.found[0], "p28"
    with django_capture_on_commit_callbacks(execute=True):
        # One that was shown falls to the end, one that was to come rises to the top, a new one stands above all.
        point(Posting.objects.get(external_id=first), [-1.0, 0.0, 0.0, 0.0])
        point(Posting.objects.get(external_id=last), [1.0, 0.0, 0.0, 0.0])
        point(Posting.objects.create(external_id="new", title="New"), [1.0, 0.0, 0.0, 0.0])
    reader.read()
    closed = ({f"p{number}" for number in range(28)} - set(reader.found)).pop()
    with django_capture_on_commit_callbacks(execute=True):
        Posting.objects.filter(external_id=closed).update(status="closed")
        after_edit(Posting.objects.get(external_id=closed))
    while reader.more:
        reader.read()
    assert sorted(reader.found) == sorted({f"p{number}" for number in range(30)} - {closed})
    assert reader.total == 29
    # A new reader sees the list of now.
    other = Reader(recruiter)
    while other.more:
        other.read()
    assert sorted(other.found) == sorted({"new", *(f"p{number}" for number in range(30))} - {closed})
    assert {"new", last} <= set(other.pages[0])
    assert first not in other.pages[0]


def test_what_the_candidate_dismissed_meanwhile_is_on_no_later_page(
    recruiter: Api, django_capture_on_commit_callbacks: Any
) -> None:
    reader = Reader(recruiter)
    reader.read()
    with django_capture_on_commit_callbacks(execute=True):
        record_interaction(int(key("c1")), int(key("p28")), "dismissed")
    while reader.more:
        reader.read()
    assert sorted(reader.found) == sorted({f"p{number}" for number in range(30)} - {"p28"})


def test_where_the_list_is_gone_paging_goes_on_in_the_list_of_now(recruiter: Api, clean_cache: None) -> None:
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
def test_a_cursor_that_is_none_of_this_list_is_refused(recruiter: Api, after: str) -> None:
    code, message = recruiter.error(PAGE, id=key("c1"), after=after)
    assert code == "BAD_USER_INPUT"
    assert message.startswith("after: is not a cursor of this list")
