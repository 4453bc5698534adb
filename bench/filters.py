"""Nearest rows under a filter: how many come back, how right they are and how long it takes, whatever the filter leaves.

A filter by location leaves rows of all kinds alike; one by job family leaves only rows that lie together, which is the
worst case for a graph: a query from elsewhere has to walk there. The queries are the candidates of the corpus. With
--hardest all vectors are made up: one centre for each job family, around which they differ in every direction alike,
which is harder than texts, whose vectors lie in few directions; nothing has to be embedded for that.
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
from bench.copies import DISTRICTS

if TYPE_CHECKING:
    from apps.embeddings.models import EmbeddingModel

RECALL = 0.95
BARE = 5  # scans
WHOLE = 3  # searches as the API makes them


def main() -> None:
    parser = corpus.arguments(__doc__)
    parser.add_argument("--queries", type=int, default=20, help="searches for each filter")
    parser.add_argument("--hardest", action="store_true", help="vectors that are hardest to tell apart")
    options = parser.parse_args()
    result = report.start("Filters")
    with corpus.servers(result, options, hardest=options.hardest):
        from apps.embeddings.models import EmbeddingModel

        model = EmbeddingModel.objects.active()
        assert model is not None
        measure(result, model, corpus.candidate_vectors(model)[: options.queries])
    report.end(result)


def measure(result: report.Report, model: "EmbeddingModel", texts: Sequence[str]) -> None:
    """One line for each filter, against a bare exact scan of all rows."""
    from django.conf import settings

    k, stored = settings.RECOMMENDATION_DEPTH, vectors.read(model)
    cosines = stored.cosines(vectors.normalised(np.array([json.loads(text) for text in texts], np.float32)))
    baseline = report.percentile([bare_scan(text, model, k) for text in texts[:BARE]], 0.5)
    result.figure(f"a bare exact scan of all rows: {baseline * 1000:.1f} ms; k = {k}, {len(texts)} queries")
    result.figure(
        "filter                            matching  strategy        rows   recall    p50 ms    p95 ms  p50 of bare scan"
    )
    fewest, lowest = 1.0, 1.0
    for name, values in filters(len(stored.ids)).items():
        line = one_filter(values, stored, cosines, model, texts=texts, k=k)
        result.figure(
            f"{name[:30]:30} {line.matching:11,}  {'/'.join(sorted(line.strategies)):14} {line.rows:5.0%} "
            f"{line.recall:8.3f} {line.p50 * 1000:9.1f} {line.p95 * 1000:9.1f} {line.p50 / baseline:10.3f}"
        )
        fewest, lowest = min(fewest, line.rows), min(lowest, line.recall)
    result.at_least("filters_rows_returned_of_due", fewest, 1)
    result.at_least("filters_lowest_recall", lowest, RECALL)


def filters(rows: int) -> dict[str, dict[str, Any]]:
    """Locations from rare to usual, of the shares in DISTRICTS or as near to them as there are; a family; everything."""
    from django.db.models import Count

    from apps.postings.models import Posting

    places: dict[str, int] = {}
    for field in ("city", "region", "country"):
        counted = (
            Posting.objects.exclude(**{field: ""}).values_list(field).annotate(Count("pk")).order_by(field)
        )
        places |= dict(counted)
    nearest = [min(places, key=lambda place: abs(log(places[place] / (share * rows)))) for share in DISTRICTS]
    usual: dict[str, Any] = {"open_only": corpus.mostly_open()}
    found = {f"in {place}": usual | {"location": place} for place in nearest}
    families = Posting.objects.exclude(job_family="").values_list("job_family").annotate(count=Count("pk"))
    most = families.order_by("-count", "job_family").first()
    if most is not None:
        found["one job family"] = usual | {"job_family": most[0]}
    if usual["open_only"]:
        found["open"] = usual
    return found | {"none": {}}


@dataclass(frozen=True)
class Line:
    """`rows`: the smallest share of the rows due that came back, from the index or the scan and from a whole search.
    `recall`: the mean over the queries."""

    matching: int
    strategies: set[str]
    rows: float
    recall: float
    p50: float
    p95: float


def one_filter(
    values: dict[str, Any],
    stored: vectors.Stored,
    cosines: vectors.Vectors,
    model: "EmbeddingModel",
    *,
    texts: Sequence[str],
    k: int,
) -> Line:
    from apps.embeddings.models import Kind
    from apps.recommendations.matching import match
    from apps.recommendations.profiles import Seeker
    from apps.recommendations.ranking import Features
    from apps.recommendations.retrieval import nearest
    from apps.recommendations.services import filtered

    matching = filtered("posting", values)
    keys = list(matching.values_list("pk", flat=True))
    positions = np.flatnonzero(np.isin(stored.ids, keys))
    due = min(k, len(positions))
    strategies, shares, recalls, seconds = set[str](), [], [], []
    for text, row in zip(texts, cosines, strict=True):
        started = time.perf_counter()
        found = nearest("posting", text, model=model, matching=matching, k=k)
        seconds.append(time.perf_counter() - started)
        strategies.add(found.strategy)
        ids = [each.row_id for each in found.rows]
        shares.append(len(np.intersect1d(ids, stored.ids[positions])) / due)
        recalls.append(vectors.recall(ids, stored, row, positions, k=k))
    for text in texts[:WHOLE]:
        ranked = match(Kind.POSTING, Seeker(Features(), text), matching, model=model)
        shares.append(len({each.row_id for each in ranked.items} & set(keys)) / min(k, len(keys)))
    p50, p95 = (report.percentile(seconds, share) for share in (0.5, 0.95))
    return Line(len(positions), strategies, min(shares), float(np.mean(recalls)), p50, p95)


def bare_scan(text: str, model: "EmbeddingModel", k: int) -> float:
    """Seconds that PostgreSQL takes for the same question without filter, index and this project."""
    from django.db import connection

    with connection.cursor() as cursor:
        started = time.perf_counter()
        cursor.execute(
            "SELECT posting_id FROM embeddings_postingembedding WHERE model_id = %s "
            f"ORDER BY (vector::halfvec({model.dimensions}) <=> %s::halfvec({model.dimensions})) + 0 LIMIT %s",
            [model.pk, text, k],
        )
        cursor.fetchall()
        return time.perf_counter() - started


if __name__ == "__main__":
    main()
