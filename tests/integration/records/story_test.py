"""The life of a source: imported, edited, closed, imported again in every way, killed, and twice at once.

Every step compares every field of every row with what the step should change.
"""

import json
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management.base import CommandError
from django.test import Client

from apps.postings.models import Posting
from apps.records.models import Import, ImportNote
from apps.sample import corpus
from apps.sample.writers import write_file
from jobrec_site.local.programs import ROOT
from tests.integration.records.importing import run
from tests.stack import Stack

# Keys, times of writing, and what follows from the other columns
NOT_COMPARED = {
    "id",
    "source",
    "external_id",
    "created_at",
    "updated_at",
    "content_hash",
    "coordinates",
    "place_names",
    "salary_per_year",
}
COLUMNS = [each.name for each in Posting._meta.concrete_fields if each.name not in NOT_COMPARED]
State = dict[str, dict[str, Any]]


def state() -> State:
    """Every field of every row, by "source/external id"."""
    return {
        f"{row.source}/{row.external_id}": values_of(row) for row in Posting.objects.select_related("company")
    }


def values_of(row: Posting) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in COLUMNS}
    values["company"] = row.company.name if row.company else ""
    values["missing_since"] = row.missing_since is not None
    values["hand_edits"] = {name: (edit["source"], edit["by"]) for name, edit in row.hand_edits.items()}
    values["skills"] = {use.skill.name: use.origin for use in row.skill_uses.select_related("skill")}
    return values


def difference(before: State, after: State) -> dict[str, dict[str, tuple[Any, Any]]]:
    """What changed: (value before, value after) by row and field. A new row has only values after."""
    assert not before.keys() - after.keys()
    return {
        key: changed
        for key, values in after.items()
        if (
            changed := {
                name: (before.get(key, {}).get(name), value)
                for name, value in values.items()
                if key not in before or before[key][name] != value
            }
        )
    }


def rows(**changes: dict[str, Any]) -> list[dict[str, Any]]:
    """Five postings with every field, of which `changes` (external id → fields) changes some."""
    return [
        {
            "external_id": key,
            "title": f"Engineer {key}",
            "company": "Acme GmbH",
            "description": f"Runs **PostgreSQL** for team {key}.",
            "language": "en",
            "location": "Berlin, Germany; London, UK" if key == "p1" else "Berlin, Germany",
            "remote": True,
            "employment_type": "Vollzeit",
            "experience_years": "3+ years",
            "english_level": "B2",
            "salary": "€45.000 – 60.000 p.a.",
            "job_family": "Data",
            "skills": "Python / SQL",
            "published_at": "2026-11-01",
            "closes_at": "2027-12-24",
            "status": "open",
        }
        | changes.get(key, {})
        for key in ("p1", "p2", "p3", "p4", "p5")
    ]


def write(path: Path, content: list[dict[str, Any]]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in content))
    return path


