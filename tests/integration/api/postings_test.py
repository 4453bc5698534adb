"""postings, posting, upsertPosting over HTTP."""

import base64
import itertools
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.postings.models import Posting
from apps.records.models import EnglishLevel
from tests.integration.api.conftest import Api, key, names, user_with

pytestmark = pytest.mark.usefixtures("corpus")

ORDERS = ["NEWEST", "HIGHEST_SALARY", "LAST_CHANGED", "LAST_ADDED"]
# Of the format that also named the rows shown before it.
EARLIER_CURSOR = base64.urlsafe_b64encode(
    b'["newest","2026-11-20T00:00:00+00:00",7,"2026-11-28T00:00:00+00:00","0123456789abcdef01234567",20]'
).decode()
PAGE = """
    query($first: Int, $after: String, $orderBy: PostingOrder, $filter: PostingFilter) {
      postings(first: $first, after: $after, orderBy: $orderBy, filter: $filter) {
        totalCount pageInfo { hasNextPage endCursor }
        edges {
          cursor
          node { externalId title company { name } skills { name category } salaryMax publishedAt }
        }
      }
    }
"""


def all_pages(api: Api, size: int, between: Any = lambda: None, **variables: Any) -> list[str]:
    """External ids of the whole list; calls `between` after each page but the last."""
    found: list[str] = []
    after = None
    while True:
        data = api.data(PAGE, first=size, after=after, **variables)
        found += names(data["postings"])
        if not data["postings"]["pageInfo"]["hasNextPage"]:
            return found
        after = data["postings"]["pageInfo"]["endCursor"]
        between()


@pytest.mark.parametrize("order", ORDERS)
def test_pages_hold_every_posting_once_in_order(anonymous: Api, order: str) -> None:
    Posting.objects.filter(external_id__in=["p3", "p9"]).update(salary_max=None, published_at=None)
    found = all_pages(anonymous, 7, orderBy=order)
    assert len(found) == len(set(found)) == 30
    if order == "HIGHEST_SALARY":
        assert found[:2] == ["p29", "p28"]
        assert found[-2:] == ["p9", "p3"]


@pytest.mark.parametrize("order", ORDERS)
def test_pages_hold_every_remaining_posting_once_when_others_are_added_and_deleted_between_pages(
    anonymous: Api, order: str
) -> None:
    turns = itertools.count(0, 10)

    def change() -> None:
        turn = next(turns)
        Posting.objects.filter(external_id=f"p{turn}").delete()
        Posting.objects.create(external_id=f"new{turn}", title="New", published_at="2026-11-30T00:00Z")

    found = all_pages(anonymous, 8, between=change, orderBy=order)
    remaining = {f"p{number}" for number in range(30)} - {"p0", "p10", "p20"}
    assert len(found) == len(set(found))
    assert remaining <= set(found)


def edit_between_pages(**values: Any) -> Callable[[], None]:
    """A function that gives the values to one posting of the first page and to one of the last page."""

    def edit() -> None:
        for posting in Posting.objects.filter(external_id__in=["p1", "p28"]):
            for name, value in values.items():
                setattr(posting, name, value)
            posting.save()

    return edit


def test_pages_hold_every_posting_once_when_rows_are_edited_in_the_order_last_added(anonymous: Api) -> None:
    before = all_pages(anonymous, 100, orderBy="LAST_ADDED")
    edit = edit_between_pages(published_at="2026-12-01T00:00Z", salary_max=900_000, title="Edited")
    assert all_pages(anonymous, 7, between=edit, orderBy="LAST_ADDED") == before


@pytest.mark.parametrize("order", ["NEWEST", "HIGHEST_SALARY"])
def test_pages_hold_every_posting_once_when_values_of_other_columns_are_edited(
    anonymous: Api, order: str
) -> None:
    before = all_pages(anonymous, 100, orderBy=order)
    edit = edit_between_pages(title="Edited", city="Bodø", experience_years=40)
    assert all_pages(anonymous, 7, between=edit, orderBy=order) == before


def test_a_cursor_from_the_middle_of_a_page_returns_the_rest_of_it(anonymous: Api) -> None:
    page = anonymous.data(PAGE, first=10, orderBy="LAST_CHANGED")
    cursor = page["postings"]["edges"][4]["cursor"]
    again = [
        names(anonymous.data(PAGE, first=5, after=cursor, orderBy="LAST_CHANGED")["postings"])
        for _ in range(2)
    ]
    assert again == [names(page["postings"])[5:]] * 2


