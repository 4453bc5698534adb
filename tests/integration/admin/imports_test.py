"""Edits by hand that imports keep, and the pages of imports."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.management.base import CommandError
from django.test import Client
from django.urls import reverse

from apps.candidates.models import Candidate
from apps.postings.inputs import PostingInput
from apps.postings.models import Company, Posting
from apps.postings.services import close_posting, upsert_postings
from apps.records.models import Import
from tests.integration.admin.conftest import member_of
from tests.integration.admin.editing_test import form_of, page_of
from tests.integration.records.importing import run

FEED = (
    "external_id,title,company,city,skills,description\n"
    '1,Cook,Acme GmbH,"Berlin","k8s, Python","Line one\nLine two"\n2,Baker,Acme GmbH,Berlin,Python,x\n'
)


@pytest.fixture
def feed(tmp_path: Path, administrator: Client) -> Path:
    """A feed of two postings that is imported."""
    path = tmp_path / "feed.csv"
    path.write_text(FEED)
    run("import_postings", path)
    return path


def save(client: Client, posting: Posting | Candidate, **changes: Any) -> None:
    answer = client.post(page_of(posting), form_of(client, posting) | changes)
    assert answer.status_code == 302, answer.context["errors"]
    posting.refresh_from_db()


def first() -> Posting:
    return Posting.objects.get(external_id="1")


def test_edit_in_the_admin_is_kept_and_shown_with_who_and_what_the_source_says(
    administrator: Client, feed: Path
) -> None:
    other = Company.objects.create(name="Other AG")
    save(administrator, first(), title="Head cook", company=other.pk)
    edits = first().hand_edits
    assert {name: (edit["source"], edit["by"]) for name, edit in edits.items()} == {
        "title": ("Cook", "chief"),
        "company": ("Acme GmbH", "chief"),
    }
    page = administrator.get(page_of(first())).content.decode()
    assert "Kept against imports" in page and "Acme GmbH" in page
    feed.write_text(FEED.replace("Acme GmbH", "ACME gmbh."))  # means the same
    out, _ = run("import_postings", feed)
    assert "2 unchanged" in out and "conflict" not in out
    assert (first().title, first().company) == ("Head cook", other)


def test_saving_an_unchanged_page_with_the_line_ends_of_a_browser_edits_nothing(
    administrator: Client, feed: Path
) -> None:
    save(administrator, first(), description="Line one\r\nLine two")
    assert first().hand_edits == {} and "\r" not in first().description


def test_skills_changed_in_the_admin_are_kept(administrator: Client, feed: Path) -> None:
    form = form_of(administrator, first())
    [use] = [use for use in first().skill_uses.select_related("skill") if use.skill.name == "Kubernetes"]
    [prefix] = [
        name.rsplit("-", 1)[0] for name, value in form.items() if value == use.pk and name.endswith("-id")
    ]
    save(administrator, first(), **{f"{prefix}-DELETE": "on"})
    assert first().hand_edits["skills"]["source"] == ["Kubernetes", "Python"]
    out, _ = run("import_postings", feed)
    assert "2 unchanged" in out and "conflict" not in out  # the source names Kubernetes in its own way
    assert first().skills_text == "Cooking, Python"  # the title names the other


def test_field_that_a_person_lets_go_of_is_written_by_the_next_import(
    administrator: Client, feed: Path
) -> None:
    save(administrator, first(), title="Head cook", city="Paris")
    save(administrator, first(), released=["city"])
    assert first().hand_edits.keys() == {"title"}
    out, _ = run("import_postings", feed)
    assert "1 updated, 1 unchanged" in out
    assert (first().title, first().city) == ("Head cook", "Berlin")


def test_place_edited_by_hand_replaces_the_first_of_several(administrator: Client, tmp_path: Path) -> None:
    path = tmp_path / "feed.csv"
    path.write_text('external_id,title,location\n1,Cook,"Berlin, Germany; London, UK"\n')
    run("import_postings", path)
    save(administrator, first(), city="Munich")
    assert [place["city"] for place in first().places] == ["Munich", "London"]
    assert "berlin" not in first().place_names
    assert [round(degrees or 0) for degrees in first().coordinates] == [48, 12, 52, 0]


def test_salary_edited_by_hand_has_not_the_text_of_the_source(administrator: Client, tmp_path: Path) -> None:
    path = tmp_path / "feed.csv"
    path.write_text("external_id,title,salary\n1,Cook,€40k - €50k per year\n2,Cook,€40k - €50k per year\n")
    run("import_postings", path)
    other = Posting.objects.get(external_id="2")
    save(administrator, first(), salary_max="60000")
    save(administrator, other, title="Baker")
    assert (first().salary_text, other.salary_text) == ("", "€40k - €50k per year")
    written = PostingInput(source="feed", external_id="2", title="Baker", salary_min=Decimal(45_000))
    upsert_postings([written], by="ann")
    other.refresh_from_db()
    assert (other.salary_min, other.salary_text) == (45_000, "")
    out, _ = run("import_postings", path)
    assert "2 unchanged" in out and first().salary_text == ""  # the source says what it said
    save(administrator, first(), released=["salary_max"])
    run("import_postings", path)
    assert (first().salary_max, first().salary_text) == (50_000, "€40k - €50k per year")


def test_row_written_by_hand_has_nothing_to_keep(administrator: Client) -> None:
    posting = Posting.objects.create(title="Cook", external_id="m")
    save(administrator, posting, title="Baker")
    assert posting.hand_edits == {} and posting.title == "Baker"


def test_posting_that_a_person_closes_stays_closed_also_after_its_source_lacked_it(
    administrator: Client, feed: Path, tmp_path: Path
) -> None:
    few = tmp_path / "few.csv"
    few.write_text("external_id,title\n2,Baker\n")
    run("import_postings", few, "--source", "feed", "--complete", "--max-closed", "1")
    assert first().status == "closed" and first().missing_since is not None
    close_posting(first().pk, by="chief")
    run("import_postings", feed)
    assert first().status == "closed"


def test_import_page_shows_counts_reasons_mapping_and_rejected_rows(
    administrator: Client, tmp_path: Path
) -> None:
    path = tmp_path / "feed.csv"
    path.write_text("external_id,title,salary_min\n1,Cook,a lot\n,<b>Baker</b>,1\n")
    with pytest.raises(CommandError, match="1 rows were rejected"):
        run("import_postings", path)
    record = Import.objects.get()
    page = administrator.get(reverse("admin:records_import_change", args=[record.pk])).content.decode()
    assert "2 rows: 1 inserted, 1 rejected" in page and "[fields]" in page and "external_id" in page
    listing = administrator.get(reverse("admin:records_import_changelist")).content.decode()
    assert "feed.csv" in listing and "Finished" in listing
    note = record.notes.get()
    shown = administrator.get(reverse("admin:records_importnote_change", args=[note.pk])).content.decode()
    assert "&lt;b&gt;Baker" in shown and "<b>Baker" not in shown
    answer: Any = administrator.get(reverse("admin:records_import_download_rejects", args=[record.pk]))
    [line] = b"".join(answer.streaming_content).splitlines()
    rejected = json.loads(line)
    assert rejected["row"]["title"] == "<b>Baker</b>" and rejected["reasons"][0]["field"] == "external_id"
    mended = tmp_path / "mended.jsonl"
    mended.write_text(json.dumps(rejected | {"row": rejected["row"] | {"external_id": "2"}}))
    run("import_postings", mended, "--source", "feed")
    assert Posting.objects.count() == 2


def test_imports_of_candidates_are_hidden_from_those_who_may_not_see_candidates(
    administrator: Client, tmp_path: Path
) -> None:
    path = tmp_path / "people.csv"
    path.write_text("external_id,headline\n1,Cook\n,Secret\n")
    with pytest.raises(CommandError):
        run("import_candidates", path)
    record = Import.objects.get()
    group = Group.objects.create(name="Posters")
    group.permissions.set(
        Permission.objects.filter(codename__in=["view_import", "view_importnote", "view_posting"])
    )
    poster, recruiter = member_of("Posters"), member_of("Recruiters")
    for name, key in (
        ("import_change", record.pk),
        ("import_download_rejects", record.pk),
        ("importnote_change", record.notes.get().pk),
    ):
        url = reverse(f"admin:records_{name}", args=[key])
        assert recruiter.get(url).status_code == 200, name
        assert poster.get(url).status_code in (302, 403, 404), name
    for name in ("import", "importnote"):
        assert poster.get(reverse(f"admin:records_{name}_changelist")).context["cl"].result_count == 0
    operator = Client()
    operator.force_login(User.objects.get(username="of-recruiters"))
    answer = operator.post(reverse("admin:records_import_delete", args=[record.pk]), {"post": "yes"})
    assert answer.status_code == 403 and Import.objects.exists()


def test_company_of_another_exact_spelling_is_split_off(administrator: Client, feed: Path) -> None:
    acme = Company.objects.get()
    page = administrator.get(reverse("admin:postings_company_change", args=[acme.pk])).content.decode()
    assert "acme" in page and "exactly that spelling" in page
    answer = administrator.post(reverse("admin:postings_company_add"), {"name": "ACME Inc."})
    assert answer.status_code == 302
    feed.write_text(FEED.replace("2,Baker,Acme GmbH", "2,Baker,ACME Inc."))
    run("import_postings", feed)
    companies = dict(Posting.objects.values_list("external_id", "company__name"))
    assert companies == {"1": "Acme GmbH", "2": "ACME Inc."}