@pytest.fixture
def no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker runs: hints are dropped."""
    monkeypatch.setattr("celery.current_app.send_task", lambda *_, **__: None)


def edit_in_the_admin(client: Client, posting: Posting, **changes: Any) -> None:
    from tests.integration.admin.editing_test import form_of, page_of

    answer = client.post(page_of(posting), form_of(client, posting) | changes)
    assert answer.status_code == 302, answer.context["errors"]


def graphql(client: Client, query: str, **variables: Any) -> Any:
    body = json.dumps({"query": query, "variables": variables})
    answer = client.post("/graphql", body, content_type="application/json").json()
    assert "errors" not in answer, answer
    return answer["data"]


UPSERT = "mutation($input: PostingInput!) { upsertPosting(input: $input) { created } }"


@pytest.mark.django_db
@pytest.mark.usefixtures("clean_cache", "no_broker")
def test_source_keeps_what_people_edit_through_every_kind_of_import(tmp_path: Path, client: Client) -> None:
    client.force_login(User.objects.create_superuser("ann"))
    file = write(tmp_path / "acme.jsonl", rows())
    states = [state()]

    def changes() -> dict[str, dict[str, tuple[Any, Any]]]:
        states.append(state())
        return difference(*states[-2:])

    def of(key: str) -> Posting:
        return Posting.objects.get(source="acme", external_id=key)

    # 1. A first import stores every field.
    out, _ = run("import_postings", file)
    assert "5 rows: 5 new, 0 updated, 0 unchanged" in out
    found = changes()
    assert len(found) == 5
    assert {name: after for name, (_, after) in found["acme/p2"].items()} == {
        "title": "Engineer p2",
        "company": "Acme GmbH",
        "description": "Runs **PostgreSQL** for team p2.",
        "language": "en",
        "city": "Berlin",
        "region": "",
        "country": "DE",
        "places": [],
        "remote": True,
        "employment_type": "full_time",
        "experience_years": 3,
        "english_level": 4,
        "salary_min": 45_000,
        "salary_max": 60_000,
        "salary_currency": "EUR",
        "salary_period": "year",
        "salary_text": "€45.000 – 60.000 p.a.",
        "job_family": "Data",
        "published_at": of("p2").published_at,
        "closes_at": of("p2").closes_at,
        "status": "open",
        "missing_since": False,
        "hand_edits": {},
        "skills_text": "PostgreSQL, Python, SQL",
        "skills": {"Python": "stated", "SQL": "stated", "PostgreSQL": "found"},
    }
    assert (str(of("p2").published_at), str(of("p2").closes_at)[:10]) == (
        "2026-11-01 00:00:00+00:00",
        "2027-12-24",
    )

    # 2. A person edits in the admin, another over GraphQL, and closes a posting.
    edit_in_the_admin(client, of("p1"), title="Head engineer", city="Munich")
    graphql(
        client,
        UPSERT,
        input={
            "source": "acme",
            "externalId": "p2",
            "title": "Engineer p2",
            "company": "ACME",
            "description": "Runs **PostgreSQL** for team p2.",
            "city": "Berlin",
            "country": "DE",
            "remote": False,
            "employmentType": "FULL_TIME",
            "experienceYears": 3,
            "englishLevel": "UPPER_INTERMEDIATE",
            "salaryMin": 50_000,
            "salaryMax": 60_000,
            "salaryCurrency": "EUR",
            "salaryPeriod": "YEAR",
            "jobFamily": "Data",
            "skills": ["python", "Rust"],
            "publishedAt": "2026-11-01T00:00:00+00:00",
            "closesAt": of("p2").closes_at.isoformat(),  # type: ignore[union-attr]
        },
    )
    graphql(client, f'mutation {{ closePosting(id: "{of("p3").pk}") {{ posting {{ id }} }} }}')
    places = [{"city": "London", "region": "", "country": "GB"}]
    assert changes() == {
        "acme/p1": {
            "title": ("Engineer p1", "Head engineer"),
            "city": ("Berlin", "Munich"),
            "places": (
                [{"city": "Berlin", "region": "", "country": "DE"}, *places],
                [{"city": "Munich", "region": "", "country": "DE"}, *places],
            ),
            "hand_edits": ({}, {"title": ("Engineer p1", "ann"), "city": ("Berlin", "ann")}),
        },
        "acme/p2": {
            "remote": (True, False),
            "salary_min": (45_000, 50_000),
            "salary_text": ("€45.000 – 60.000 p.a.", ""),
            "skills": (
                {"Python": "stated", "SQL": "stated", "PostgreSQL": "found"},
                {"Python": "stated", "Rust": "stated", "PostgreSQL": "found"},
            ),
            "skills_text": ("PostgreSQL, Python, SQL", "PostgreSQL, Python, Rust"),
            "hand_edits": (
                {},
                {
                    "remote": (True, "ann"),
                    "salary_min": ("45000", "ann"),
                    "skills": (["Python", "SQL"], "ann"),
                },
            ),
        },
        "acme/p3": {"status": ("open", "closed"), "hand_edits": ({}, {"status": ("open", "ann")})},
    }

    # 3. The same file again touches nothing, and neither does a dry run.
    written = set(Posting.objects.values_list("pk", "updated_at"))
    for arguments in ((), ("--dry-run",)):
        out, _ = run("import_postings", file, *arguments)
        assert "0 new, 0 updated, 5 unchanged" in out and "conflict" not in out
        assert changes() == {} and set(Posting.objects.values_list("pk", "updated_at")) == written

    # 4. A narrower file changes what it carries, and empty cells change nothing.
    narrow = tmp_path / "narrow.csv"
    narrow.write_text("external_id,job_family,city,skills\np1,Platform,,\np4,,,\n")
    out, _ = run("import_postings", narrow, "--source", "acme")
    assert "1 updated, 1 unchanged" in out
    assert changes() == {"acme/p1": {"job_family": ("Data", "Platform")}}

    # 5. The source changes fields that people edited: their values stay, and the conflicts are counted and
    # listed.
    newer = rows(
        p1={"title": "Principal engineer", "job_family": "Platform"},
        p2={"skills": "Go"},
        p4={"title": "Chief p4"},
    )
    out, _ = run("import_postings", write(file, newer))
    assert "2 conflicts with edits by hand" in out
    assert changes() == {
        "acme/p1": {
            "hand_edits": (
                {"title": ("Engineer p1", "ann"), "city": ("Berlin", "ann")},
                {"title": ("Principal engineer", "ann"), "city": ("Berlin", "ann")},
            )
        },
        "acme/p2": {
            "hand_edits": (
                states[-2]["acme/p2"]["hand_edits"],
                states[-2]["acme/p2"]["hand_edits"] | {"skills": (["Go"], "ann")},
            )
        },
        "acme/p4": {"title": ("Engineer p4", "Chief p4")},
    }
    notes = ImportNote.objects.filter(kind=ImportNote.Kind.CONFLICT)
    assert Import.objects.first().conflicts == 2  # type: ignore[union-attr]
    assert {(note.external_id, note.reasons[0]["field"]) for note in notes} == {
        ("p1", "title"),
        ("p2", "skills"),
    }
    out, _ = run("import_postings", file)
    assert "5 unchanged" in out and "conflict" not in out and changes() == {}

    # 6. Where the mapping says that the source wins, its newer value is taken.
    newest = rows(
        p1={"title": "Staff engineer", "job_family": "Platform"},
        p2={"skills": "Go"},
        p4={"title": "Chief p4"},
    )
    mapping = tmp_path / "wins.toml"
    fields = "".join(f'{name} = "{name}"\n' for name in newest[0])
    mapping.write_text(f'[options]\nsource_wins = ["title"]\n[fields]\n{fields}')
    out, _ = run("import_postings", write(file, newest), "--mapping", str(mapping))
    assert "1 conflicts with edits by hand" in out
    assert changes() == {
        "acme/p1": {
            "title": ("Head engineer", "Staff engineer"),
            "hand_edits": (
                {"title": ("Principal engineer", "ann"), "city": ("Berlin", "ann")},
                {"city": ("Berlin", "ann")},
            ),
        }
    }

    # 7. A second source with the same ids has rows of its own.
    out, _ = run("import_postings", write(tmp_path / "other.jsonl", rows(p1={"company": "acme gmbh."})))
    assert "5 new" in out
    found = changes()
    assert {key.partition("/")[0] for key in found} == {"other"} and len(found) == 5
    assert found["other/p1"]["company"] == (None, "Acme GmbH")

    # 8. A complete file closes what it lacks, of its source alone, and no more than it may.
    few = write(tmp_path / "few.jsonl", newest[:3])
    with pytest.raises(CommandError, match="2 of 4 open rows is more than --max-closed"):
        run("import_postings", few, "--source", "acme", "--complete")
    assert changes() == {}
    out, _ = run("import_postings", few, "--source", "acme", "--complete", "--max-closed", "0.5")
    assert "2 closed" in out
    closed = {"status": ("open", "closed"), "missing_since": (False, True)}
    assert changes() == {"acme/p4": closed, "acme/p5": closed}
    out, _ = run("import_postings", file)
    opened = {"status": ("closed", "open"), "missing_since": (True, False)}
    assert changes() == {"acme/p4": opened, "acme/p5": opened}

    # 9. A file that gives every field empties what it lacks, but not what people edited.
    bare = write(tmp_path / "bare.jsonl", [{"external_id": "p5", "title": "Engineer p5"}])
    run("import_postings", bare, "--source", "acme", "--replace")
    found = changes()
    assert found.keys() == {"acme/p5"}
    assert (found["acme/p5"]["description"][1], found["acme/p5"]["skills"][1]) == ("", {})


ALL_FIELDS = """
    SELECT p.external_id, c.name,
           to_jsonb(p) - ARRAY['id', 'source', 'created_at', 'updated_at', 'company_id'] AS fields,
           ARRAY(SELECT s.name || ':' || u.origin
                 FROM postings_postingskill u JOIN skills_skill s ON s.id = u.skill_id
                 WHERE u.posting_id = p.id ORDER BY s.name) AS skills
    FROM postings_posting p LEFT JOIN postings_company c ON c.id = p.company_id WHERE p.source = %s
    ORDER BY p.external_id"""


def start(stack: Stack, file: Path, source: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "manage.py", "import_postings", str(file), "--source", source, "--no-progress"],
        cwd=ROOT,
        env=os.environ | stack.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def sample(path: Path, count: int, **changes: Any) -> Path:
    fields = (*corpus.POSTING_FIELDS, *changes)
    write_file([row | changes for row in corpus.postings(count)], path, "jsonl", fields)
    return path


def test_killed_import_goes_on_and_nothing_is_written_twice(stack: Stack, tmp_path: Path) -> None:
    file, total = sample(tmp_path / "many.jsonl", 4_000), 4_000
    process = start(stack, file, "killed")
    written: set[Any] = set()
    while len(written) < 1_000 and process.poll() is None:
        time.sleep(0.05)
        written = rows_of(stack, "killed")
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    written = rows_of(stack, "killed")
    assert 1_000 <= len(written) < total, process.stdout.read() if process.stdout else ""
    [record] = stack.sql("SELECT state FROM records_import WHERE source = 'killed'")
    assert record["state"] == "running"

    output = stack.manage("import_postings", str(file), "--source", "killed", "--no-progress")
    assert (
        "continues import" in output
        and f"{total - len(written):,} new, 0 updated, {len(written):,} unchanged" in output
    )
    after = rows_of(stack, "killed")
    assert len(after) == total and written <= after
    states = stack.sql(
        "SELECT state, rows, continues_id FROM records_import WHERE source = 'killed' ORDER BY id"
    )
    assert [each["state"] for each in states] == ["interrupted", "finished"] and states[1]["continues_id"]
    stack.manage("import_postings", str(file), "--source", "clean", "--no-progress")
    assert stack.sql(ALL_FIELDS, ["killed"]) == stack.sql(ALL_FIELDS, ["clean"])


def rows_of(stack: Stack, source: str) -> set[Any]:
    """Each row's id and the transaction that wrote it last."""
    query = "SELECT id, xmin::text, ctid::text FROM postings_posting WHERE source = %s"
    return {tuple(row.values()) for row in stack.sql(query, [source])}


