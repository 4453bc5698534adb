"""Every list and page of the admin, with rows, and the roles that may see them."""

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.candidates.models import Candidate
from apps.embeddings.models import DeadLetter, EmbeddingChunk, EmbeddingRun, PostingEmbedding
from apps.postings.models import Posting
from jobrec_site.roles import create_missing_roles
from tests.integration.admin.conftest import fill, member_of

admin.autodiscover()  # urls.py does this, but may not be loaded yet
TABLES: list[Any] = [model._meta for model in admin.site._registry if model._meta.app_label != "auth"] + [
    User._meta,
    Group._meta,
]
NAMES = [f"{table.app_label}_{table.model_name}" for table in TABLES]


def list_of(name: str) -> str:
    return reverse(f"admin:{name}_changelist")


def statements(client: Client, url: str) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        assert client.get(url).status_code == 200
    return [query["sql"] for query in captured.captured_queries]


@pytest.mark.parametrize("table", TABLES, ids=NAMES)
def test_list_needs_as_many_statements_for_many_rows_as_for_few(administrator: Client, table: Any) -> None:
    name = f"{table.app_label}_{table.model_name}"
    fill(2)
    rows = table.model._default_manager
    if row := rows.first():
        assert administrator.get(reverse(f"admin:{name}_change", args=[row.pk])).status_code == 200
    statements(administrator, list_of(name))  # warms caches such as that of content types
    few, rows_before = statements(administrator, list_of(name)), rows.count()
    fill(3)
    many = statements(administrator, list_of(name))
    if rows.count() > rows_before:
        assert [sql.split("WHERE")[0] for sql in many] == [sql.split("WHERE")[0] for sql in few]
    assert administrator.get(list_of(name), {"q": "7"}).status_code == 200


def test_fill_adds_rows_to_the_lists_that_are_compared(administrator: Client) -> None:
    fill(2)
    grown = {
        "postings_posting": 2,
        "postings_company": 2,
        "candidates_candidate": 2,
        "recommendations_interaction": 2,
        "embeddings_embeddingrun": 2,
        "embeddings_embeddingchunk": 2,
        "embeddings_deadletter": 2,
        "embeddings_embeddingmodel": 2,
    }
    for name, count in grown.items():
        [table] = [table for table in TABLES if f"{table.app_label}_{table.model_name}" == name]
        assert table.model._default_manager.count() == count, name


def test_lists_read_neither_long_texts_nor_packed_vectors(administrator: Client) -> None:
    fill(2)
    for name, columns in {
        "candidates_candidate": ["resume", "looking_for"],
        "recommendations_interaction": ["resume", "description"],
        "postings_posting": ["description"],
        "embeddings_embeddingchunk": ["vectors", "embedded_ids", "embedded_hashes", "row_ids"],
        "embeddings_deadletter": ["traceback"],
    }.items():
        read = statements(administrator, list_of(name))
        assert [sql for sql in read if any(f'."{column}"' in sql for column in columns)] == [], name


def test_dashboard_shows_statistics(administrator: Client) -> None:
    fill(2)
    page = administrator.get("/admin/")
    assert [(card["title"], card["value"], card["note"]) for card in page.context["cards"]] == [
        ("Postings", "2", "2 open"),
        ("Candidates", "2", ""),
        ("Open dead letters", "1", "rows that cannot be embedded"),
        ("Runs in progress", "0", ""),
    ]
    assert page.context["queues"] == {"embed": 0, "write": 0, "control": 0}
    assert [run["name"] for run in page.context["runs"]] == [
        str(run) for run in EmbeddingRun.objects.order_by("-pk")
    ]
    text = page.content.decode()
    assert "1 of 2 current, 1 dead" in text
    assert "0 of 2 current, 2 pending" in text


def test_dashboard_works_without_a_broker(administrator: Client, settings: Any) -> None:
    settings.REDIS_BROKER_URL = "redis://127.0.0.1:1/0"
    page = administrator.get("/admin/")
    assert page.context["queues"] is None
    assert "The broker does not answer" in page.content.decode()


def test_run_page_shows_progress_and_links_to_its_chunks(administrator: Client) -> None:
    fill(2)
    first = EmbeddingRun.objects.earliest("pk")
    page = administrator.get(
        reverse("admin:embeddings_embeddingrun_change", args=[first.pk])
    ).content.decode()
    assert "100.0 % · 2 of 2 rows" in page
    assert "1 · 1 dead" in page
    assert "not invalidated yet" in page
    assert f"run__id__exact={first.pk}" in page
    chunks = administrator.get(list_of("embeddings_embeddingchunk"), {"run__id__exact": first.pk})
    assert chunks.context["cl"].result_count == first.chunks.count() == 1


