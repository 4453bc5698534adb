"""Importing the skills of a taxonomy, and finding skills again in stored texts."""

import gzip
from io import StringIO
from pathlib import Path

import orjson
import pytest
from django.core.management import CommandError, call_command

from apps.postings.inputs import PostingInput
from apps.postings.models import Posting
from apps.postings.services import upsert_postings
from apps.skills.models import Skill, SkillAlias
from apps.skills.services import add_unlisted, current_finder

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_cache")]

DESCRIPTION = "Plan the route of a vehicle, and keep records."
SKILLS = [
    {
        "skill_name": "Zorbware",
        "aliases": "Zorb Suite, zorbing, Bee-Keeping",
        "description": "",
        "taxonomy": "ONET_TECH",
    },
    {"skill_name": "Route", "aliases": "", "description": "", "taxonomy": "ONET_TECH"},
    {
        "skill_name": "plan  vehicle tours",
        "aliases": "plan tours\nand records\nvehicle\nschedule vehicle tours, daily",
        "description": DESCRIPTION,
        "taxonomy": "ESCO",
    },
    {"skill_name": "python", "aliases": "pythonic thinking", "description": "", "taxonomy": "ONET_TECH"},
    {"skill_name": "bee-keeping", "aliases": "", "description": "", "taxonomy": "ESCO"},
]


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """No broker runs."""
    monkeypatch.setattr("celery.current_app.send_task", lambda *_, **__: None)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A compressed file of skills."""
    path = tmp_path / "skills.jsonl.gz"
    path.write_bytes(gzip.compress(b"\n".join(map(orjson.dumps, SKILLS))))
    return path


def run(*arguments: object) -> str:
    """Run the command; return what it prints."""
    printed = StringIO()
    call_command("skills", *map(str, arguments), stdout=printed)
    return printed.getvalue()


def names_in(text: str) -> list[str]:
    """The names of the skills that a text names."""
    return [Skill.objects.get(pk=each).name for each in current_finder().find(text)]


def test_import_adds_what_the_dictionary_lacks_and_searches_texts_for_it(file: Path) -> None:
    add_unlisted(["bee keeping"])
    assert "3 would be added, 2 known" in run("import", "--dry-run", file)
    assert not Skill.objects.filter(name="Zorbware").exists()
    assert "3 added, 2 known" in run("import", file)
    assert names_in("Use the Zorb Suite and pythonic thinking. Plan tours.") == [
        "Zorbware",
        "Python",
        "plan vehicle tours",
    ]
    assert names_in("The route of a vehicle and records") == []  # ordinary words and a fragment
    assert names_in("Zorbware, Route, Python") == ["Zorbware", "Route", "Python"]
    assert Skill.objects.get(name="bee keeping").category.name == "ESCO skills"


def test_second_import_changes_nothing_and_keeps_edits(file: Path) -> None:
    run("import", file)
    skill = Skill.objects.get(name="Zorbware")
    SkillAlias.objects.filter(name="zorbing").update(skill=Skill.objects.get(name="Python"))
    skill.name, skill.in_text = "ZorbWare", False
    skill.save()
    assert "0 added, 5 known" in run("import", file)
    skill.refresh_from_db()
    assert (skill.name, skill.in_text) == ("ZorbWare", False)
    assert SkillAlias.objects.get(name="zorbing").skill.name == "Python"


def test_csv_of_esco_is_read_and_a_wrong_file_refused(tmp_path: Path) -> None:
    path = tmp_path / "skills_en.csv"
    path.write_text(
        'conceptUri,preferredLabel,altLabels,description\nu1,tame zorbs,"zorb taming\nhandle zorbs",Care.\n'
    )
    run("import", path)
    assert names_in("Experience in zorb taming") == ["tame zorbs"]
    path.write_text("name\nx\n")
    with pytest.raises(CommandError, match="no column preferredLabel"):
        run("import", path)
    broken = tmp_path / "skills.jsonl"
    broken.write_text('{"skill_name": "a b"}\n{"name": 1}\n')
    with pytest.raises(CommandError, match="line 2: it has no skill_name"):
        run("import", broken)


def test_refresh_gives_stored_rows_the_skills_that_their_texts_name(file: Path) -> None:
    forms = [
        PostingInput(external_id=str(number), title="Job", description="Zorbware", skills=["Java"])
        for number in range(3)
    ]
    upsert_postings(forms)
    run("import", file)
    first = Posting.objects.order_by("pk")[0]
    assert "2 rows read, 2 have other skills" in run("refresh", "postings", "--after", first.pk)
    assert "3 rows read, 1 have other skills" in run("refresh", "postings")
    assert "3 rows read, 0 have other skills" in run("refresh", "postings")
    assert set(Posting.objects.values_list("skills_text", flat=True)) == {"Java, Zorbware"}