def test_total_count_of_a_long_list_is_an_estimate(anonymous: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.records.counting.MAX_EXACT_COUNT", 10)
    query = "query($f: PostingFilter) { postings(filter: $f) { totalCount totalCountIsEstimate } }"
    data = anonymous.data(query)["postings"]
    assert data["totalCountIsEstimate"] is True
    assert data["totalCount"] >= 11
    data = anonymous.data(query, f={"jobFamily": "none"})["postings"]
    assert data == {"totalCount": 0, "totalCountIsEstimate": False}


@pytest.mark.parametrize(
    ("given", "count"),
    [
        ({"location": "OSLO"}, 15),
        ({"location": "no", "company": "company 1"}, 8),
        ({"skills": ["python3", "Postgres"]}, 10),
        ({"skills": ["unheard of"]}, 0),
        ({"experienceYears": "1"}, 12),
        ({"salaryMin": "70000", "salaryCurrency": "eur"}, 10),
        ({"salaryMin": "70000"}, 0),  # dollars, by default
        ({"publishedSince": "2026-11-20T00:00:00+00:00"}, 9),
        ({"remote": True}, 2),
        ({"remote": False}, 28),
        ({"openOnly": True}, 28),
        ({"openOnly": False}, 30),
        ({"englishLevel": "INTERMEDIATE"}, 28),
        ({"englishLevel": "FLUENT"}, 30),
        ({"jobFamily": "data"}, 3),
        ({"employmentType": "CONTRACT"}, 2),
        ({"source": "elsewhere"}, 1),
    ],
)
def test_total_count_with_a_filter_is_that_of_the_rows_that_meet_it(
    anonymous: Api, given: dict[str, Any], count: int
) -> None:
    def edit(*names: str, **values: Any) -> None:
        Posting.objects.filter(external_id__in=names).update(**values)

    edit("p1", "p2", remote=True, english_level=EnglishLevel.FLUENT)
    edit("p3", english_level=EnglishLevel.INTERMEDIATE)
    edit("p4", status="closed")
    edit("p5", closes_at="2026-11-01T00:00Z")
    edit("p6", "p7", "p8", job_family="Data")
    edit("p6", "p9", employment_type="contract")
    edit("p10", source="elsewhere")
    assert anonymous.data(PAGE, first=1, filter=given)["postings"]["totalCount"] == count


def test_statements_of_a_list_do_not_grow_with_the_page(anonymous: Api) -> None:
    anonymous.data(PAGE, first=1)  # to have the skill directory cached
    counts = []
    for size in (2, 30):  # of which no response is cached
        with CaptureQueriesContext(
            connection,
        ) as statements:
            anonymous.data(PAGE, first=size)
        counts.append(len(statements))
    assert counts == [2, 2]  # rows with their companies and skills, total


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"first": 0}, "first: 0 is not between 1 and 100"),
        ({"first": 101}, "first: 101 is not between 1 and 100"),
        ({"after": "nonsense"}, "after: is not a cursor of this list in this order"),
        ({"after": EARLIER_CURSOR}, "after: is not a cursor of this list in this order"),
        ({"filter": {"salaryCurrency": "euros"}}, "filter.salaryCurrency: "),
        ({"filter": {"salaryMin": "-5"}}, "filter.salaryMin: "),
    ],
)
def test_a_wrong_argument_is_named(anonymous: Api, variables: dict[str, Any], message: str) -> None:
    code, text = anonymous.error(PAGE, **variables)
    assert code == "BAD_USER_INPUT"
    assert text.startswith(message)


def test_a_cursor_of_another_order_is_refused(anonymous: Api) -> None:
    cursor = anonymous.data(PAGE, first=1, orderBy="NEWEST")["postings"]["pageInfo"]["endCursor"]
    code, _ = anonymous.error(PAGE, after=cursor, orderBy="HIGHEST_SALARY")
    assert code == "BAD_USER_INPUT"


def test_posting_is_found_by_primary_key_and_by_global_id(anonymous: Api) -> None:
    query = "query($id: ID!) { posting(id: $id) { id externalId isOpen status employmentType } }"
    found = anonymous.data(query, id=key("p4"))["posting"]
    assert (found["externalId"], found["isOpen"], found["status"], found["employmentType"]) == (
        "p4",
        True,
        "OPEN",
        None,
    )
    assert anonymous.data(query, id=found["id"])["posting"]["externalId"] == "p4"
    assert anonymous.data(query, id="999999")["posting"] is None
    assert anonymous.error(query, id="Q2FuZGlkYXRlOjE=")[0] == "BAD_USER_INPUT"  # Candidate:1


