"""Listing, renaming and deleting sources."""

import io
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from apps.candidates.models import Candidate
from apps.postings.models import Posting, PostingSkill
from apps.records import sources
from apps.records.models import Import, ImportNote, Sighting
from tests.integration.records.importing import run

pytestmark = pytest.mark.django_db


def command(*arguments: str) -> str:
    out = io.StringIO()
    call_command("sources", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def two_feeds(tmp_path: Path) -> None:
    """Source a with postings 1 to 3 and a candidate, source b with posting 3."""
    for name, ids in (("a", "123"), ("b", "3")):
        path = tmp_path / f"{name}.csv"
        path.write_text(
            "external_id,title,skills\n" + "".join(f"{each},Cook {each},Python\n" for each in ids)
        )
        run("import_postings", path)
    people = tmp_path / "a-people.csv"
    people.write_text("external_id,headline\n1,Cook\n")
    run("import_candidates", people, "--source", "a")


def test_list_shows_rows_and_the_last_import_of_each_source(two_feeds: None) -> None:
    Posting.objects.create(title="By hand")
    lines = {line.split()[0]: line for line in command("list").splitlines()}
    assert lines.keys() == {"a", "b", "manual"}
    assert " 3 postings" in lines["a"] and " 1 candidates" in lines["a"] and "finished" in lines["a"]
    assert "a-people.csv" in lines["a"] and "never imported" in lines["manual"]


def test_rename_moves_rows_and_imports_and_the_next_import_goes_on(two_feeds: None, tmp_path: Path) -> None:
    assert "4 rows of a are now of partner" in command("rename", "a", "partner")
    assert (
        Posting.objects.filter(source="partner").count() == 3
        and not Posting.objects.filter(source="a").exists()
    )
    assert Candidate.objects.get().source == "partner" and not Import.objects.filter(source="a").exists()
    out, _ = run("import_postings", tmp_path / "a.csv", "--source", "partner")
    assert "3 unchanged" in out


def test_rename_that_would_clash_is_refused_and_names_the_id(two_feeds: None) -> None:
    with pytest.raises(CommandError, match="b already has a posting of the same id: 3"):
        command("rename", "a", "b")
    assert Posting.objects.filter(source="a").count() == 3
    with pytest.raises(CommandError, match="Unknown source 'nobody'"):
        command("rename", "nobody", "c")
    with pytest.raises(CommandError, match="no name of a source"):
        command("rename", "a", "x" * 65)


def test_delete_removes_one_source_in_batches_and_invalidates_its_rows(
    two_feeds: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    invalidated: list[Any] = []
    monkeypatch.setattr(sources, "BATCH_ROWS", 2)
    monkeypatch.setattr(
        sources, "invalidate_on_commit", lambda names, ids: invalidated.append((names, len(ids)))
    )
    with pytest.raises(CommandError, match="3 postings and 1 candidates of a would be deleted for good"):
        command("delete", "a")
    assert "4 rows of a are deleted" in command("delete", "a", "--yes")
    assert invalidated == [(["postings"], 2), (["postings"], 1), (["candidates"], 1)]
    remaining = Posting.objects.get()
    assert (remaining.source, remaining.external_id) == ("b", "3") and not Candidate.objects.exists()
    assert PostingSkill.objects.exclude(posting=remaining).count() == 0
    assert list(Sighting.objects.values_list("row_id", flat=True)) == [remaining.pk]
    assert set(Import.objects.values_list("source", flat=True)) == {"b"} and not ImportNote.objects.exists()
    for arguments in (["delete", "a", "--yes"], ["delete", "a"]):
        with pytest.raises(CommandError, match="Unknown source 'a'"):
            command(*arguments)


def test_source_that_is_being_imported_is_left_alone(
    two_feeds: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    Import.objects.filter(source="a").update(state=Import.State.RUNNING, beat_at=timezone.now())
    monkeypatch.setattr("apps.records.importing.history._lock", lambda _: False)  # another process has it
    for arguments in (("rename", "a", "c"), ("delete", "a", "--yes")):
        with pytest.raises(CommandError, match="is running"):
            command(*arguments)
    assert Posting.objects.filter(source="a").count() == 3


def test_source_of_an_import_that_died_can_be_deleted_at_once(two_feeds: None) -> None:
    Import.objects.filter(source="a").update(state=Import.State.RUNNING, beat_at=timezone.now())
    assert "4 rows of a are deleted" in command("delete", "a", "--yes")
