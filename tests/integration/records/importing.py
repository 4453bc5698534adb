"""Files to import, and the commands that import them."""

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
from django.core.management import call_command
from pyarrow import parquet

POSTING = {
    "external_id": "p1",
    "title": "Keeper of tables",
    "company": "Rowan",
    "description": "We use **PostgreSQL** and k8s.",
    "city": "Lviv",
    "country": "UA",
    "remote": True,
    "employment_type": "full_time",
    "experience_years": 2.5,
    "english_level": "B2",
    "salary_min": 3000,
    "salary_max": 4500,
    "salary_currency": "EUR",
    "salary_period": "month",
    "job_family": "Data",
    "skills": ["Python", "Obscure Tool 9000"],
    "published_at": "2026-11-01",
    "closes_at": "2026-12-01T12:00:00+02:00",
}


def lines(*rows: Any) -> bytes:
    """JSON Lines; bytes stand for themselves."""
    return b"".join((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows)


def run(command: str, file: Path | list[Path], *arguments: str) -> tuple[str, str]:
    """Runs an import command and returns its output and error output."""
    out, err = io.StringIO(), io.StringIO()
    files = map(str, file if isinstance(file, list) else [file])
    call_command(command, *files, "--no-progress", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def rejects(file: Path) -> list[dict[str, Any]]:
    """The entries of the rejects file of `file`."""
    return [json.loads(line) for line in Path(f"{file}.rejects.jsonl").read_text().splitlines()]


def write_as(file: Path, rows: list[dict[str, Any]]) -> Path:
    """Writes the rows in the format that the name ends in."""
    if file.suffix == ".parquet":
        parquet.write_table(pa.Table.from_pylist(rows), file)
    elif file.suffix == ".csv":
        with file.open("w", newline="") as opened:
            writer = csv.DictWriter(opened, list(rows[0]))
            writer.writeheader()
            writer.writerows(
                {k: "; ".join(v) if isinstance(v, list) else v for k, v in row.items()} for row in rows
            )
    elif file.suffix == ".gz":
        file.write_bytes(gzip.compress(lines(*rows)))
    else:
        file.write_bytes(lines(*rows))
    return file
