"""The command `convert_markup`: HTML that an earlier version stored."""

from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from apps.candidates.models import Candidate
from apps.postings.models import Posting
from apps.records.normalizing.markup import MAX_HTML
from apps.skills.models import SkillUse
from apps.skills.services import current_finder

HTML = (
    "<h2>Stack</h2><p>We need <strong>C&#43;&#43;</strong>.</p><b>machine</b> <i>learning</i>"
    ' <a href="https://example.org/java">apply</a><script>python()</script>'
)


@pytest.fixture(autouse=True)
def sent(db: None, clean_cache: None, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Collects the tasks that are sent to workers, and the namespaces that are invalidated."""
    sent: list[Any] = []
    monkeypatch.setattr("celery.current_app.send_task", lambda name, *_, **__: sent.append(name))
    monkeypatch.setattr(
        "apps.records.stored_markup.invalidate_on_commit", lambda spaces, ids: sent.append((spaces[0], ids))
    )
    return sent


def convert(kind: str, *options: str) -> str:
    """Run the command and return what it prints."""
    out = StringIO()
    call_command("convert_markup", kind, *options, stdout=out, stderr=out)
    return out.getvalue()


def posting(number: int, description: str, **columns: Any) -> Posting:
    """A stored posting."""
    return Posting.objects.create(
        source="a", external_id=str(number), title="Engineer", description=description, **columns
    )


def skills(row: Any, origin: str) -> set[str]:
    """Names of the skills of a row that have this origin."""
    return set(row.skill_uses.filter(origin=origin).values_list("skill__name", flat=True))


def test_convert_markup_changes_only_rows_with_html_and_finds_their_skills_again(
    sent: list[Any], django_capture_on_commit_callbacks: Any
) -> None:
    html, plain, unequal = posting(1, HTML), posting(2, "Python & **Java**"), posting(3, "a < b, R&D")
    ids = {name: current_finder().resolve(name) or 0 for name in ("Java", "Python", "SQL")}
    html.skill_uses.create(skill_id=ids["Java"], origin=SkillUse.Origin.FOUND)
    html.skill_uses.create(skill_id=ids["Python"], origin=SkillUse.Origin.FOUND)
    html.skill_uses.create(skill_id=ids["SQL"], origin=SkillUse.Origin.STATED)
    before = {row.pk: row for row in Posting.objects.all()}

    assert "3 rows with `<` or `&` read, 1 would be converted, 2 without" in convert("postings", "--dry-run")
    assert {row.pk: row.description for row in Posting.objects.all()} == {
        key: row.description for key, row in before.items()
    }
    assert sent == []

    with django_capture_on_commit_callbacks(execute=True):
        assert "1 converted, 2 without HTML" in convert("postings")
    html.refresh_from_db()
    assert html.description.startswith("## Stack")
    assert not any(each in html.description for each in ("<", "&#", "python()", "example.org"))
    assert skills(html, "found") == {"C++", "Machine learning"}
    assert skills(html, "stated") == {"SQL"}
    assert html.skills_text == "C++, Machine learning, SQL"
    assert html.content_hash != before[html.pk].content_hash
    for row in (plain, unequal):
        row.refresh_from_db()
        old = before[row.pk]
        assert (row.description, row.updated_at) == (old.description, old.updated_at)
    assert ("postings", [html.pk]) in sent
    assert "workers.tasks.start_runs" in sent

    sent.clear()
    assert ", 0 converted" in convert("postings")
    assert sent == []


def test_convert_markup_converts_both_texts_of_candidates_in_batches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("apps.records.stored_markup.BATCH", 3)
    for number in range(10):
        Candidate.objects.create(
            source="a",
            external_id=str(number),
            resume=f"<p>Number {number}</p>",
            looking_for="R&amp;amp;D<br>",
        )
    assert "10 converted" in convert("candidates")
    assert {row.resume for row in Candidate.objects.all()} == {f"Number {number}" for number in range(10)}
    assert {row.looking_for for row in Candidate.objects.all()} == {"R&D"}
    assert " 0 converted" in convert("candidates")


def test_convert_markup_converts_what_the_source_said_of_an_edited_text() -> None:
    edit = {"source": "<p>Old</p>", "by": "kim", "at": "2026-11-01T00:00:00+00:00"}
    row = posting(1, "Edited <br> text", hand_edits={"description": edit, "title": edit})
    convert("postings")
    row.refresh_from_db()
    assert row.hand_edits == {"description": edit | {"source": "Old"}, "title": edit}


def test_convert_markup_leaves_a_row_with_too_much_html_and_names_it() -> None:
    row = posting(1, "<p>" + "x" * MAX_HTML)
    printed = convert("postings")
    assert "1 rows have too much HTML to convert, and stay as they are" in printed
    assert f"ids: {row.pk}" in printed
