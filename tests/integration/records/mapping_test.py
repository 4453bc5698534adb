"""Arguments, mappings and the help of the import commands."""

import io
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command, load_command_class
from django.core.management.base import CommandError

from apps.candidates.models import Candidate
from apps.postings.models import Posting
from apps.records.models import EnglishLevel
from tests.integration.records.importing import POSTING, run, write_as

pytestmark = pytest.mark.django_db


def test_djinni_presets_map_every_column(tmp_path: Path) -> None:
    posting = {
        "Position": "Middle Python developer",
        "Long Description": "Django and Celery.",
        "Company Name": "Yarrow",
        "Exp Years": "2y",
        "Primary Keyword": "Python",
        "English Level": "pre",
        "Published": "2023-05-01T10:00:00",
        "Long Description_lang": "en",
        "id": "3f1",
    }
    rows = [posting, posting | {"id": "3f2", "Exp Years": "no_exp", "English Level": "no_english"}]
    run("import_postings", write_as(tmp_path / "jobs.csv", rows), "--preset", "djinni")
    first, second = Posting.objects.order_by("external_id")
    assert (first.source, first.title, first.experience_years) == ("djinni", "Middle Python developer", 2)
    assert (first.english_level, first.job_family) == (EnglishLevel.PRE_INTERMEDIATE, "Python")
    assert (second.experience_years, second.english_level) == (0, EnglishLevel.NONE)

    candidate = {
        "Position": "QA engineer",
        "Moreinfo": "I test web applications.",
        "Looking For": "A calm team",
        "Highlights": "Found 200 defects",
        "Primary Keyword": "QA",
        "English Level": "upper",
        "Experience Years": 3.5,
        "CV": "QA engineer. I test web applications.",
        "CV_lang": "en",
        "id": "c1",
    }
    run("import_candidates", write_as(tmp_path / "cv.parquet", [candidate]), "--preset", "djinni")
    found = Candidate.objects.get()
    assert (found.headline, found.looking_for, found.experience_years) == ("QA engineer", "A calm team", 3.5)
    assert found.resume == "I test web applications.\n\n## Highlights\n\nFound 200 defects"
    assert found.english_level == EnglishLevel.UPPER_INTERMEDIATE


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--map", "titel=Job"], "unknown field 'titel'"),
        (["--map", "title"], "write FIELD=COLUMN"),
        (["--mapping", "/nowhere.toml"], "No such file"),
    ],
)
def test_import_with_a_wrong_argument_names_the_remedy_and_imports_nothing(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    file = write_as(tmp_path / "p.jsonl", [POSTING])
    with pytest.raises(CommandError, match=message) as error:
        run("import_postings", file, *arguments)
    assert error.value.returncode == 2
    assert not Posting.objects.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('fields = "x"', r"fields: must be a table: write \[fields\]"),
        ("[[defaults]]", r"defaults: must be a table: write \[defaults\]"),
        ("[fields]\ntitle = 5", "title: must be a column's name, or a table with columns"),
        ("[fields]\ntitle = { columns = 5 }", r"title\.columns: must be a list of column names, .* not '5'"),
        ("[fields]\ntitle = { columns = ['a', 5] }", r"title\.columns: must be a list of column names"),
        ("[fields]\ntitle = { columns = ['a'], values = 'a' }", r"title\.values: must be a table .* not 'a'"),
        (
            "[fields]\ntitle = { columns = ['a'], pattern = 5 }",
            r"title\.pattern: must be a regular expression",
        ),
        ("[fields]\ntitle = { columns = ['a'], pattern = '(' }", r"title\.pattern: missing \)"),
        ("[fields]\ntitle = { sections = ['a'] }", r"title\.sections: must be a list of tables"),
        (
            "[fields]\ntitle = { sections = [ { colum = 'a' } ] }",
            r"title\.sections: must be a list of tables",
        ),
        ("[fields]\ntitle = { values = { a = 1 } }", "title: must have one of columns, sections"),
    ],
)
def test_import_with_a_wrong_mapping_file_names_the_fault(tmp_path: Path, content: str, message: str) -> None:
    mapping = tmp_path / "people.toml"
    mapping.write_text(content)
    file = write_as(tmp_path / "p.jsonl", [POSTING])
    with pytest.raises(CommandError, match=rf"people\.toml: {message}") as error:
        run("import_postings", file, "--mapping", str(mapping))
    assert error.value.returncode == 2


def help_of(command: str) -> str:
    """The output of --help."""
    return (
        load_command_class("apps." + command.split("_")[1], command).create_parser("", command).format_help()
    )