def test_two_imports_at_once_write_each_row_as_one_of_them_has_it(stack: Stack, tmp_path: Path) -> None:
    one = sample(tmp_path / "one.jsonl", 1_500, city="Berlin", skills=["Python"])
    other = tmp_path / "other.jsonl"
    lines = (
        sample(tmp_path / "all.jsonl", 2_000, city="London", skills=["SQL", "Rust"]).read_text().splitlines()
    )
    other.write_text("".join(f"{line}\n" for line in reversed(lines[500:])))
    both = [start(stack, each, "both") for each in (one, other)]
    for process in both:
        output, _ = process.communicate(timeout=200)
        assert process.returncode == 0, output
    for name, file in (("one", one), ("other", other)):
        stack.manage("import_postings", str(file), "--source", name, "--no-progress")
    expected = [
        {row["external_id"]: row for row in stack.sql(ALL_FIELDS, [name])} for name in ("one", "other")
    ]
    found = stack.sql(ALL_FIELDS, ["both"])
    assert len(found) == 2_000 and all(a["external_id"] < b["external_id"] for a, b in pairwise(found))
    for row in found:
        assert row in [each[row["external_id"]] for each in expected if row["external_id"] in each]
    assert {row["state"] for row in stack.sql("SELECT state FROM records_import WHERE source = 'both'")} == {
        "finished"
    }
