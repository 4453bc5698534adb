"""Recall and time of retrieval: the vector search alone, and whole GraphQL requests over HTTP.

The queries are candidates, and texts that were never searched before, so that no cache answers. Recall is
taken against an exact search over all vectors in memory, without the database.
"""

import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import corpus, report, scratch, web_client
from bench.filters import Queries, search

if TYPE_CHECKING:
    from apps.embeddings.models import EmbeddingModel

K = 10
WARM_UP = 5  # requests
FIELDS = "{ degraded edges { score node { title city } explanation { matchedSkills { name } } } }"
REQUESTS = {
    "searchPostings": "query ($of: String) "
    f"{{ searchPostings(text: $of, first: 10, filter: {{openOnly: false}}) {FIELDS} }}",
    "similarPostings": "query ($of: ID!) "
    f"{{ similarPostings(postingId: $of, first: 10, filter: {{openOnly: false}}) {FIELDS} }}",
}


def main() -> None:
    """Measure the vector search, then the requests."""
    parser = corpus.arguments(__doc__)
    parser.add_argument("--queries", type=int, help="maximum number, instead of one for each candidate")
    options = parser.parse_args()
    result = report.start("Retrieval")
    with corpus.servers(result, options) as data:
        from apps.embeddings.models import EmbeddingModel

        model = EmbeddingModel.objects.active()
        assert model is not None
        queries = measure_sql(result, model, options.queries)
        with scratch.processes(data, "sidecar", "embedding-server", "web"):
            measure_requests(result, queries)
    report.end(result)


def measure_sql(result: report.Report, model: "EmbeddingModel", maximum: int | None) -> int:
    """Measure the application's own search under several filters, and pgvector's index; return the number of
    queries."""
    from django.conf import settings

    queries, depth = Queries.of_candidates(model, maximum=maximum), settings.RECOMMENDATION_DEPTH
    result.figure(f"{len(queries.texts)} candidates, {depth} matches each")
    for name, values in filters().items():
        found = search(queries, values, model=model, k=depth, recall_at=K)
        result.figure(
            f"{name}: {found.matching:,} rows match, {found.strategies}: {report.percentiles(found.seconds)}"
        )
        result.at_least(f"recall_at_{K}_{name.replace(' ', '_')}", found.recall, 0.98)
    bare = bare_index(model, queries.texts, depth)
    result.figure(f"pgvector's index alone, {depth} rows: {report.percentiles(bare)}")
    return len(queries.texts)


def filters() -> dict[str, dict[str, Any]]:
    """From none to narrow, by what the corpus holds."""
    from django.db.models import Count

    from apps.postings.models import Posting

    dates = Posting.objects.exclude(published_at=None).order_by("-published_at").values_list("published_at")
    dated = dates.count()
    anything: dict[str, Any] = {"open_only": False}
    found = {
        "no filter": anything,
        "newest half": anything | {"published_since": str(dates[dated // 2][0])},
        "newest seventh": anything | {"published_since": str(dates[dated // 7][0])},
    }
    for name, field, key in (
        ("usual company", "company__name", "company"),
        ("usual family", "job_family", "job_family"),
        ("usual location", "city", "location"),
    ):
        values = Posting.objects.exclude(**{field: ""}).exclude(**{field: None}).values(field)
        most = values.annotate(rows=Count("pk")).order_by("-rows", field).first()
        if most is not None:
            found[name] = anything | {key: most[field]}
    return found


def bare_index(model: "EmbeddingModel", texts: Iterable[str], depth: int) -> list[float]:
    """Seconds of each walk along the HNSW index, with the application's ef_search and nothing else."""
    from django.conf import settings
    from django.db import connection, transaction

    seconds = []
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('hnsw.ef_search', %s, true)", [str(max(settings.HNSW_EF_SEARCH, 2 * depth))]
        )
        for text in texts:
            started = time.perf_counter()
            cursor.execute(
                "SELECT posting_id FROM embeddings_postingembedding WHERE model_id = %(model)s ORDER BY "
                "vector::halfvec(%(dimensions)s) <=> %(text)s::halfvec(%(dimensions)s) LIMIT %(depth)s",
                {"model": model.pk, "dimensions": model.dimensions, "text": text, "depth": depth},
            )
            cursor.fetchall()
            seconds.append(time.perf_counter() - started)
    return seconds


def measure_requests(result: report.Report, queries: int) -> None:
    """Measure one request after the other over HTTP, each with another query."""
    from django.conf import settings

    from apps.candidates.models import Candidate
    from apps.postings.models import Posting

    resumes = Candidate.objects.order_by("pk").values_list("resume", flat=True)
    texts = list(dict.fromkeys(" ".join(text.split()[:60]) for text in resumes))
    step = max(Posting.objects.count() // (2 * queries), 1)
    ids = [str(pk) for pk in Posting.objects.order_by("pk").values_list("pk", flat=True)[::step]]
    for name, arguments in (("searchPostings", texts), ("similarPostings", ids)):
        warm_up, measured = arguments[-WARM_UP:], arguments[: min(queries, len(arguments) - WARM_UP)]
        seconds = []
        for argument in (*warm_up, *measured):
            started = time.perf_counter()
            content = {"query": REQUESTS[name], "variables": {"of": argument}}
            body = json.loads(web_client.full_answer(settings.WEB_PORT, content))
            seconds.append(time.perf_counter() - started)
            if len(body["data"][name]["edges"]) != 10:
                raise SystemExit(f"{name}({argument}): fewer than 10 matches.")
        result.figure(
            f"{name} over HTTP, {len(measured)} distinct: {report.percentiles(seconds[len(warm_up) :])}"
        )


if __name__ == "__main__":
    main()
