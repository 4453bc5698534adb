"""How fast and how lean the importer is, and that a second import of the same file touches no row.

The rate is the one that the command prints: of a file, from its opening to the last commit. Beside it stands the rate of
the whole process, whose start-up takes the same time however many rows there are.

On the real corpus of US announcements where it lies beside the checkout (../shared/data), else on a generated one.
"""

import gzip
import os
import re
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import report, scratch

TABLES = ("postings_company", "postings_posting", "postings_postingskill", "skills_skill")
CANDIDATES = (("experience_statements", "usajobs"), ("hahu_profiles", "hahu"))


def main() -> None:
    options = report.arguments(__doc__).parse_args()
    result = report.start("Import")
    with scratch.servers() as data:
        postings, arguments = scratch.rows_file(data, "postings", rows=15_000 if options.quick else None)
        _, bare_django, _ = run([sys.executable, "-c", "import django; django.setup()"])
        with gzip.open(postings) as lines:
            rows = sum(1 for _ in lines)
        first, peak, seconds = run(
            [sys.executable, "manage.py", "import_postings", str(postings), *arguments]
        )
        before = physical_rows()
        run([sys.executable, "manage.py", "import_postings", str(postings), *arguments])
        touched = len(before ^ physical_rows())
        bare = bare_copy(postings)
        people = import_candidates() if not options.quick else ""
        counts = ", ".join(f"{name.split('_', 1)[1]} {count(name):,}" for name in TABLES)
    result.figure(f"{first.strip().splitlines()[0]}\nrows in the tables: {counts}")
    if people:
        result.figure(people)
    rate = printed_rate(first)
    result.figure(
        f"{rate:,.0f} rows/s, {rate / bare:.3f} of a bare COPY of the same columns parsed by orjson ({bare:,.0f} rows/s); "
        f"{rows / seconds:,.0f} rows/s with the {seconds - rows / rate:.1f} s in which the process starts and ends"
    )
    result.at_least("import_rows_per_second", rate, 3_000)
    result.at_most("import_memory_mb_above_bare_django", (peak - bare_django) / 1024, 300)
    result.at_most("rows_touched_by_second_import", touched, 0)
    report.end(result)


def printed_rate(output: str) -> float:
    """Rows per second, as the command says them."""
    found = re.search(r"\(([\d,]+) rows/s\)", output)
    if found is None:
        raise SystemExit(f"the import printed no rate:\n{output}")
    return float(found[1].replace(",", ""))


def run(command: list[str]) -> tuple[str, int, float]:
    """(output, peak memory in KiB, seconds) of a process of its own."""
    started = time.perf_counter()
    read, write = os.pipe()
    process = subprocess.Popen(command, cwd=scratch.ROOT, stdout=write, stderr=write)
    os.close(write)
    with os.fdopen(read) as output:
        text = output.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{text}")
    return text, usage.ru_maxrss, time.perf_counter() - started


def physical_rows() -> set[tuple[str, str, str, str]]:
    """Where each row stands and which transaction wrote it: differs after any write, even of equal values."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            " UNION ALL ".join(
                f"SELECT '{name}', ctid::text, xmin::text, xmax::text FROM {name}" for name in TABLES
            )
        )
        return set(cursor.fetchall())


def bare_copy(file: Path) -> float:
    """Rows/s of parsing the file and copying title and text into a table without index, trigger or check."""
    import orjson
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE bare_copy (id text, title text, body text)")
        started, rows = time.perf_counter(), 0
        with gzip.open(file) as lines, cursor.copy("COPY bare_copy FROM STDIN") as copy:
            for line in lines:
                row = orjson.loads(line)
                parts = row.get("tasks", []) + row.get("requirements", []) + [row.get("qualification", "")]
                copy.write_row([row.get("id"), row["title"], row.get("description") or "\n".join(parts)])
                rows += 1
        seconds = time.perf_counter() - started
        cursor.execute("DROP TABLE bare_copy")
    return rows / seconds


def import_candidates() -> str:
    """Imports the candidates beside the postings; what was printed."""
    lines = []
    for name, preset in CANDIDATES:
        file = scratch.SHARED / "candidates" / f"{name}.jsonl.gz"
        if file.exists():
            rejects = Path(os.environ["JOBREC_DATA_DIR"]) / "rejects.jsonl"
            command = [
                "manage.py",
                "import_candidates",
                str(file),
                "--preset",
                preset,
                "--rejects",
                str(rejects),
            ]
            lines.append(run([sys.executable, *command])[0].splitlines()[0])
    return "\n".join(lines)


def count(table: str) -> int:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")
        return int(cursor.fetchone()[0])


if __name__ == "__main__":
    main()
