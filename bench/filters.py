"""Vector search under a filter: how many rows come back, how right they are and how long it takes.

A filter by location leaves postings of all kinds; one by job family leaves only postings that lie together,
the worst case for a graph index: a query from elsewhere has to walk there. The queries are the candidates of
the corpus.
"""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import corpus, report, vectors

if TYPE_CHECKING:
    from apps.embeddings.models import EmbeddingModel

MIN_RECALL = 0.95
BARE_SCANS = 5
WHOLE_SEARCHES = 3  # for each filter, as the API makes them


@dataclass(frozen=True)
class Queries:
    """Query vectors in PostgreSQL's text form, all stored vectors, and the cosines of each query with all of
    them."""

    texts: Sequence[str]
    stored: vectors.StoredVectors
    cosines: vectors.Vectors

    @classmethod
    def of_candidates(cls, model: "EmbeddingModel", *, maximum: int | None) -> "Queries":
        """Search with the vectors of candidates."""
        texts, stored = corpus.candidate_vectors(model)[:maximum], vectors.read(model)
        parsed = np.array([json.loads(text) for text in texts], np.float32)
        return cls(texts, stored, stored.cosines(vectors.normalised(parsed)))


@dataclass(frozen=True)
class SearchResult:
    """Outcome of all queries under one filter.

    `rows`: the smallest share of the expected rows that came back. `recall`: the mean over the queries.
    """

    matching: int
    strategies: str
    rows: float
    recall: float
    seconds: list[float]


def main() -> None:
    """Measure each filter and print the lowest figures as targets."""
    parser = corpus.arguments(__doc__)
    parser.add_argument("--queries", type=int, default=20, help="searches for each filter")
    options = parser.parse_args()
    result = report.start("Filters")
    with corpus.servers(result, options):
        from apps.embeddings.models import EmbeddingModel

        model = EmbeddingModel.objects.active()
        assert model is not None
        measure(result, model, Queries.of_candidates(model, maximum=options.queries))
    report.end(result)


def measure(result: report.Report, model: "EmbeddingModel", queries: Queries) -> None:
    """Print one line for each filter, against an exact scan of all rows."""
    from django.conf import settings

    k = settings.RECOMMENDATION_DEPTH
    bare = report.percentile([bare_scan(text, model, k) for text in queries.texts[:BARE_SCANS]], 0.5)
    result.figure(
        f"a bare exact scan of all rows: {bare * 1000:.1f} ms; k = {k}, {len(queries.texts)} queries"
    )
    result.figure(
        "filter                            matching  strategy        rows   recall    p50 ms    p95 ms"
        "  p50 of bare scan"
    )
    min_rows, min_recall = 1.0, 1.0
    for name, values in filters(len(queries.stored.ids)).items():
        found = search(queries, values, model=model, k=k, recall_at=k)
        rows = min(found.rows, whole_searches(queries, values, model=model, k=k))
        p50, p95 = (report.percentile(found.seconds, share) for share in (0.5, 0.95))
        result.figure(
            f"{name[:30]:30} {found.matching:11,}  {found.strategies:14} {rows:5.0%} "
            f"{found.recall:8.3f} {p50 * 1000:9.1f} {p95 * 1000:9.1f} {p50 / bare:10.3f}"
        )
        min_rows, min_recall = min(min_rows, rows), min(min_recall, found.recall)
    result.at_least("filters_rows_returned_of_due", min_rows, 1)
    result.at_least("filters_lowest_recall", min_recall, MIN_RECALL)


def filters(rows: int) -> dict[str, dict[str, Any]]:
    """Locations from rare to frequent, as near to the shares of DISTRICTS as there are; one family; no
    filter."""
    from django.db.models import Count

    from apps.postings.models import Posting

    places: dict[str, int] = {}
    for field in ("city", "region", "country"):
        named = Posting.objects.exclude(**{field: ""})
        places |= dict(named.values_list(field).annotate(Count("pk")).order_by(field))
    nearest = [
        min(places, key=lambda place: abs(log(places[place] / (share * rows)))) for share in corpus.DISTRICTS
    ]
    default: dict[str, Any] = {"open_only": corpus.mostly_open()}
    found = {f"in {place}": default | {"location": place} for place in nearest}
    families = Posting.objects.exclude(job_family="").values_list("job_family").annotate(count=Count("pk"))
    largest = families.order_by("-count", "job_family").first()
    if largest is not None:
        found["one job family"] = default | {"job_family": largest[0]}
    if default["open_only"]:
        found["open"] = default
    return found | {"none": {}}


def search(
    queries: Queries, values: dict[str, Any], *, model: "EmbeddingModel", k: int, recall_at: int
) -> SearchResult:
    """Search `k` rows for each query with the application's own vector search under the filter `values`."""
    from apps.recommendations.retrieval import nearest
    from apps.recommendations.services import filtered

    matching, stored = filtered("posting", values), queries.stored
    positions = np.flatnonzero(np.isin(stored.ids, list(matching.values_list("pk", flat=True))))
    strategies, shares, recalls, seconds = set[str](), [], [], []
    for text, cosines in zip(queries.texts, queries.cosines, strict=True):
        started = time.perf_counter()
        found = nearest("posting", text, model=model, matching=matching, k=k)
        seconds.append(time.perf_counter() - started)
        strategies.add(found.strategy)
        ids = [each.row_id for each in found.rows]
        shares.append(len(np.intersect1d(ids, stored.ids[positions])) / min(k, len(positions)))
        recalls.append(vectors.recall(ids, stored, cosines, positions, k=recall_at))
    return SearchResult(
        len(positions), "/".join(sorted(strategies)), min(shares), float(np.mean(recalls)), seconds
    )


def whole_searches(queries: Queries, values: dict[str, Any], *, model: "EmbeddingModel", k: int) -> float:
    """The smallest share of the expected rows that a search with ranking returns."""
    from apps.embeddings.models import Kind
    from apps.recommendations.active_ranking import active_ranking
    from apps.recommendations.matching import find_matches
    from apps.recommendations.profiles import Seeker
    from apps.recommendations.ranking import Features
    from apps.recommendations.services import filtered

    matching, ranking = filtered("posting", values), active_ranking()
    keys = set(matching.values_list("pk", flat=True))
    ranked = [
        find_matches(Kind.POSTING, Seeker(Features(), text), matching, model=model, ranking=ranking).items
        for text in queries.texts[:WHOLE_SEARCHES]
    ]
    return min(len({each.row_id for each in items} & keys) / min(k, len(keys)) for items in ranked)


def bare_scan(text: str, model: "EmbeddingModel", k: int) -> float:
    """Seconds that PostgreSQL takes for the same search without filter and index."""
    from django.db import connection

    with connection.cursor() as cursor:
        started = time.perf_counter()
        cursor.execute(
            "SELECT posting_id FROM embeddings_postingembedding WHERE model_id = %(model)s "
            "ORDER BY (vector::halfvec(%(dimensions)s) <=> %(text)s::halfvec(%(dimensions)s)) + 0 "
            "LIMIT %(k)s",
            {"model": model.pk, "dimensions": model.dimensions, "text": text, "k": k},
        )
        cursor.fetchall()
        return time.perf_counter() - started


if __name__ == "__main__":
    main()
