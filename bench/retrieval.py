"""Whether the nearest postings are found, and how long it takes: the SQL, and a whole GraphQL request.

The queries are candidates, and texts that nobody asked before, so that no cache answers. Recall is taken against an
exact search over all vectors in memory, which knows nothing of the database.
"""

import json
import sys
import time
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import corpus, report, scratch, vectors

if TYPE_CHECKING:
    from apps.embeddings.models import EmbeddingModel

K = 10
REQUESTS = {
    "searchPostings": "query ($of: String) { searchPostings(text: $of, first: 10, filter: {openOnly: false}) "
    "{ degraded edges { score node { title city } explanation { matchedSkills { name } } } } }",
    "similarPostings": "query ($of: ID!) { similarPostings(postingId: $of, first: 10, filter: {openOnly: false}) "
    "{ degraded edges { score node { title city } explanation { matchedSkills { name } } } } }",
}


def main() -> None:
    parser = corpus.arguments(__doc__)
    parser.add_argument("--queries", type=int, help="at most so many, instead of one for each candidate")
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


def measure_sql(result: report.Report, model: "EmbeddingModel", most: int | None) -> int:
    """Recall and time of the application's own search, for several filters, and of pgvector's bare index.

    Returns the number of queries.
    """
    from django.conf import settings

    from apps.embeddings.models import Kind
    from apps.recommendations.retrieval import nearest
    from apps.recommendations.services import filtered

    stored, depth = vectors.read(model), settings.RECOMMENDATION_DEPTH
    texts = corpus.candidate_vectors(model)[:most]
    cosines = stored.cosines(vectors.normalised(np.array([json.loads(text) for text in texts], np.float32)))
    result.figure(f"{len(texts)} candidates, {depth} matches each")
    for name, values in filters().items():
        matching = filtered(Kind.POSTING, values)
        positions = np.flatnonzero(np.isin(stored.ids, list(matching.values_list("pk", flat=True))))
        recalls, strategies, milliseconds = [], set[str](), []
        for text, row in zip(texts, cosines, strict=True):
            started = time.perf_counter()
            found = nearest(Kind.POSTING, text, model=model, matching=matching, k=depth)
            milliseconds.append(1000 * (time.perf_counter() - started))
            strategies.add(found.strategy)
            recalls.append(vectors.recall([each.row_id for each in found.rows], stored, row, positions, k=K))
        result.figure(
            f"{name}: {len(positions):,} rows match, {', '.join(sorted(strategies))}: {percentiles(milliseconds)}"
        )
        result.at_least(f"recall_at_{K}_{name.replace(' ', '_')}", float(np.mean(recalls)), 0.98)
    result.figure(f"pgvector's index alone, {depth} rows: {percentiles(bare_index(model, texts, depth))}")
    return len(texts)


def filters() -> dict[str, dict[str, Any]]:
    """From none to narrow, by what the corpus holds."""
    from django.db.models import Count

    from apps.postings.models import Posting

    dates = Posting.objects.exclude(published_at=None).order_by("-published_at").values_list("published_at")
    dated = dates.count()
    some: dict[str, Any] = {"open_only": False}
    found = {
        "no filter": some,
        "newest half": some | {"published_since": str(dates[dated // 2][0])},
        "newest seventh": some | {"published_since": str(dates[dated // 7][0])},
    }
    for name, field in (("company", "company__name"), ("family", "job_family"), ("location", "city")):
        usual = Posting.objects.exclude(**{field: ""}).exclude(**{field: None}).values(field)
        most = usual.annotate(rows=Count("pk")).order_by("-rows", field).first()
        if most is not None:
            key = "job_family" if name == "family" else name
            found[f"usual {name}"] = some | {key: most[field]}
    return found


def bare_index(model: "EmbeddingModel", texts: Iterable[str], depth: int) -> list[float]:
    """Milliseconds of each walk along the index, with the application's ef_search and nothing else."""
    from django.conf import settings
    from django.db import connection, transaction

    milliseconds = []
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL hnsw.ef_search = {max(settings.HNSW_EF_SEARCH, 2 * depth)}")
        for text in texts:
            started = time.perf_counter()
            cursor.execute(
                f"SELECT posting_id FROM embeddings_postingembedding WHERE model_id = {model.pk} "
                f"ORDER BY vector::halfvec({model.dimensions}) <=> %s::halfvec({model.dimensions}) LIMIT %s",
                [text, depth],
            )
            cursor.fetchall()
            milliseconds.append(1000 * (time.perf_counter() - started))
    return milliseconds


def measure_requests(result: report.Report, queries: int) -> None:
    """One reader after another, over HTTP, each with another query."""
    from apps.candidates.models import Candidate
    from apps.postings.models import Posting

    resumes = Candidate.objects.order_by("pk").values_list("resume", flat=True)
    texts = list(dict.fromkeys(" ".join(text.split()[:60]) for text in resumes))
    count = Posting.objects.count()
    step = max(count // (2 * queries), 1)
    ids = [str(pk) for pk in Posting.objects.order_by("pk").values_list("pk", flat=True)[::step]]
    wait_for_servers()
    for name, arguments in (("searchPostings", texts), ("similarPostings", ids)):
        warm, measured = arguments[-5:], arguments[: min(queries, len(arguments) - 5)]
        for argument in warm:
            ask(REQUESTS[name], of=argument)
        milliseconds = []
        for argument in measured:
            started = time.perf_counter()
            answer = ask(REQUESTS[name], of=argument)[name]
            milliseconds.append(1000 * (time.perf_counter() - started))
            if answer["degraded"] or len(answer["edges"]) != 10:
                raise SystemExit(f"{name}({argument}): degraded, or fewer than 10 matches")
        result.figure(f"{name} over HTTP, {len(measured)} distinct: {percentiles(milliseconds)}")


def wait_for_servers(timeout: float = 120) -> None:
    """Returns when the model is loaded and the web server answers."""
    from django.conf import settings

    from apps.rpc.client import is_serving

    until = time.monotonic() + timeout
    while time.monotonic() < until:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{settings.WEB_PORT}/readyz", timeout=5).close()
        except OSError:
            time.sleep(0.2)
            continue
        if is_serving(settings.EMBEDDING_ADDRESS):
            return
        time.sleep(0.2)
    raise SystemExit(f"the web server and the embedding server do not both answer after {timeout:.0f} s")


def ask(query: str, **variables: Any) -> Any:
    from django.conf import settings

    request = urllib.request.Request(
        f"http://127.0.0.1:{settings.WEB_PORT}/graphql",
        json.dumps({"query": query, "variables": variables}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        answer = json.load(response)
    if "errors" in answer:
        raise SystemExit(f"GraphQL: {answer['errors']}")
    return answer["data"]


def percentiles(milliseconds: list[float]) -> str:
    return f"p50 {report.percentile(milliseconds, 0.5):.1f} ms, p95 {report.percentile(milliseconds, 0.95):.1f} ms"


if __name__ == "__main__":
    main()
