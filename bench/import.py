"""Speed and memory of the importer, and whether a second import of the same file touches a row.

The rate is the one that the command prints, from the opening of the file to the last commit, next to that of
the whole process. On the real announcements where they lie next to the checkout (../shared/data), else on
generated postings; with --html their descriptions are HTML.
"""

import gzip
import os
import re
import subprocess
import sys
import time
from html import escape
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import report, scratch

TABLES = ("postings_company", "postings_posting", "postings_postingskill", "skills_skill")


def main() -> None:
    """Import twice and print rate, memory and touched rows."""
    parser = report.arguments(__doc__)
    parser.add_argument("--html", action="store_true", help="wrap the descriptions in HTML")
    options = parser.parse_args()
    result = report.start("Import, HTML" if options.html else "Import")
    with scratch.servers() as data:
        file, arguments = scratch.rows_file(data, "postings", rows=15_000 if options.quick else None)
        if options.html:
            file = with_html(file, data / "html.jsonl.gz")
        command = [sys.executable, "manage.py", "import_postings", str(file), *arguments]
        _, bare_django, _ = run([sys.executable, "-c", "import django; django.setup()"])
        with gzip.open(file) as lines:
            rows = sum(1 for _ in lines)
        output, peak, seconds = run(command)
        before = physical_rows()
        run(command)
        touched = len(before ^ physical_rows())
        bare = bare_copy(file)
    rate = printed_rate(output)
    result.figure(
        f"{output.strip().splitlines()[0]}\n{rate:,.0f} rows/s, {rate / bare:.3f} of a bare COPY of the "
        f"same rows parsed by orjson ({bare:,.0f} rows/s); {rows / seconds:,.0f} rows/s for the whole process"
    )
    if options.html:
        result.at_least("import_rows_per_second_with_html", rate, 1_500)
    else:
        result.at_least("import_rows_per_second", rate, 3_000)
    result.at_most("import_memory_mb_above_bare_django", (peak - bare_django) / 1024, 300)
    result.at_most("rows_touched_by_second_import", touched, 0)
    report.end(result)


TEXTS = ("description", "tasks", "requirements", "qualification")


def with_html(file: Path, target: Path) -> Path:
    """Write the same rows with their texts as HTML: lists, paragraphs, emphasis and entities."""
    import orjson

    def wrapped(text: str | list[str]) -> str:
        if isinstance(text, list):
            items = "".join(f"<li><strong>&bull;</strong> {escape(each)}</li>" for each in text)
            return f'<div class="job"><ul>{items}</ul></div>'
        parts = (f"<p>{escape(each)}&nbsp;</p>" for each in text.split("\n") if each.strip())
        return f'<div class="job">{"".join(parts)}</div>'

    with gzip.open(file) as lines, gzip.open(target, "wb", compresslevel=1) as packed:
        for line in lines:
            row = orjson.loads(line)
            row |= {name: wrapped(row[name]) for name in TEXTS if row.get(name)}
            packed.write(orjson.dumps(row) + b"\n")
    return target


def printed_rate(output: str) -> float:
    """Rows per second, as the command prints them."""
    found = re.search(r"\(([\d,]+) rows/s\)", output)
    if found is None:
        raise SystemExit(f"The import printed no rate:\n{output}")
    return float(found[1].replace(",", ""))


def run(command: list[str]) -> tuple[str, int, float]:
    """Run a process; return its output, its peak memory in KiB and its seconds."""
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
    """Place and transaction of each row version: these differ after any write, even of equal values."""
    from django.db import connection
    from psycopg.sql import SQL, Identifier, Literal

    select = "SELECT {}, ctid::text, xmin::text, xmax::text FROM {}"
    with connection.cursor() as cursor:
        tables = [SQL(select).format(Literal(name), Identifier(name)) for name in TABLES]
        cursor.execute(SQL(" UNION ALL ").join(tables))
        return set(cursor.fetchall())


def bare_copy(file: Path) -> float:
    """Rows per second of parsing the file and copying title and text into a table without index, trigger or
    check."""
    import orjson
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE bare_copy (id text, title text, body text)")
        started, rows = time.perf_counter(), 0
        with gzip.open(file) as lines, cursor.copy("COPY bare_copy FROM STDIN") as copy:
            for line in lines:
                row = orjson.loads(line)
                parts = [row.get(name) or "" for name in ("tasks", "requirements", "qualification")]
                texts = ["\n".join(each) if isinstance(each, list) else each for each in parts]
                copy.write_row([row.get("id"), row["title"], row.get("description") or "\n".join(texts)])
                rows += 1
        seconds = time.perf_counter() - started
        cursor.execute("DROP TABLE bare_copy")
    return rows / seconds


if __name__ == "__main__":
    main()