UPSERT = """
    mutation($input: PostingInput!) {
      upsertPosting(input: $input) { created posting { externalId title skills { name } company { name } } }
    }
"""


def test_upsert_creates_or_replaces_a_posting_and_asks_for_its_embedding(
    recruiter: Api, no_broker: list[Any], django_capture_on_commit_callbacks: Any
) -> None:
    given = {
        "externalId": "new",
        "title": "Nurse",
        "company": "Rowan",
        "description": "Triage.",
        "skills": ["RN"],
    }
    with django_capture_on_commit_callbacks(execute=True):
        answer = recruiter.data(UPSERT, input=given)["upsertPosting"]
    assert answer["created"] is True
    assert [each["name"] for each in answer["posting"]["skills"]] == ["Patient triage", "Registered nursing"]
    assert no_broker == [("workers.tasks.start_runs", {"kinds": ["posting"], "reason": "posting edited"})]
    again = recruiter.data(UPSERT, input=given | {"title": "Senior nurse"})["upsertPosting"]
    assert (again["created"], again["posting"]["title"]) == (False, "Senior nurse")


@pytest.mark.parametrize(
    ("values", "language"),
    [
        ({"title": "백엔드 개발자", "description": "서버를 개발합니다."}, "ko"),
        (
            {"title": "Pflegefachkraft", "description": "Wir suchen eine Pflegefachkraft für unser Team."},
            "de",
        ),
        (
            {"title": "Pflegefachkraft", "description": "Wir suchen dich für unser Team.", "language": "en"},
            "en",
        ),
        ({"title": "Nurse"}, "en"),
    ],
)
def test_upsert_detects_the_language_where_it_is_not_stated(
    recruiter: Api, no_broker: list[Any], values: dict[str, Any], language: str
) -> None:
    recruiter.data(UPSERT, input={"externalId": "new"} | values)
    assert Posting.objects.get(external_id="new").language == language


def test_upsert_of_a_wrong_value_names_it_and_writes_nothing(recruiter: Api) -> None:
    for values, field, reason in (
        ({"salaryMin": 5, "salaryMax": 1}, "salaryMax", "salaryMax 1 is less than salaryMin 5"),
        ({"salaryMin": -1}, "salaryMin", "must be at least 0, not -1.0"),
        ({"title": " "}, "title", "is empty"),
        ({"language": "English"}, "language", "must be a code such as en or pt-BR, not 'English'"),
        ({"skills": ["x" * 101]}, "skills", "entry 1: longer than 100 characters"),
    ):
        answer = recruiter(UPSERT, input={"externalId": "x", "title": "T"} | values)
        [error] = answer["errors"]
        assert error["message"] == f"input.{field}: {reason}"
        assert error["extensions"] == {"code": "BAD_USER_INPUT", "field": f"input.{field}"}
    assert not Posting.objects.filter(external_id="x").exists()


def test_upsert_without_a_permission_is_refused(anonymous: Api) -> None:
    given = {"externalId": "x", "title": "T"}
    assert anonymous.error(UPSERT, input=given)[0] == "UNAUTHENTICATED"
    assert Api(user_with("view_candidate")).error(UPSERT, input=given)[0] == "FORBIDDEN"
    assert not Posting.objects.filter(external_id="x").exists()


def test_a_signed_in_browser_without_the_csrf_token_is_refused() -> None:
    from django.test import Client

    browser = Client(enforce_csrf_checks=True)
    browser.force_login(user_with("change_posting"))
    response = browser.post("/graphql", '{"query": "{ __typename }"}', content_type="application/json")
    assert response.status_code == 403
    assert response.json()["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    anonymous = Client(enforce_csrf_checks=True)
    assert (
        anonymous.post("/graphql", '{"query": "{ __typename }"}', content_type="application/json").status_code
        == 200
    )


def test_an_unexpected_error_does_not_show_its_text(anonymous: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("secret connection string")

    monkeypatch.setattr("apps.api.records.filtered", fails)
    assert anonymous.error("{ postings { totalCount } }") == ("INTERNAL", "internal error")
