"""Imports through the real commands, into a real database."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from django.core.management.base import CommandError
from django.db import connection
from pyarrow import parquet

from apps.postings.models import Posting
from apps.records.models import EnglishLevel
from tests.integration.records.importing import POSTING, lines, rejects, run, write_as

pytestmark = pytest.mark.django_db


def physical_rows() -> list[tuple[Any, ...]]:
    """The location and the transactions of each row: they change with any write, even of equal values."""
    tables = ["postings_company", "postings_posting", "postings_postingskill", "skills_skill"]
    with connection.cursor() as cursor:
        cursor.execute(
            " UNION ALL ".join(f"SELECT '{t}', ctid::text, xmin::text, xmax::text FROM {t}" for t in tables)
        )
        return sorted(cursor.fetchall())


@pytest.mark.parametrize("name", ["postings.jsonl", "postings.jsonl.gz", "postings.csv", "postings.parquet"])
def test_import_gives_the_same_row_from_every_format(tmp_path: Path, name: str) -> None:
    run("import_postings", write_as(tmp_path / name, [POSTING]))
    posting = Posting.objects.get()
    assert posting.company is not None
    assert (posting.title, posting.company.name, posting.city, posting.remote) == (
        "Keeper of tables",
        "Rowan",
        "Lviv",
        True,
    )
    assert (posting.experience_years, posting.english_level) == (2.5, EnglishLevel.UPPER_INTERMEDIATE)
    assert (posting.salary_per_year, posting.salary_currency) == (54_000, "EUR")
    assert (
        posting.published_at is not None and posting.published_at.isoformat() == "2026-11-01T00:00:00+00:00"
    )
    assert posting.closes_at is not None and posting.closes_at.isoformat() == "2026-12-01T10:00:00+00:00"
    origins = {use.skill.name: use.origin for use in posting.skill_uses.select_related("skill")}
    assert origins == {
        "Python": "stated",
        "Obscure Tool 9000": "stated",
        "PostgreSQL": "found",
        "Kubernetes": "found",
    }
    assert posting.skills_text == "Kubernetes, Obscure Tool 9000, PostgreSQL, Python"


def test_stated_skill_unknown_to_the_dictionary_is_stored_but_not_found_in_texts(tmp_path: Path) -> None:
    run("import_postings", write_as(tmp_path / "a.jsonl", [POSTING]))
    other = POSTING | {"external_id": "p2", "skills": [], "description": "We love Obscure Tool 9000"}
    run("import_postings", write_as(tmp_path / "b.jsonl", [other]))
    assert "Obscure" not in Posting.objects.get(external_id="p2").skills_text


def test_second_import_writes_no_row_and_an_edited_file_only_the_edited_row(tmp_path: Path) -> None:
    rows = [POSTING | {"external_id": f"p{number}"} for number in range(5)]
    file = write_as(tmp_path / "p.jsonl", rows)
    run("import_postings", file)
    before = physical_rows()
    out, _ = run("import_postings", file)
    assert "0 new, 0 updated, 5 unchanged" in out
    assert physical_rows() == before

    hashes = dict(Posting.objects.values_list("external_id", "content_hash"))
    rows[3]["description"] = "We use Java now."
    out, _ = run("import_postings", write_as(file, rows))
    assert "0 new, 1 updated, 4 unchanged" in out
    changed = {
        name
        for name, value in Posting.objects.values_list("external_id", "content_hash")
        if value != hashes[name]
    }
    assert changed == {"p3"}
    assert Posting.objects.get(external_id="p3").skills_text == "Java, Obscure Tool 9000, Python"


def test_bad_rows_are_listed_with_line_and_reasons_while_all_others_are_imported(tmp_path: Path) -> None:
    def bad(**changes: Any) -> dict[str, Any]:
        return POSTING | {"external_id": "bad"} | changes

    file = tmp_path / "postings.jsonl"
    without_title = {key: value for key, value in bad().items() if key != "title"}
    file.write_bytes(
        lines(
            POSTING,
            without_title,
            b'{"external_id": "x", "title": ',
            '{"title": "Café"}'.encode("latin-1"),
            bad(external_id="nul", title="nul\x00here"),
            b"[1, 2]",
            bad(title="\ud800"),
            {"title": "no id"},
            b"",
            POSTING | {"external_id": "p2"},
        )
    )
    with pytest.raises(CommandError, match=r"7 rows were rejected; all others are imported") as error:
        run("import_postings", file, "--encoding", "utf-8")
    assert error.value.returncode == 1
    assert set(Posting.objects.values_list("external_id", flat=True)) == {"p1", "p2"}
    found = {
        each["line"]: [(one["field"], one["reason"]) for one in each["reasons"]] for each in rejects(file)
    }
    assert sorted(found) == [2, 3, 4, 5, 6, 7, 8]
    assert found[2] == [("title", "missing; a new row needs one")]
    assert found[3][0][1].startswith("not JSON: ")
    assert found[4][0][1].startswith("not UTF-8: byte 0xe9 at position 15; save the file as UTF-8")
    assert found[5] == [("title", "contains a NUL character at position 4; remove it")]
    assert found[6] == [("", "not a JSON object but list")]
    assert "JSON" in found[7][0][1] or "surrogate" in found[7][0][1]
    assert found[8] == [("external_id", "missing; every row needs one")]


def test_bad_csv_rows_are_listed_with_their_first_line(tmp_path: Path) -> None:
    file = tmp_path / "postings.csv"
    file.write_bytes(
        b'external_id,title,city\np1,One,Oslo\np2,Two\np3,Three,Oslo,x\np4,"Four\nlines",Oslo\np5,,Oslo\n'
    )
    with pytest.raises(CommandError, match="2 rows were rejected"):
        run("import_postings", file)
    assert dict(Posting.objects.values_list("external_id", "title")) == {
        "p1": "One",
        "p2": "Two",
        "p4": "Four lines",
    }
    assert [each["line"] for each in rejects(file)] == [4, 7]


def test_unclosed_quote_in_csv_costs_no_other_row(tmp_path: Path) -> None:
    file = tmp_path / "postings.csv"
    file.write_text(
        'external_id,title\np1,"One\np2,"Two\nlines"\np3,A "quoted" word\n'
        'p4,"A "half" one"\np5,Five\np6,"Six\np7,Seven\n'
    )
    with pytest.raises(CommandError, match="rows were rejected"):
        run("import_postings", file)
    assert dict(Posting.objects.values_list("external_id", "title")) == {
        "p2": "Two lines",
        "p3": 'A "quoted" word',
        "p5": "Five",
        "p7": "Seven",
    }
    assert [each["line"] for each in rejects(file)] == [2, 6, 8]


def test_bad_parquet_rows_are_listed_with_their_number(tmp_path: Path) -> None:
    titles = pa.array([b"One", b"Two", b"Thr\xe9e", b"Four"], pa.binary())
    columns = {
        "external_id": pa.array([f"p{number}" for number in range(1, 5)]),
        "title": titles.view(pa.string()),
        "description": pa.array([b"plain", b"a \x00 within", b"plain", "größer".encode()], pa.binary()),
        "salary_min": pa.array([1, 2, 3, 9999999999.999], pa.float64()),
    }
    file = tmp_path / "postings.parquet"
    parquet.write_table(pa.table(columns), file)
    with pytest.raises(CommandError, match="1 rows were rejected"):
        run("import_postings", file)
    assert list(Posting.objects.order_by("external_id").values_list("external_id", "description")) == [
        ("p1", "plain"),
        ("p2", ""),  # the cell with a NUL character is left out
        ("p4", "größer"),
    ]
    [reject] = rejects(file)
    assert reject["line"] == 3 and "title" in reject["reasons"][0]["reason"]


def test_several_files_share_the_named_rejects_file(tmp_path: Path) -> None:
    good, bad = POSTING | {"external_id": "p2"}, {"external_id": "p3"}
    files = [tmp_path / name for name in ("a.jsonl", "missing.jsonl", "b.jsonl")]
    files[0].write_bytes(lines(POSTING, bad))
    files[2].write_bytes(lines(bad, good))
    listed = tmp_path / "all.jsonl"
    with pytest.raises(CommandError, match=r"missing\.jsonl: No such file") as error:
        run("import_postings", files, "--rejects", str(listed))
    assert error.value.returncode == 2
    assert Posting.objects.count() == 2
    found = [json.loads(line) for line in listed.read_text().splitlines()]
    assert [(each["file"], each["line"]) for each in found] == [(str(files[0]), 2), (str(files[2]), 1)]
    with pytest.raises(CommandError, match="1 rows were rejected"):
        run("import_postings", files[0], "--rejects", "/dev/null")
    assert Path("/dev/null").is_char_device()


def test_row_refused_by_the_database_costs_no_other_row(tmp_path: Path) -> None:
    # The input accepts the row; a constraint of the table does not.
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE postings_posting ADD CONSTRAINT no_evil CHECK (title <> 'evil')")
    rows = [POSTING | {"external_id": f"p{number}"} for number in range(20)]
    rows[13]["title"] = "evil"
    file = write_as(tmp_path / "p.jsonl", rows)
    with pytest.raises(CommandError, match="1 rows were rejected"):
        run("import_postings", file)
    assert Posting.objects.count() == 19
    [reject] = rejects(file)
    assert (reject["line"], reject["external_id"]) == (14, "p13")
    assert "no_evil" in reject["reasons"][0]["reason"]


def test_last_of_two_rows_with_one_key_is_stored(tmp_path: Path) -> None:
    file = write_as(tmp_path / "p.jsonl", [POSTING, POSTING | {"title": "Later"}])
    out, _ = run("import_postings", file)
    assert "1 repeated later in the file" in out
    assert Posting.objects.get().title == "Later"


@pytest.mark.parametrize(
    ("command", "folder", "name", "preset"),
    [
        ("import_postings", "postings", "usajobs", "usajobs"),
        ("import_postings", "postings", "hahu", "hahu"),
        ("import_candidates", "candidates", "experience_statements", "usajobs"),
        ("import_candidates", "candidates", "hahu_profiles", "hahu"),
    ],
)
def test_real_files_are_imported_by_their_presets(
    tmp_path: Path, shared_data: Path, command: str, folder: str, name: str, preset: str
) -> None:
    with gzip.open(shared_data / folder / f"{name}.jsonl.gz", "rb") as source:
        some = [next(source) for _ in range(200)]
    file = tmp_path / f"{name}.jsonl.gz"
    file.write_bytes(gzip.compress(b"".join(some)))
    out, err = run(command, file, "--preset", preset)
    assert "200 new" in out
    assert err == ""


@pytest.mark.parametrize(
    ("values", "field", "reason"),
    [
        (
            {"employment_type": "x"},
            "employment_type",
            "write one of full_time, part_time, contract, temporary, internship",
        ),
        ({"language": "klingonish"}, "language", "a language such as en or pt-BR is needed"),
        ({"remote": "maybe"}, "remote", "true or false is needed, not 'maybe'"),
        ({"experience_years": "x"}, "experience_years", "write a number such as 3"),
        ({"english_level": "klingon"}, "english_level", "or a CEFR level such as B2"),
        ({"published_at": "some day"}, "published_at", "write 2026-11-23"),
        ({"closes_at": "1850-01-01"}, "closes_at", "the year 1850 is not between 1990 and 2100"),
        ({"description": "x" * 3_000_000}, "description", "longer than 1,000,000 characters"),
        ({"company": {"x": "x"}}, "company", "text is needed, not an object with x"),
    ],
)
def test_optional_cell_is_left_out_or_rejects_its_row_as_the_mapping_says(
    tmp_path: Path, values: dict[str, Any], field: str, reason: str
) -> None:
    file = write_as(tmp_path / "p.jsonl", [POSTING | values])
    out, err = run("import_postings", file)
    assert "1 new" in out and "1 cells left out" in err
    Posting.objects.all().delete()
    mapping = tmp_path / "strict.toml"
    columns = "".join(f'{name} = "{name}"\n' for name in POSTING | values)
    mapping.write_text(f'[options]\nreject_on_error = ["{field}"]\n[fields]\n{columns}')
    with pytest.raises(CommandError, match="1 rows were rejected"):
        run("import_postings", file, "--mapping", str(mapping))
    assert not Posting.objects.exists()
    [reject] = rejects(file)
    [fault] = reject["reasons"]
    assert fault["field"] == field and reason in fault["reason"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.csv", None, "No such file"),
        ("postings.txt", b"", "the file is empty"),
        ("postings.jsonl.gz", gzip.compress(lines(POSTING) * 500)[:-40], "ends early or is damaged"),
        ("postings.parquet", b"PAR1 not really", "the Parquet file is damaged"),
        ("postings.csv", b"[1, 2]\n", "the first line begins with"),
        ("rejects.jsonl", lines(POSTING), "Cannot write the rejects file"),
    ],
)
def test_unusable_file_is_reported_after_importing_its_readable_rows(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    if name == "rejects.jsonl":
        Path(f"{file}.rejects.jsonl").mkdir()
    with pytest.raises(CommandError, match=message) as error:
        run("import_postings", file)
    assert error.value.returncode == 2
    # The rows before the fault are imported.
    assert Posting.objects.count() == (1 if name.endswith(".gz") else 0)
