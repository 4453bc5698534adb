"""Statistics that a front end shows next to a search: each computed, then from the cache.

Each query is sent four times, with one value more each time, so that no cache knows it. The first time, in
which a server that has just started reads its tables from disk, is printed separately. The slowest statement
of the others is compared with the web tier's statement timeout (WEB_STATEMENT_TIMEOUT), and the whole request
with the cheapest count there is: of all postings and of all their skills, without a condition.
"""

import re
import statistics
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import corpus, report

ROUNDS = 3
FIRST = 20
SHARES = "{ value count percent }"
COUNTED = f"""total skills {{ skill {{ name }} count percent }} countries {SHARES} experience {SHARES}
    englishLevels {SHARES} remote {SHARES} companies {SHARES} jobFamilies {SHARES} employmentTypes {SHARES}
    salaries {{ currency count lowerQuartile median upperQuartile }}"""
BARE = "SELECT (SELECT count(*) FROM postings_posting), (SELECT count(*) FROM postings_postingskill)"


def main() -> None:
    """Measure each query and print the slowest statement as the target."""
    options = corpus.arguments(__doc__).parse_args()
    result = report.start("Statistics")
    with corpus.servers(result, options, RATE_LIMIT_ANONYMOUS=""):
        bare = statistics.median(_bare() for _ in range(ROUNDS))
        result.figure(f"bare count of postings and of their skills: {1000 * bare:.0f} ms")
        slowest = max(measure(result, name, query, bare) for name, query in queries().items())
    result.at_most("slowest_statement_of_timeout", slowest, 0.5)
    report.end(result)


def queries() -> dict[str, str]:
    """Queries by name; `%d` stands for the number of values. The skill is the most frequent, the term one of
    a title."""
    from django.db.models import Count

    from apps.postings.models import Posting, PostingSkill

    uses = (
        PostingSkill.objects.values("skill__name").annotate(rows=Count("pk")).order_by("-rows", "skill__name")
    )
    skill = uses[0]["skill__name"]
    title = Posting.objects.order_by("pk").values_list("title", flat=True)[0]
    term = max(re.findall(r"\w+", title), key=len)
    dashboard = f"rows embedded statistics {{ {COUNTED} }}"
    search = "{ searchStatistics(kind: POSTING, %s, first: %%d) { " + COUNTED + " } }"
    return {
        "dashboard of postings": f"{{ dashboard(kind: POSTING, first: %d) {{ {dashboard} }} }}",
        "dashboard of candidates": f"{{ dashboard(kind: CANDIDATE, first: %d) {{ {dashboard} }} }}",
        "topCompanies": "{ topCompanies(first: %d) { name count percent } }",
        f"searchStatistics of {term!r}": search % f'text: "{term}"',
        f"searchStatistics of {skill!r}": search % f'skills: ["{skill}"]',
    }


def _bare() -> float:
    """Seconds of the cheapest count."""
    from django.db import connection

    started = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute(BARE)
    return time.perf_counter() - started


def measure(result: report.Report, name: str, query: str, bare: float) -> float:
    """Measure one query; return its slowest statement as a share of the statement timeout."""
    from django.conf import settings
    from django.db import connection
    from django.test import Client

    reader, statements = Client(SERVER_NAME="localhost"), [0.0]

    def timed(execute: Any, sql: Any, parameters: Any, many: bool, context: Any) -> Any:
        started = time.perf_counter()
        try:
            return execute(sql, parameters, many, context)
        finally:
            statements.append(time.perf_counter() - started)

    def seconds(first: int) -> float:
        started = time.perf_counter()
        response = reader.post("/graphql", {"query": query % first}, content_type="application/json")
        if response.status_code != 200 or b'"errors"' in response.content:
            raise SystemExit(f"{name}: status {response.status_code}, {response.content[:500]!r}.")
        return time.perf_counter() - started

    first = seconds(FIRST + ROUNDS)
    with connection.execute_wrapper(timed):
        fresh = [seconds(FIRST + number) for number in range(ROUNDS)]
    cached = [seconds(FIRST + number) for number in range(ROUNDS)]
    whole = statistics.median(fresh)
    result.figure(
        f"{name}: {1000 * whole:.0f} ms, {whole / bare:.1f} of the bare count; "
        f"the first time {1000 * first:.0f} ms; cached {1000 * statistics.median(cached):.1f} ms"
    )
    return max(statements) / settings.WEB_STATEMENT_TIMEOUT


if __name__ == "__main__":
    main()
