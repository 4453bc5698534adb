"""Feeds that nobody made for jobrec: each small file is a case of ../shared/cases or a relative of one."""

import datetime as dt
import gzip
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.core.management.base import CommandError

from apps.postings.models import Company, Posting
from apps.postings.services import close_posting
from apps.records.models import Import, ImportNote, Sighting
from tests.integration.records.importing import rejects, run

pytestmark = pytest.mark.django_db


def feed(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def skills_of(external_id: str) -> list[str]:
    return sorted(Posting.objects.get(external_id=external_id).skills.values_list("name", flat=True))


def test_column_that_a_file_lacks_leaves_the_field_as_it_is(tmp_path: Path) -> None:
    first = feed(
        tmp_path / "a.jsonl",
        (
            '{"external_id":"f90","title":"Apiary Technician","company":"Other '
            'Bees","description":"Inspect beehives with Python."}'
        ),
    )
    run("import_postings", first, "--source", "bees")
    out, _ = run(
        "import_postings",
        feed(tmp_path / "b.csv", "external_id,title\nf90,Apiary Technician\n"),
        "--source",
        "bees",
    )
    assert "0 new, 0 updated, 1 unchanged" in out
    posting = Posting.objects.get()
    assert (posting.company.name if posting.company else "", posting.description) == (
        "Other Bees",
        "Inspect beehives with Python.",
    )
    assert skills_of("f90") == ["Python"]


def test_narrow_file_closes_postings_and_a_new_row_needs_a_title(tmp_path: Path) -> None:
    run("import_postings", feed(tmp_path / "a.csv", "external_id,title\n1,Cook\n2,Baker\n"), "--source", "s")
    narrow = feed(tmp_path / "b.csv", "external_id,status\n1,closed\n3,closed\n")
    with pytest.raises(CommandError, match="1 rows were rejected"):
        run("import_postings", narrow, "--source", "s")
    assert dict(Posting.objects.values_list("external_id", "status")) == {"1": "closed", "2": "open"}
    assert rejects(narrow)[0]["reasons"] == [{"field": "title", "reason": "missing; a new row needs one"}]


def test_posting_that_a_person_closed_stays_closed(tmp_path: Path) -> None:
    file = feed(tmp_path / "a.csv", "external_id,title,status\n1,Cook,open\n")
    run("import_postings", file)
    close_posting(Posting.objects.get().pk, by="ann")
    out, _ = run("import_postings", file)
    assert "1 unchanged" in out
    assert Posting.objects.get().status == "closed"


def test_files_without_a_named_source_are_sources_of_their_own(tmp_path: Path) -> None:
    for name, title in (("partner-a.csv", "Cook"), ("partner-b.csv", "Baker")):
        out, _ = run("import_postings", feed(tmp_path / name, f"external_id,title\n1001,{title}\n"))
        assert f"source {name.removesuffix('.csv')}" in out
    assert dict(Posting.objects.values_list("source", "title")) == {"partner-a": "Cook", "partner-b": "Baker"}


def test_lists_in_one_cell_are_the_skills_in_them(tmp_path: Path) -> None:
    content = (
        "external_id,title,skills\n1,Data Engineer,\"['Python', 'SQL']\"\n2,Data Engineer,Python|SQL\n"
        '3,Analyst,"Python, SQL, Excel."\n4,Nurse,"• Patient care\n• Nursing / Wards"\n'
    )
    run("import_postings", feed(tmp_path / "a.csv", content))
    names = {
        each.external_id: set(each.skill_uses.filter(origin="stated").values_list("skill__name", flat=True))
        for each in Posting.objects.all()
    }
    assert names == {
        "1": {"Python", "SQL"},
        "2": {"Python", "SQL"},
        "3": {"Python", "SQL", "Excel"},
        "4": {"Patient care", "Nursing", "Wards"},
    }


def test_places_in_objects_and_lists_are_places(tmp_path: Path) -> None:
    content = (
        '{"id":"g1","t":"Eng","loc":{"name":"Berlin"}}\n'
        '{"id":"g2","t":"Eng","loc":["Berlin","London"]}\n'
        '{"id":"g3","t":"Eng","loc":"San Francisco, CA; London, UK"}'
    )
    run(
        "import_postings",
        feed(tmp_path / "a.jsonl", content),
        "--map",
        "external_id=id",
        "--map",
        "title=t",
        "--map",
        "location=loc",
    )
    rows = {each.external_id: each for each in Posting.objects.all()}
    assert (rows["g1"].city, rows["g1"].places) == ("Berlin", [])
    assert [place["city"] for place in rows["g2"].places] == ["Berlin", "London"]
    assert rows["g3"].places == [
        {"city": "San Francisco", "region": "CA", "country": "US"},
        {"city": "London", "region": "", "country": "GB"},
    ]


def test_markup_is_text_and_its_addresses_and_scripts_name_no_skill(tmp_path: Path) -> None:
    html = (
        "<p>We need <strong>C&#43;&#43;</strong> and C&#35;.</p><b>machine</b> <i>learning</i>, "
        "machine&nbsp;learning&lt;br&gt;"
        '<a href="https://example.org/java">apply</a><script>python()</script>'
    )
    row = {"external_id": "h1", "title": "T", "description": html}
    run("import_postings", feed(tmp_path / "a.jsonl", json.dumps(row)))
    posting = Posting.objects.get()
    assert posting.description == "We need C++ and C#.\n\nmachine learning, machine learning\napply"
    assert skills_of("h1") == ["C#", "C++", "Machine learning"]


OPTIONAL = """id,t,loc,sal,type,date
1,Eng,Remote (US),Competitive,fulltime,2 days ago
2,Eng,"New York, NY","$80,000",Full-time,11/24/2025
3,Eng,Remote - EMEA,$80k-$120k/yr,"fulltime, parttime","Mon, 24 Nov 2025 08:00:00 +0000"
4,Eng,"Hamburg, Germany","80.000,00 EUR",Vollzeit,1713397508000.0
5,Eng,Oslo,a lot of money,whatever,some day
"""


def test_cell_that_cannot_be_read_costs_the_cell_and_is_counted(tmp_path: Path) -> None:
    names = {
        "external_id": "id",
        "title": "t",
        "location": "loc",
        "salary": "sal",
        "employment_type": "type",
        "published_at": "date",
    }
    arguments = [each for field, column in names.items() for each in ("--map", f"{field}={column}")]
    out, err = run("import_postings", feed(tmp_path / "a.csv", OPTIONAL), *arguments)
    assert "5 rows: 5 new" in out and "cells left out" in err
    rows = {each.external_id: each for each in Posting.objects.all()}
    assert [(rows[key].city, rows[key].country, rows[key].remote) for key in "1234"] == [
        ("", "US", True),
        ("New York", "US", False),
        ("", "", True),
        ("Hamburg", "DE", False),
    ]
    assert [(rows[key].salary_min, rows[key].salary_max, rows[key].salary_currency) for key in "1234"] == [
        (None, None, ""),
        (80_000, None, "USD"),
        (80_000, 120_000, "USD"),
        (80_000, None, "EUR"),
    ]
    assert (rows["1"].salary_text, rows["5"].salary_text) == ("Competitive", "a lot of money")
    assert {rows[key].employment_type for key in "1234"} == {"full_time"} and rows["5"].employment_type == ""
    assert [str(rows[key].published_at)[:10] for key in "234"] == [
        "2025-11-24",
        "2025-11-24",
        "2024-04-17",
    ]
    reasons = Import.objects.get().reasons
    assert {each["field"] for each in reasons} == {"salary", "employment_type", "published_at"}


SAME_NAMES = "".join(f'{name} = "{name}"\n' for name in ("external_id", "title", "company", "city"))


def test_null_words_are_unknown(tmp_path: Path) -> None:
    content = 'external_id,title,company,city,skills\nn1,Clerk,N/A,NaN,NaN\nn2,Clerk,null,None,"None, -"\n'
    run("import_postings", feed(tmp_path / "a.csv", content))
    assert not Company.objects.exists()
    assert set(Posting.objects.values_list("city", "skills_text")) == {("", "")}


def test_words_for_unknown_of_the_site_and_of_a_mapping_are_unknown(tmp_path: Path, settings: Any) -> None:
    settings.IMPORT_NULL_WORDS = frozenset({"offen"})
    mapping = feed(tmp_path / "m.toml", '[options]\nnull_words = ["Siehe Text"]\n[fields]\n' + SAME_NAMES)
    content = "external_id,title,company,city\n1,Clerk,Offen,Oslo\n2,Clerk,siehe text,offen\n"
    run("import_postings", feed(tmp_path / "a.csv", content), "--mapping", str(mapping))
    assert not Company.objects.exists()
    assert dict(Posting.objects.values_list("external_id", "city")) == {"1": "Oslo", "2": ""}


def test_posting_is_open_to_the_end_of_its_last_day_where_the_board_is(tmp_path: Path, settings: Any) -> None:
    settings.TIME_ZONE = "America/New_York"
    run("import_postings", feed(tmp_path / "a.csv", "external_id,title,closes_at\n1,Cook,2026-11-28\n"))
    last = dt.datetime(2026, 11, 29, 4, 59, tzinfo=dt.UTC)  # 23:59 in New York
    assert Posting.objects.open(last).exists()
    assert not Posting.objects.open(last + dt.timedelta(minutes=1)).exists()


def test_row_was_seen_last_in_the_last_import_that_held_it(tmp_path: Path) -> None:
    run("import_postings", feed(tmp_path / "a.csv", "external_id,title\n1,Cook\n2,Baker\n"), "--source", "s")
    run("import_postings", feed(tmp_path / "b.csv", "external_id,title\n1,Cook\n"), "--source", "s")
    ids = dict(Posting.objects.values_list("pk", "external_id"))
    seen = {ids[each.row_id]: Path(each.seen_in.file).name for each in Sighting.objects.all()}
    assert seen == {"1": "b.csv", "2": "a.csv"}


def test_dates_that_are_numbers_are_the_dates_that_were_meant(tmp_path: Path) -> None:
    content = (
        '{"external_id":"d1","title":"A","published_at":20251124}\n{"external_id":"d2","title":"B","published_at":45985}\n'
        '{"external_id":"d3","title":"C","closes_at":0}\n{"external_id":"d4","title":"D","closes_at":"2026-12-24"}\n'
    )
    run("import_postings", feed(tmp_path / "a.jsonl", content))
    rows = {each.external_id: each for each in Posting.objects.all()}
    assert {str(rows[key].published_at)[:10] for key in ("d1", "d2")} == {"2025-11-24"}
    assert rows["d3"].closes_at is None
    assert str(rows["d4"].closes_at) == "2026-12-24 23:59:59.999999+00:00"


def test_complete_file_closes_what_it_lacks_within_a_limit_and_opens_what_returns(tmp_path: Path) -> None:
    everything = "external_id,title\n" + "".join(f"{n},Cook {n}\n" for n in range(28))
    run("import_postings", feed(tmp_path / "all.csv", everything), "--source", "s")
    few = feed(tmp_path / "few.csv", "external_id,title\n0,Cook 0\n1,Cook 1\n")
    with pytest.raises(CommandError, match="26 of 28 open rows is more than --max-closed"):
        run("import_postings", few, "--source", "s", "--complete")
    assert Posting.objects.filter(status="open").count() == 28
    out, _ = run("import_postings", few, "--source", "s", "--complete", "--max-closed", "1")
    assert "26 closed" in out
    assert set(Posting.objects.filter(status="open").values_list("external_id", flat=True)) == {"0", "1"}
    out, _ = run("import_postings", tmp_path / "all.csv", "--source", "s")
    assert "26 updated, 2 unchanged" in out and Posting.objects.filter(status="open").count() == 28


def files() -> dict[str, bytes]:
    table = "Ref{0}Job title{0}Firma\n7{0}Überführer{0}Größe GmbH\n"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("inner.csv", table.format(","))
    return {
        "semicolons.csv": table.format(";").encode(),
        "tabs.tsv": table.format("\t").encode(),
        "bars.txt": table.format("|").encode(),
        "utf16.csv": table.format(",").encode("utf-16"),
        "cp1252.csv": table.format(";").encode("cp1252"),
        "array.json": json.dumps(
            [{"Ref": 7, "Job title": "Überführer", "Firma": {"name": "Größe GmbH"}}]
        ).encode(),
        "under.json": json.dumps(
            {"data": {"results": [{"Ref": 7, "Job title": "Überführer", "Firma": "Größe GmbH"}]}}
        ).encode(),
        "feed.xml": (
            "<source><job><Ref>7</Ref><jobtitle><![CDATA[Überführer]]></jobtitle><Firma>Größe "
            "GmbH</Firma></job></source>"
        ).encode(),
        "packed.csv.gz": gzip.compress(table.format(",").encode()),
        "packed.zip": archive.getvalue(),
    }


@pytest.mark.parametrize("name", files())
def test_file_of_any_kind_is_read_without_a_mapping(tmp_path: Path, name: str) -> None:
    run("import_postings", feed(tmp_path / name, files()[name]), "--yes")
    posting = Posting.objects.get()
    assert (posting.external_id, posting.title, posting.company and posting.company.name) == (
        "7",
        "Überführer",
        "Größe GmbH",
    )


def test_repeated_header_decimal_ids_long_ids_and_swapped_salaries_are_read(tmp_path: Path) -> None:
    address = "https://jobs.example.org/" + "a" * 240
    content = (
        "external_id,title,skills,skills,salary_min,salary_max\n4467609436.0,Cook,Python,SQL,50000,40000\n"
        f"4467609436,Cook,Python,SQL,50000,40000\n{address},Baker,,,,\n"
    )
    out, _ = run("import_postings", feed(tmp_path / "a.csv", content))
    assert "2 new" in out and "1 repeated later in the file" in out
    cook = Posting.objects.get(external_id="4467609436")
    assert (cook.salary_min, cook.salary_max) == (40_000, 50_000)
    assert {"Python", "SQL"} <= set(skills_of("4467609436"))
    baker = Posting.objects.exclude(pk=cook.pk).get()
    assert len(baker.external_id) == 200 and baker.external_id.startswith(address[:100])


def test_companies_in_different_spellings_are_one(tmp_path: Path) -> None:
    content = 'external_id,title,company\n1,A,ACME GmbH\n2,B,Acme GmbH\n3,C,"acme  gmbh."\n4,D,Other AG\n'
    run("import_postings", feed(tmp_path / "a.csv", content))
    assert Company.objects.count() == 2
    assert len(set(Posting.objects.filter(external_id__in="123").values_list("company", flat=True))) == 1


def test_rejected_row_can_be_mended_in_the_rejects_file_and_imported_again(tmp_path: Path) -> None:
    file = feed(tmp_path / "a.csv", "external_id,title,city\n1,Cook,Oslo\n,Baker,Oslo\n")
    with pytest.raises(CommandError, match="1 rows were rejected"):
        run("import_postings", file, "--source", "s")
    [rejected] = rejects(file)
    assert rejected["line"] == 3 and rejected["row"] == {"title": "Baker", "city": "Oslo"}
    rejected["row"]["external_id"] = "2"
    run("import_postings", feed(tmp_path / "mended.jsonl", json.dumps(rejected)), "--source", "s")
    assert dict(Posting.objects.values_list("external_id", "title")) == {"1": "Cook", "2": "Baker"}
    assert ImportNote.objects.get().reasons[0]["field"] == "external_id"


def test_dry_run_and_preview_count_and_change_nothing(tmp_path: Path) -> None:
    file = feed(tmp_path / "a.csv", "Ref;Job title;Ort\n1;Koch;Berlin\n2;Bäcker;Wien, Österreich\n")
    out, _ = run("import_postings", file, "--yes", "--dry-run")
    assert "would be: 2 rows: 2 new" in out
    preview, _ = run("import_postings", file, "--preview")
    assert 'title = "Job title"' in preview and "country           AT" in preview and "semicolons" in preview
    assert not Posting.objects.exists() and not Import.objects.exists()


def test_guess_that_is_unsure_asks_for_yes(tmp_path: Path) -> None:
    file = feed(tmp_path / "a.csv", "Job title,Place\nCook,Oslo\nBaker,Oslo\n")
    with pytest.raises(CommandError, match="--yes") as error:
        run("import_postings", file)
    assert error.value.returncode == 2 and not Posting.objects.exists()
    run("import_postings", file, "--yes")
    before = set(Posting.objects.values_list("external_id", "title"))
    out, _ = run("import_postings", file, "--yes")
    assert "2 unchanged" in out and set(Posting.objects.values_list("external_id", "title")) == before


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("Sao Paulo", "São Paulo"),
        ("Zurich", "Zürich"),
        ("New York, NY", "New York"),
        ("USA", "New York"),
        ("United States", "New York"),
        ("germany", "Berlin"),
        ("London", "Berlin"),
    ],
)
def test_place_is_found_however_it_is_written(tmp_path: Path, words: str, found: str) -> None:
    from apps.embeddings.models import Kind
    from apps.recommendations.services import filtered

    content = (
        'external_id,title,location\n1,A,"São Paulo, Brazil"\n2,B,Zürich\n3,C,"New York, '
        'NY"\n4,D,"Berlin, Germany; London, UK"\n'
    )
    run("import_postings", feed(tmp_path / "a.csv", content))
    rows: Any = filtered(Kind.POSTING, {"location": words})
    assert [row.city for row in rows] == [found]


def test_name_loses_signs_that_control_how_it_is_shown(tmp_path: Path) -> None:
    row = {
        "external_id": "1",
        "title": "Cook\u202e\nand\tbaker",
        "company": "A\u2066CME",
        "skills": ["Pan\u202e sweeping"],
    }
    run("import_postings", feed(tmp_path / "a.jsonl", json.dumps(row)))
    posting = Posting.objects.get()
    assert (posting.title, posting.company and posting.company.name) == ("Cook and baker", "ACME")
    assert "Pan sweeping" in skills_of("1")