@pytest.mark.parametrize("command", ["import_postings", "import_candidates"])
def test_mapping_example_of_the_help_works_unchanged(tmp_path: Path, command: str) -> None:
    shown = help_of(command)
    mapping = tmp_path / "m.toml"
    mapping.write_text(shown.partition("is TOML:\n")[2].partition("\n\n")[0])
    row = {
        "Ref": 7,
        "Position": "Nurse",
        "Place": "Aurora, Colorado, US",
        "English": "Good",
        "Experience": "3y",
        "Tasks": ["Triage"],
        "More": "",
        "Pay": "€45.000 – 60.000 p.a.",
        "Must": "Python",
        "Nice to have": "SQL",
        "Job title": "",
    }
    run(command, write_as(tmp_path / "rows.jsonl", [row]), "--mapping", str(mapping))
    found: Any = (Posting if command == "import_postings" else Candidate).objects.get()
    assert (found.source, found.external_id, str(found)) == ("acme", "7", "Nurse")
    assert (found.city, found.region, found.country) == ("Aurora", "CO", "US")
    assert {use.skill.name for use in found.skill_uses.filter(origin="stated")} == {"Python", "SQL"}
    assert (found.english_level, found.experience_years) == (EnglishLevel.FLUENT, 3)
    assert getattr(found, "description", "") + getattr(found, "resume", "") == "## Duties\n\n- Triage"


def test_help_lists_location_and_the_values_of_restricted_fields() -> None:
    shown = help_of("import_postings")
    assert " location," in shown
    assert "employment_type: one of full_time, part_time, contract" in shown
    assert "status: one of open, closed" in shown
    assert "english_level: one of none, basic" in shown


def test_default_location_applies_to_all_rows(tmp_path: Path) -> None:
    mapping = tmp_path / "m.toml"
    mapping.write_text("[defaults]\nlocation = 'Oslo, NO'\n[fields]\nexternal_id = 'id'\ntitle = 'job'\n")
    run(
        "import_postings",
        write_as(tmp_path / "p.csv", [{"id": 1, "job": "Nurse"}]),
        "--mapping",
        str(mapping),
    )
    assert Posting.objects.values_list("city", "country").get() == ("Oslo", "NO")


@pytest.mark.parametrize("name", ["p.csv", "p.jsonl"])
def test_named_column_that_no_row_has_is_reported(tmp_path: Path, name: str) -> None:
    file = write_as(tmp_path / name, [{"external_id": n, "title": "Nurse", "pay": 5} for n in range(3)])
    err = io.StringIO()
    with pytest.raises(
        CommandError, match=r"^no row has the column named for salary_min; all valid"
    ) as error:
        call_command("import_postings", str(file), "--map", "salary_min=payy", stderr=err)
    assert error.value.returncode == 1
    assert Posting.objects.count() == 3
    assert (
        "--map salary_min: no row has a column 'payy'; the columns are external_id, pay, title"
        in err.getvalue()
    )

    err = io.StringIO()
    Posting.objects.all().delete()
    with pytest.raises(CommandError, match=r"^3 rows were rejected.*\nno row has .* for title") as error:
        call_command("import_postings", str(file), "--map", "title=Job titel", stderr=err)
    assert error.value.returncode == 1
    assert err.getvalue().count("'Job titel'") == 1


def test_named_column_without_values_is_not_reported(tmp_path: Path) -> None:
    rows = [{"external_id": "1", "title": "Nurse", "pay": None}]
    for name in ("p.csv", "p.parquet"):
        _, err = run("import_postings", write_as(tmp_path / name, rows), "--map", "salary_min=pay")
        assert err == ""


def test_every_missing_column_of_a_mapping_file_is_reported(tmp_path: Path) -> None:
    mapping = tmp_path / "m.toml"
    mapping.write_text(
        "[fields]\nexternal_id = 'id'\ntitle = { columns = ['name', 'job'] }\n"
        "description = { sections = [ { column = 'tasks' } ] }\n"
    )
    row = {"id": 1, "job": "Nurse", "tasks": "Triage"}
    # Another column of the field has a value, so the import succeeds.
    _, err = run("import_postings", write_as(tmp_path / "a.csv", [row]), "--mapping", str(mapping))
    assert err == f"  {mapping}: title: no row has a column 'name'; the columns are id, job, tasks\n"
    del row["tasks"]
    with pytest.raises(CommandError, match=r"^no row has the column named for description; all valid"):
        run("import_postings", write_as(tmp_path / "b.csv", [row]), "--mapping", str(mapping))


def test_map_and_source_arguments_are_applied(tmp_path: Path) -> None:
    file = write_as(tmp_path / "p.csv", [{"Key": "7", "Job title": "Nurse", "Town": "Oslo", "Rest": "x"}])
    out, _ = run(
        "import_postings",
        file,
        "--map",
        "external_id=Key",
        "--map",
        "title=Job title",
        "--map",
        "city=Town",
        "--source",
        "acme",
    )
    assert "columns not used: Rest" in out
    assert Posting.objects.values_list("source", "external_id", "title", "city").get() == (
        "acme",
        "7",
        "Nurse",
        "Oslo",
    )