def test_dead_letter_page_links_to_its_row(administrator: Client) -> None:
    fill(2)
    letter = DeadLetter.objects.get(state="open")
    page = administrator.get(reverse("admin:embeddings_deadletter_change", args=[letter.pk])).content.decode()
    assert reverse("admin:postings_posting_change", args=[letter.row_id]) in page
    assert "line 7</pre>" in page
    found = administrator.get(list_of("embeddings_deadletter"), {"q": str(letter.row_id)}).context["cl"]
    assert set(found.queryset.values_list("row_id", flat=True)) == {letter.row_id}


def test_posting_list_filters_by_the_state_of_vectors(administrator: Client) -> None:
    fill(2)
    dead, current = Posting.objects.order_by("-pk")
    Posting.objects.filter(pk=current.pk).update(title="Edited by SQL")
    for state, expected in (("current", []), ("pending", [current.pk]), ("dead letter", [dead.pk])):
        shown = administrator.get(list_of("postings_posting"), {"vector": state}).context["cl"]
        assert [row.pk for row in shown.queryset] == expected, state


def test_posting_list_offers_filter_values_from_an_index(administrator: Client) -> None:
    fill(3)
    Posting.objects.filter(external_id="p2").update(job_family="FAMILY 1", source="other")
    page = administrator.get(list_of("postings_posting"))
    filters = {
        each.title: each.lookup_choices
        for each in page.context["cl"].filter_specs
        if hasattr(each, "lookup_choices")
    }
    assert [value for value, _ in filters["source"]] == ["manual", "other"]
    assert [value.casefold() for value, _ in filters["job family"]] == ["family 0", "family 1"]
    shown = administrator.get(list_of("postings_posting"), {"job_family": "Family 1"}).context["cl"]
    assert {row.external_id for row in shown.queryset} == {"p1", "p2"}


def test_recruiters_see_the_corpus_but_no_runs(db: None, clean_cache: None) -> None:
    fill(1)
    recruiter = member_of("Recruiters")
    for name in ("postings_posting", "candidates_candidate", "recommendations_interaction", "skills_skill"):
        assert recruiter.get(list_of(name)).status_code == 200, name
    for name in (
        "embeddings_embeddingrun",
        "embeddings_deadletter",
        "django_celery_beat_periodictask",
        "auth_user",
    ):
        assert recruiter.get(list_of(name)).status_code == 403, name
    page = recruiter.get("/admin/")
    assert [card["title"] for card in page.context["cards"]] == ["Postings", "Candidates"]
    assert "Latest runs" not in page.content.decode()
    assert list_of("embeddings_embeddingrun") not in page.content.decode()


def test_operators_see_runs_but_no_candidates(db: None, clean_cache: None) -> None:
    fill(1)
    operator = member_of("Operators")
    for name in ("embeddings_embeddingrun", "embeddings_embeddingchunk", "embeddings_deadletter"):
        assert operator.get(list_of(name)).status_code == 200, name
    assert operator.get(list_of("django_celery_beat_periodictask")).status_code == 200
    candidate = Candidate.objects.get()
    assert operator.get(list_of("candidates_candidate")).status_code == 403
    assert operator.get(reverse("admin:candidates_candidate_change", args=[candidate.pk])).status_code == 403
    assert [card["title"] for card in operator.get("/admin/").context["cards"]] == [
        "Open dead letters",
        "Runs in progress",
    ]


def test_ledger_cannot_be_edited_by_hand(administrator: Client) -> None:
    fill(1)
    chunk = EmbeddingChunk.objects.get()
    url = reverse("admin:embeddings_embeddingchunk_change", args=[chunk.pk])
    assert administrator.post(url, {"state": "planned"}).status_code == 403
    assert administrator.get(reverse("admin:embeddings_embeddingchunk_add")).status_code == 403
    assert (
        administrator.post(reverse("admin:embeddings_embeddingchunk_delete", args=[chunk.pk])).status_code
        == 403
    )
    chunk.refresh_from_db()
    assert chunk.state == EmbeddingChunk.State.WRITTEN
    assert PostingEmbedding.objects.count() == 0


def test_create_missing_roles_keeps_changes_to_a_role(db: None) -> None:
    group = Group.objects.get(name="Recruiters")
    before = group.permissions.count()
    group.permissions.remove(group.permissions.get(codename="view_candidate"))
    create_missing_roles()
    assert group.permissions.count() == before - 1
    group.delete()
    create_missing_roles()
    assert Group.objects.get(name="Recruiters").permissions.count() == before
