"""Nearest rows under a filter: how many come back, how right they are and how long it takes, whatever the filter leaves.

On the real corpus of US announcements where it lies beside the checkout (../shared/data), else on generated rows, and
always on generated ones with --rows. The vectors are generated: clusters on a sphere, as texts of a few professions
are. A filter either leaves rows of all clusters alike, or only those of one cluster, which is the worst case for a
graph: a query from elsewhere has to walk there. Within a cluster the vectors differ in every direction alike, which is
harder than texts, whose vectors lie in few directions.
"""

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import report, scratch

DIMENSIONS = 384
CLUSTERS = 50
NOISE = 0.6  # length of a vector's noise beside its cluster's centre of length 1
SHARES = (0.0001, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
BATCH = 5_000
RECALL = 0.95

Vectors = npt.NDArray[np.float32]


def main() -> None:
    parser = report.arguments(__doc__)
    parser.add_argument("--rows", type=int, help="so many generated rows instead of the real corpus")
    parser.add_argument("--queries", type=int, default=20, help="searches for each filter")
    options = parser.parse_args()
    result = report.start("Filters")
    with scratch.servers():
        rows = load(options.rows, quick=options.quick)
        vectors, clusters = make_vectors(rows)
        corpus = Corpus(_as_stored(vectors), store(vectors, clusters))
        result.figure(
            f"{rows:,} postings with generated vectors, {CLUSTERS} clusters of {DIMENSIONS} dimensions"
        )
        started = time.perf_counter()
        model = build()
        result.figure(f"index built in {time.perf_counter() - started:.1f} s")
        measure(result, corpus, model, queries=make_vectors(options.queries, seed=7)[0])
    report.end(result)


@dataclass(frozen=True)
class Corpus:
    """Vectors by position, and the primary key at each position."""

    vectors: Vectors
    keys: npt.NDArray[np.int64]


def load(generated: int | None, *, quick: bool) -> int:
    """Imports or generates postings; returns how many there are."""
    from django.db import connection

    real = scratch.SHARED / "postings" / "usajobs.jsonl.gz"
    if generated is None and real.exists() and not quick:
        scratch.manage("import_postings", str(real), "--preset", "usajobs")
    else:
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO postings_posting (source, external_id, title, language, city, region, country, remote, "
                "salary_currency, salary_period, company_id, employment_type, job_family, status, description) "
                "SELECT 'bench', n, 'Posting ' || n, 'en', '', '', '', false, '', 'year', NULL, '', '', 'open', '' "
                "FROM generate_series(1, %s) AS n",
                [generated or 20_000],
            )
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM postings_posting")
        return int(cursor.fetchone()[0])


def make_vectors(count: int, *, seed: int = 1) -> tuple[Vectors, npt.NDArray[np.int64]]:
    """(vectors of length 1, the cluster of each). The centres are the same for every seed."""
    centres = _normalised(np.random.default_rng(0).standard_normal((CLUSTERS, DIMENSIONS), np.float32))
    random = np.random.default_rng(seed)
    clusters = random.integers(0, CLUSTERS, count)
    noise = _normalised(random.standard_normal((count, DIMENSIONS), np.float32))
    return _normalised(centres[clusters] + NOISE * noise), clusters


def _as_stored(vectors: Vectors) -> Vectors:
    """As the database holds them: in half precision."""
    return _normalised(vectors.astype(np.float16).astype(np.float32))


def _normalised(vectors: Vectors) -> Vectors:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def store(vectors: Vectors, clusters: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Gives each posting a vector, its cluster as job family and a region of a known share; returns the keys."""
    from django.db import connection

    from apps.embeddings.lifecycle import activate
    from apps.embeddings.packing import PackedVectors, binary_cursor
    from apps.embeddings.registry import default_model

    model = default_model()
    activate(model, force=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM postings_posting ORDER BY id")
        keys = np.array([row[0] for row in cursor.fetchall()])
        drawn = np.random.default_rng(3).random(len(keys))
        bounds = np.cumsum(SHARES)
        regions = np.searchsorted(bounds, drawn)
        cursor.execute(
            "UPDATE postings_posting SET region = 'region ' || drawn.region, job_family = 'family ' || drawn.family "
            "FROM unnest(%s::bigint[], %s::int[], %s::int[]) AS drawn(id, region, family) "
            "WHERE postings_posting.id = drawn.id",
            [keys.tolist(), regions.tolist(), clusters.tolist()],
        )
    with binary_cursor() as raw:
        for start in range(0, len(keys), BATCH):
            part = slice(start, start + BATCH)
            raw.execute(
                "INSERT INTO embeddings_postingembedding (posting_id, model_id, content_hash, vector) "
                "SELECT id, %s, content_hash, vector FROM unnest(%s::bigint[], %b) AS made(id, vector) "
                "JOIN postings_posting USING (id)",
                [model.pk, keys[part].tolist(), PackedVectors(vectors[part])],
            )
    return keys


def build() -> Any:
    from django.db import connection

    from apps.embeddings.index import build_index
    from apps.embeddings.models import EmbeddingModel

    model = EmbeddingModel.objects.active()
    assert model is not None
    build_index(model, "posting")
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE postings_posting")
    return model


def measure(result: report.Report, corpus: Corpus, model: Any, *, queries: Vectors) -> None:
    """One line for each filter, against a bare exact scan of all rows."""
    from django.conf import settings

    k = settings.RECOMMENDATION_DEPTH
    bare = [bare_scan(query, model, k) for query in queries[:5]]
    baseline = report.percentile(bare, 0.5)
    result.figure(f"a bare exact scan of all rows: {baseline * 1000:.1f} ms; k = {k}")
    result.figure(
        "filter                 matching  strategy        rows   recall    p50 ms    p95 ms  p50 of bare scan"
    )
    filters: list[tuple[str, dict[str, str]]] = [
        (f"{share:.2%}", {"location": f"Region {number}"}) for number, share in enumerate(SHARES)
    ]
    filters += [("one cluster", {"job_family": "family 0"}), ("none", {})]
    fewest, lowest = 1.0, 1.0
    for name, values in filters:
        line = one_filter(values, corpus, model, queries=queries, k=k)
        result.figure(
            f"{name:20} {line.matching:10,}  {'/'.join(sorted(line.strategies)):14} {line.rows:5.0%} {line.recall:8.3f} "
            f"{line.p50 * 1000:9.1f} {line.p95 * 1000:9.1f} {line.p50 / baseline:10.3f}"
        )
        fewest, lowest = min(fewest, line.rows), min(lowest, line.recall)
    result.at_least("filters_rows_returned_of_due", fewest, 1)
    result.at_least("filters_lowest_recall", lowest, RECALL)


@dataclass(frozen=True)
class Line:
    matching: int
    strategies: set[str]
    rows: float
    recall: float
    p50: float
    p95: float


def one_filter(values: dict[str, str], corpus: Corpus, model: Any, *, queries: Vectors, k: int) -> Line:
    """`rows`: the smallest share of the rows due that came back. `recall`: the mean over the queries."""
    from apps.recommendations.retrieval import as_text, nearest
    from apps.recommendations.services import filtered

    matching = filtered("posting", {"open_only": True, **values})
    keys = set(matching.values_list("pk", flat=True))
    positions = np.flatnonzero(np.isin(corpus.keys, list(keys)))
    strategies, shares, recalls, seconds = set(), [], [], []
    for query, due in zip(queries, true_neighbours(corpus, positions, queries, k), strict=True):
        text = as_text([float(value) for value in query])
        started = time.perf_counter()
        found = nearest("posting", text, model=model, matching=matching, k=k)
        seconds.append(time.perf_counter() - started)
        strategies.add(found.strategy)
        shares.append(len({row.row_id for row in found.rows} & keys) / len(due) if due else 1.0)
        recalls.append(len({row.row_id for row in found.rows} & due) / len(due) if due else 1.0)
    p50, p95 = (report.percentile(seconds, share) for share in (0.5, 0.95))
    return Line(len(keys), strategies, min(shares), float(np.mean(recalls)), p50, p95)


def true_neighbours(
    corpus: Corpus, positions: npt.NDArray[np.int64], queries: Vectors, k: int
) -> list[set[int]]:
    """For each query, by brute force."""
    near = queries @ corpus.vectors[positions].T
    best = np.argsort(-near, axis=1, kind="stable")[:, :k]
    return [set(keys.tolist()) for keys in corpus.keys[positions][best]]


def bare_scan(query: Vectors, model: Any, k: int) -> float:
    """Seconds that PostgreSQL takes for the same question without filter, index and this project."""
    from django.db import connection

    from apps.recommendations.retrieval import as_text

    text = as_text([float(value) for value in query])
    with connection.cursor() as cursor:
        started = time.perf_counter()
        cursor.execute(
            "SELECT posting_id FROM embeddings_postingembedding WHERE model_id = %s "
            "ORDER BY (vector::halfvec(384) <=> %s::halfvec(384)) + 0 LIMIT %s",
            [model.pk, text, k],
        )
        cursor.fetchall()
        return time.perf_counter() - started


if __name__ == "__main__":
    main()
