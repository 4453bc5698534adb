"""Statistics, skill match and the operator's queries over HTTP."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.candidates.inputs import CandidateInput
from apps.candidates.models import Candidate
from apps.candidates.services import upsert_candidates
from apps.embeddings.models import DeadLetter, EmbeddingChunk, EmbeddingModel, EmbeddingRun
from apps.postings.models import Posting
from apps.recommendations.text_index import update_text_index
from tests.integration.api.conftest import Api, key, user_with

pytestmark = pytest.mark.usefixtures("corpus")

SHARES = "{ value count percent }"


def test_top_companies_count_open_postings(anonymous: Api) -> None:
    Posting.objects.filter(external_id__in=["p0", "p4"]).update(status="closed")
    Posting.objects.filter(external_id="p8").update(company=None)
    data = anonymous.data("{ topCompanies(first: 3) { name count percent } }")["topCompanies"]
    assert data == [
        {"name": "Company 1", "count": 8, "percent": 28.57},
        {"name": "Company 2", "count": 7, "percent": 25.0},
        {"name": "Company 3", "count": 7, "percent": 25.0},
    ]


def test_dashboard_takes_one_statement_for_each_half(anonymous: Api, corpus: EmbeddingModel) -> None:
    Posting.objects.filter(external_id="p0").update(status="closed")
    Posting.objects.filter(external_id="p1").update(title="Edited")
    anonymous.data("{ skillCategories { name } }")  # to have the skill directory cached
    query = f"""{{ dashboard(kind: POSTING) {{ rows embedded embeddedPercent statistics {{ total
        skills {{ skill {{ name }} count percent }} countries {SHARES} experience {SHARES} remote {SHARES}
        companies {SHARES} jobFamilies {SHARES}
        salaries {{ currency count lowerQuartile median upperQuartile }}
    }} }} }}"""
    with CaptureQueriesContext(connection) as statements:
        data = anonymous.data(query)["dashboard"]
    counted = [each["sql"] for each in statements if "SELECT" in each["sql"]]
    assert len(counted) == 2
    assert (data["rows"], data["embedded"], data["embeddedPercent"]) == (30, 29, 96.67)
    statistics = data["statistics"]
    assert statistics["total"] == 29
    # Of p1 to p29, two of three have Python, one of three PostgreSQL too.
    assert statistics["skills"] == [
        {"skill": {"name": "Python"}, "count": 20, "percent": 68.97},
        {"skill": {"name": "PostgreSQL"}, "count": 10, "percent": 34.48},
    ]
    assert statistics["countries"] == [{"value": "NO", "count": 29, "percent": 100.0}]
    assert {each["value"]: each["count"] for each in statistics["experience"]} == {
        "0": 5,
        "1-2": 12,
        "3-5": 12,
    }
    assert statistics["remote"] == [{"value": "on site", "count": 29, "percent": 100.0}]
    assert [each["count"] for each in statistics["companies"]] == [8, 7, 7, 7]
    assert statistics["jobFamilies"] == []
    assert statistics["salaries"] == [
        {
            "currency": "EUR",
            "count": 29,
            "lowerQuartile": 58_000.0,
            "median": 65_000.0,
            "upperQuartile": 72_000.0,
        }
    ]


def test_search_statistics_count_the_rows_that_match(anonymous: Api, recruiter: Api) -> None:
    Posting.objects.filter(external_id="p8").update(
        language="de", title="Krankenschwestern", description="Nacht"
    )
    for kind in ("posting", "candidate"):
        update_text_index(kind, limit=1_000)
    query = """query($text: String, $skills: [String!], $kind: EmbeddingKind!) {
        searchStatistics(text: $text, skills: $skills, kind: $kind, first: 2) {
            total skills { skill { name } count percent } } }"""
    data = anonymous.data(query, kind="POSTING", skills=["postgres"])["searchStatistics"]
    assert data["total"] == 10
    assert {(each["skill"]["name"], each["count"], each["percent"]) for each in data["skills"]} == {
        ("PostgreSQL", 10, 100.0),
        ("Python", 10, 100.0),
    }
    for text, total in (
        ("postings 7", 1),
        ("python posting", 19),
        ("krankenschwester nachts", 1),
        ("7 nacht", 0),
    ):
        assert anonymous.data(query, kind="POSTING", text=text)["searchStatistics"]["total"] == total
    assert anonymous.data(query, kind="POSTING", skills=["unheard of"])["searchStatistics"] == {
        "total": 0,
        "skills": [],
    }
    assert anonymous.error(query, kind="CANDIDATE", text="x")[0] == "UNAUTHENTICATED"
    assert recruiter.data(query, kind="CANDIDATE", text="python")["searchStatistics"]["total"] == 3
    assert anonymous.error(query, kind="POSTING", skills=["x"] * 30) == (
        "BAD_USER_INPUT",
        "skills: 30 are too many, at most 20",
    )


def test_dashboard_shows_small_groups_of_candidates_to_recruiters_only(
    anonymous: Api, recruiter: Api
) -> None:
    def person(number: int, **more: Any) -> CandidateInput:
        return CandidateInput.model_validate({"external_id": f"n{number}", "headline": "Somebody", **more})

    upsert_candidates(
        [
            *(person(number, country="NO", salary_min=40_000, salary_currency="EUR") for number in range(5)),
            *(
                person(number, country="IS", salary_min=90_000, salary_currency="ISK")
                for number in range(5, 9)
            ),
            person(9, skills=["A skill that one alone has"]),
        ]
    )
    query = f"""{{ dashboard(kind: CANDIDATE) {{ statistics {{ total countries {SHARES}
        skills {{ skill {{ name }} }} remote {SHARES} salaries {{ currency }} }} }} }}"""
    Candidate.objects.filter(external_id="n0").update(remote=True)
    statistics = anonymous.data(query)["dashboard"]["statistics"]
    assert (statistics["total"], statistics["skills"]) == (15, [])  # three have Python
    assert statistics["countries"] == [{"value": "NO", "count": 5, "percent": 33.33}]
    assert statistics["salaries"] == []
    assert statistics["remote"] == []  # "on site" would reveal the one candidate who wants remote work
    statistics = recruiter.data(query)["dashboard"]["statistics"]
    assert [each["value"] for each in statistics["countries"]] == ["NO", "IS"]
    assert [each["currency"] for each in statistics["salaries"]] == ["EUR", "ISK"]
    assert (len(statistics["skills"]), len(statistics["remote"])) == (2, 2)


LOOK = """{ dashboard(kind: CANDIDATE, first: 100) { rows embedded statistics { total
    skills { count skill { name } }
    countries { value count } experience { value count } englishLevels { value count } remote { value count }
    salaries { currency count lowerQuartile median upperQuartile } } } }"""


def people(numbers: range, **more: Any) -> None:
    """Store candidates who share everything but their salary."""
    upsert_candidates(
        [
            CandidateInput.model_validate(
                {
                    "external_id": f"n{number}",
                    "headline": "Somebody",
                    "country": "IS",
                    "experience_years": 4,
                    "english_level": 3,
                    "salary_min": 50_100 + 1_001 * number,
                    "salary_currency": "EUR",
                    "skills": ["Python"],
                }
                | more
            )
            for number in numbers
        ]
    )


def test_public_dashboard_of_candidates_differs_by_no_single_person(
    anonymous: Api, recruiter: Api, django_capture_on_commit_callbacks: Any
) -> None:
    people(range(29))  # 32 with those of the corpus: one more moves the count to the next multiple of five
    exact, before = recruiter.data(LOOK), anonymous.data(LOOK)
    assert exact["dashboard"]["statistics"]["total"] == 32
    statistics = before["dashboard"]["statistics"]
    assert (before["dashboard"]["rows"], statistics["total"]) == (30, 30)
    assert statistics["countries"] == [{"value": "IS", "count": 30}]
    assert statistics["salaries"] == [
        {
            "currency": "EUR",
            "count": 30,
            "lowerQuartile": 57_000.0,
            "median": 64_000.0,
            "upperQuartile": 71_000.0,
        }
    ]
    for more in ({}, {"country": "NO", "remote": True}, {"salary_min": 10}):  # one person, added and edited
        with django_capture_on_commit_callbacks(execute=True):
            people(range(29, 30), **more)
        assert anonymous.data(LOOK) == before
    assert recruiter.data(LOOK) != exact
    with django_capture_on_commit_callbacks(execute=True):
        Candidate.objects.filter(external_id="n3").delete()
        people(range(29, 33))  # the counts prove three more people, which are too few
    assert anonymous.data(LOOK) == before
    with django_capture_on_commit_callbacks(execute=True):
        people(range(33, 36))
    assert anonymous.data(LOOK)["dashboard"]["statistics"]["total"] == 40  # 38


def test_public_dashboard_suppresses_small_groups_before_it_cuts_the_list(anonymous: Api) -> None:
    people(range(17))
    Candidate.objects.filter(external_id__in=["n0", "n1", "n2"]).update(remote=True)
    for first in (1, 2):
        query = f"{{ dashboard(kind: CANDIDATE, first: {first}) {{ statistics {{ remote {SHARES} }} }} }}"
        assert anonymous.data(query)["dashboard"]["statistics"]["remote"] == []


def test_skill_categories_leave_out_skills_that_a_row_added(anonymous: Api) -> None:
    somebody = {
        "external_id": "n1",
        "headline": "Somebody",
        "skills": ["A skill that one alone has", "Python"],
    }
    upsert_candidates([CandidateInput.model_validate(somebody)])
    listed = anonymous.data("{ skillCategories { name skills { name } } }")["skillCategories"]
    names = {skill["name"] for category in listed for skill in category["skills"]}
    assert "Python" in names
    assert "A skill that one alone has" not in names
    assert "Unlisted" not in {category["name"] for category in listed}


def test_dashboard_changes_when_a_posting_is_closed(
    anonymous: Api, recruiter: Api, django_capture_on_commit_callbacks: Any
) -> None:
    query = "{ dashboard(kind: POSTING) { statistics { total } } }"
    assert anonymous.data(query)["dashboard"]["statistics"]["total"] == 30
    with django_capture_on_commit_callbacks(execute=True):
        recruiter.data("mutation($id: ID!) { closePosting(id: $id) { posting { status } } }", id=key("p3"))
    assert anonymous.data(query)["dashboard"]["statistics"]["total"] == 29


def test_skill_match_compares_a_posting_with_skills_or_a_candidate(anonymous: Api, recruiter: Api) -> None:
    query = """query($posting: ID!, $candidate: ID, $skills: [String!]) {
        skillMatch(postingId: $posting, candidateId: $candidate, skills: $skills) {
            coverage overlap matchedSkills { name } missingSkills { name } extraSkills { name } } }"""
    expected = {
        "matchedSkills": [{"name": "Python"}],
        "missingSkills": [{"name": "PostgreSQL"}],
        "extraSkills": [{"name": "Kubernetes"}],
    }
    found = anonymous.data(query, posting=key("p2"), skills=["python3", "k8s"])["skillMatch"]
    # Shares of rare skills count more, by what PostgreSQL knows of the tables just then.
    coverage, overlap = found.pop("coverage"), found.pop("overlap")
    assert found == expected
    assert 0 < overlap < coverage < 1
    found = recruiter.data(query, posting=key("p2"), candidate=key("c1"))["skillMatch"]
    assert 0 < found["overlap"] == found["coverage"] < 1
    assert found["extraSkills"] == []
    assert anonymous.error(query, posting=key("p2"), candidate=key("c1"))[0] == "UNAUTHENTICATED"
    assert anonymous.error(query, posting=key("p2")) == (
        "BAD_USER_INPUT",
        "candidateId: give either candidateId or skills",
    )
    assert anonymous.error(query, posting="999999", skills=[])[0] == "NOT_FOUND"


def test_category_distribution_counts_known_skills_and_lists_unknown_names(anonymous: Api) -> None:
    data = anonymous.data(
        "query($skills: [String!]!) { categoryDistribution(skills: $skills) {"
        " unknown categories { name percent skills { name } } } }",
        skills=["Python", "python3", "Java", "k8s", "juggling"],
    )["categoryDistribution"]
    assert data["unknown"] == ["juggling"]
    assert [
        (each["percent"], [skill["name"] for skill in each["skills"]]) for each in data["categories"]
    ] == [
        (66.67, ["Java", "Python"]),
        (33.33, ["Kubernetes"]),
    ]


def test_runs_and_dead_letters_take_as_many_statements_for_every_page_size(corpus: EmbeddingModel) -> None:
    for number in range(7):
        run = EmbeddingRun.objects.create(kind="posting", model=corpus, state="finished", rows=10)
        for chunk in range(2):
            EmbeddingChunk.objects.create(
                run=run,
                number=chunk,
                wave=0,
                state="written",
                row_ids=[1],
                rows=5,
                text_bytes=1,
                rows_written=4,
                rows_dead=1,
            )
        DeadLetter.objects.create(
            kind="posting", row_id=number, model=corpus, content_hash=b"x", step="embed", error="not finite"
        )
    operator = Api(user_with("view_embeddingrun", "view_deadletter"))
    query = """query($first: Int, $after: String) {
        embeddingRuns(first: $first, after: $after) { totalCount pageInfo { hasNextPage endCursor }
            edges { node { id model rowsEmbedded rowsWritten rowsDead } } }
        deadLetters(first: $first, filter: {state: OPEN}) {
            totalCount edges { node { rowId error model } } } }"""
    counts = []
    for size in (1, 7):
        with CaptureQueriesContext(connection) as statements:
            data = operator.data(query, first=size)
        counts.append(len(statements))
    assert counts == [
        8,
        8,
    ]  # session, user, permissions of user and of groups, then rows and total of each list
    assert [each["node"]["rowsWritten"] for each in data["embeddingRuns"]["edges"]] == [8] * 7
    assert {each["node"]["rowId"] for each in data["deadLetters"]["edges"]} == {
        str(number) for number in range(7)
    }
    found, after = [], None
    while True:
        page = operator.data(query, first=3, after=after)["embeddingRuns"]
        found += [edge["node"]["id"] for edge in page["edges"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    assert len(found) == len(set(found)) == 7


def test_invalidate_cache_makes_responses_fresh(subscribed: None) -> None:
    operator = Api(user_with("change_embeddingrun"))
    anonymous = Api()
    count = "{ postings { totalCount } }"
    assert anonymous.data(count)["postings"]["totalCount"] == 30
    Posting.objects.filter(external_id="p1").delete()  # behind jobrec's back
    assert anonymous.data(count)["postings"]["totalCount"] == 30
    data = operator.data("mutation { invalidateCache(namespaces: [POSTINGS]) { processesReached } }")
    assert data["invalidateCache"]["processesReached"] >= 1
    assert anonymous.data(count)["postings"]["totalCount"] == 29
    nothing = operator.error("mutation { invalidateCache(namespaces: []) { processesReached } }")
    assert nothing == ("BAD_USER_INPUT", "namespaces: name at least one")
