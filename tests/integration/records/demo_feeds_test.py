"""The commands of docs/how-to/your-data.md: six feeds that nobody prepared, without a mapping."""

import re
from contextlib import suppress
from pathlib import Path

import pytest
from django.core.management.base import CommandError

from apps.postings.models import Posting
from apps.records.models import Import
from tests.integration.records.importing import run

pytestmark = pytest.mark.django_db

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "how-to" / "your-data.md"
COMMAND = re.compile(r"^ +manage\.py import_postings +(docs/examples/feeds/\S+)(.*)$", re.MULTILINE)
MIN_SHARE = 0.95  # of the rows that are imported


@pytest.fixture(autouse=True)
def root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Run as a person does, in the checkout; rejected rows go to a temporary file."""
    monkeypatch.chdir(ROOT)
    return tmp_path / "rejects.jsonl"


def import_all(rejects: Path) -> dict[str, Import]:
    """Run every command of the page; return the record of each file."""
    commands = COMMAND.findall(PAGE.read_text())
    assert len(commands) == 6
    for file, arguments in commands:
        with suppress(CommandError):  # where some rows are rejected
            run("import_postings", Path(file), *arguments.split(), "--rejects", str(rejects))
    return {Path(each.file).name: each for each in Import.objects.all()}


def test_six_feeds_of_different_kinds_are_imported_without_a_mapping(root: Path) -> None:
    found = import_all(root)
    assert len(found) == 6
    for name, record in found.items():
        assert record.state == "finished" and record.rows == 20, name
        assert record.inserted >= MIN_SHARE * record.rows, name
        assert (
            record.notes.count()
            == record.rejected
            == sum(each["count"] for each in record.reasons if each["rejects"])
        )
        assert all(note.reasons[0]["reason"] for note in record.notes.all())
    assert {name: each.rejected for name, each in found.items() if each.rejected} == {
        "stellen.csv": 1,
        "feed.xml": 1,
        "postings.jsonl": 1,
    }
    assert len(root.read_bytes().splitlines()) == 1  # each command begins the file again


def test_rows_of_the_six_feeds_say_what_the_feeds_say(root: Path) -> None:
    import_all(root)
    rows = {each.external_id: each for each in Posting.objects.select_related("company")}

    def of(key: str, *names: str) -> tuple[object, ...]:
        row = rows[key]
        return tuple(str(row.company) if name == "company" else getattr(row, name) for name in names)

    what = (
        "title",
        "company",
        "city",
        "country",
        "salary_min",
        "salary_max",
        "salary_currency",
        "salary_period",
    )
    assert of("ST-1000", *what) == (
        "Köchin / Koch",
        "Gasthof Ährenfeld GmbH",
        "Berlin",
        "",
        45_000,
        60_000,
        "EUR",
        "year",
    )
    assert of("ST-1005", "city", "country", "language", "salary_text") == ("Zürich", "CH", "de", "")
    assert of("ST-1003", "salary_min", "salary_period") == (18.5, "hour")
    assert of("5100000000", *what[:4]) == (
        "Site Reliability Engineer I",
        "Orbital Kite",
        "San Francisco",
        "US",
    )
    assert of("5100000002", "remote", "country", "language") == (True, "US", "en")
    assert "<" not in rows["5100000000"].description and "- Kubernetes" in rows["5100000000"].description
    assert of("N-300", *what) == (
        "Warehouse Associate",
        "Northwind Staffing, Inc.",
        "Austin",
        "US",
        18.5,
        None,
        "USD",
        "hour",
    )
    assert of("4000", *what[:1], *what[2:]) == (
        "HR Business Partner",
        "Dublin",
        "IE",
        40_000,
        55_000,
        "EUR",
        "year",
    )
    assert str(rows["4000"].published_at)[:10] == "2026-10-15" and rows["4000"].job_family == "People"
    assert of("K0000", *what) == (
        "백엔드 개발자",
        "한빛소프트랩",
        "서울",
        "KR",
        40_000_000,
        None,
        "KRW",
        "year",
    )
    assert of("K0001", "experience_years", "employment_type", "language") == (3, "contract", "ko")
    assert of("gm-0", *what) == ("Gardener", "Green Mile Trust", "Oslo", "NO", 20, 28.5, "NOK", "hour")
    assert rows["gm-4"].remote and not rows["gm-0"].remote
    skills = {name: set(rows[name].skills_text.split(", ")) for name in ("ST-1002", "5100000002", "K0000")}
    assert {"Python", "PostgreSQL"} <= skills["ST-1002"] & skills["K0000"] and "SQL" in skills["5100000002"]


def test_second_import_of_the_six_feeds_touches_nothing(root: Path) -> None:
    import_all(root)
    written = set(Posting.objects.values_list("pk", "updated_at"))
    import_all(root)
    assert set(Posting.objects.values_list("pk", "updated_at")) == written
