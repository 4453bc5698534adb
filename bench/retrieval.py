"""Whether the nearest postings are found, and how long it takes: the SQL, and a whole GraphQL request.

The queries are candidates, and texts that nobody asked before, so that no cache answers. Candidates and postings are
embedded by the real worker; of a large corpus only a part is, from all over it. The other postings get vectors around
those: turned away from one of them by chance, to a cosine between 0.55 and 0.95. Equal texts have equal vectors.
"""

import json
import sys
import time
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import report, scratch

if TYPE_CHECKING:
    from apps.embeddings.models import EmbeddingModel

K = 10
COSINES = (0.55, 0.95)
SAME = 1e-5  # a row as near as the k-th, up to the arithmetic, is as good as it
REQUESTS = {
    "searchPostings": "query ($of: String) { searchPostings(text: $of, first: 10, filter: {openOnly: false}) "
    "{ degraded edges { score node { title city } explanation { matchedSkills { name } } } } }",
    "similarPostings": "query ($of: ID!) { similarPostings(postingId: $of, first: 10, filter: {openOnly: false}) "
    "{ degraded edges { score node { title city } explanation { matchedSkills { name } } } } }",
}


@dataclass(frozen=True)
class Corpus:
    """All vectors in memory, to search exactly without the database."""

    ids: npt.NDArray[np.int64]
    vectors: npt.NDArray[np.float32]

    def recall(
        self, found: list[int], query: npt.NDArray[np.float32], allowed: npt.NDArray[np.bool_]
    ) -> float:
        """The share of the K nearest allowed rows that the first K of `found` hold, or rows as near."""
        cosines = np.where(allowed, self.vectors @ query, -np.inf)
        wanted = min(K, int(allowed.sum()))
        least = np.partition(cosines, -wanted)[-wanted]
        right = self.ids[cosines >= least - SAME]
        return len(np.intersect1d(found[:K], right)) / wanted


def main() -> None:
    parser = report.arguments(__doc__)
    parser.add_argument(
        "--folder", type=Path, help="keeps the corpus there, and takes it from there the next time"
    )
    parser.add_argument(
        "--embedded", type=int, help="postings the model embeds, instead of 1,000 (quick: 40)"
    )
    parser.add_argument("--queries", type=int, help="instead of 200 (quick: 30)")
    options = parser.parse_args()
    queries = options.queries or (30 if options.quick else 200)
    result = report.start("Retrieval")
    if options.folder:
        options.folder.mkdir(parents=True, exist_ok=True)
    with scratch.servers(options.folder and options.folder.resolve(), **scratch.free_addresses()) as data:
        from apps.embeddings.models import EmbeddingModel
        from apps.embeddings.registry import default_model

        if not (data / "loaded").exists():
            load(
                data,
                rows=8_000 if options.quick else None,
                embedded=options.embedded or (40 if options.quick else 1_000),
                candidates=queries,
            )
            complete(result, default_model())
            (data / "loaded").touch()
        model = EmbeddingModel.objects.active()
        assert model is not None
        measure_sql(result, model, queries)
        with scratch.processes(data, "sidecar", "embedding-server", "web"):
            measure_requests(result, queries)
    report.end(result)


def load(data: Path, *, rows: int | None, embedded: int, candidates: int) -> None:
    """Candidates and a part of the postings, embedded; then all postings."""
    from apps.embeddings.registry import default_model

    people, arguments = scratch.candidates_file(data, rows=candidates)
    scratch.manage("import_candidates", str(people), *arguments)
    part, arguments = scratch.postings_file(data, rows=embedded)
    scratch.manage("import_postings", str(part), *arguments)
    with scratch.processes(data, "sidecar", "embed-worker", "write-worker") as supervisor:
        for kind in ("candidate", "posting"):
            scratch.embed(kind, default_model(), supervisor)
    whole, arguments = scratch.postings_file(data, rows=rows)
    scratch.manage("import_postings", str(whole), *arguments)


def complete(result: report.Report, model: "EmbeddingModel") -> None:
    """Vectors for all postings, then the index over all of them, as after a first load."""
    from apps.embeddings.index import build_index, drop_index
    from apps.embeddings.models import Kind

    drop_index(model, Kind.POSTING)
    add_vectors(model)
    started = time.perf_counter()
    build_index(model, Kind.POSTING)
    result.figure(f"index built in {time.perf_counter() - started:.1f} s")


def add_vectors(model: "EmbeddingModel") -> None:
    """A vector for each posting that has none: that of an equal text, or one around an embedded one."""
    from django.db import connection

    from apps.embeddings import packing

    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO embeddings_postingembedding (posting_id, model_id, content_hash, vector)
            SELECT DISTINCT ON (record.id) record.id, twin.model_id, twin.content_hash, twin.vector
            FROM postings_posting AS record
            JOIN embeddings_postingembedding AS twin ON twin.model_id = %s AND twin.content_hash = record.content_hash
            ON CONFLICT DO NOTHING
            """,
            [model.pk],
        )
        cursor.execute(
            "SELECT DISTINCT content_hash FROM postings_posting AS record WHERE NOT EXISTS "
            "(SELECT FROM embeddings_postingembedding WHERE posting_id = record.id AND model_id = %s)",
            [model.pk],
        )
        hashes = [bytes(row[0]) for row in cursor.fetchall()]
    embedded = read_corpus(model).vectors
    random = np.random.default_rng(0)
    for start in range(0, len(hashes), 5_000):
        some = hashes[start : start + 5_000]
        vectors = packing.PackedVectors(around(embedded, len(some), random))
        with packing.binary_cursor() as cursor:
            cursor.execute(
                """
                INSERT INTO embeddings_postingembedding (posting_id, model_id, content_hash, vector)
                SELECT record.id, %(model)s, fresh.hash, fresh.vector
                FROM unnest(%(hashes)s::bytea[], %(vectors)b) AS fresh(hash, vector)
                JOIN postings_posting AS record ON record.content_hash = fresh.hash
                """,
                {"model": model.pk, "hashes": some, "vectors": vectors},
            )


def around(
    centres: npt.NDArray[np.float32], count: int, random: np.random.Generator
) -> npt.NDArray[np.float32]:
    """count × dimensions, of length 1, each at a cosine within COSINES of one of `centres`."""
    chosen = centres[random.integers(len(centres), size=count)]
    away = random.standard_normal(chosen.shape).astype(np.float32)
    away -= (away * chosen).sum(axis=1, keepdims=True) * chosen
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    cosine = random.uniform(*COSINES, size=(count, 1)).astype(np.float32)
    return np.asarray(cosine * chosen + np.sqrt(1 - cosine**2) * away, np.float32)


def read_corpus(model: "EmbeddingModel") -> Corpus:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT posting_id, vector::real[] FROM embeddings_postingembedding WHERE model_id = %s",
            [model.pk],
        )
        rows = cursor.fetchall()
    vectors = np.array([row[1] for row in rows], np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Corpus(np.array([row[0] for row in rows], np.int64), vectors)


def measure_sql(result: report.Report, model: "EmbeddingModel", queries: int) -> None:
    """Recall and time of the application's own search, for several filters, and of pgvector's bare index."""
    from django.conf import settings

    from apps.candidates.models import Candidate
    from apps.embeddings.models import Kind
    from apps.recommendations.retrieval import nearest, stored_vector
    from apps.recommendations.services import filtered

    corpus, depth = read_corpus(model), settings.RECOMMENDATION_DEPTH
    result.figure(f"{len(corpus.ids):,} postings, {queries} candidates, {depth} matches each")
    vectors = [
        text
        for pk in Candidate.objects.order_by("pk").values_list("pk", flat=True)[:queries]
        if (text := stored_vector(Kind.CANDIDATE, pk, model)) is not None
    ]
    for name, values in filters().items():
        matching = filtered(Kind.POSTING, values)
        allowed = np.isin(corpus.ids, list(matching.values_list("pk", flat=True)))
        recalls, strategies, milliseconds = [], set[str](), []
        for vector in vectors:
            started = time.perf_counter()
            found = nearest(Kind.POSTING, vector, model=model, matching=matching, k=depth)
            milliseconds.append(1000 * (time.perf_counter() - started))
            strategies.add(found.strategy)
            query = np.array(json.loads(vector), np.float32)
            recalls.append(corpus.recall([row.row_id for row in found.rows], query, allowed))
        result.figure(
            f"{name}: {allowed.sum():,} rows match, {', '.join(sorted(strategies))}: {percentiles(milliseconds)}"
        )
        result.at_least(f"recall_at_{K}_{name.replace(' ', '_')}", float(np.mean(recalls)), 0.98)
    result.figure(f"pgvector's index alone, {depth} rows: {percentiles(bare_index(model, vectors, depth))}")


def filters() -> dict[str, dict[str, Any]]:
    """From none to narrow, by what the corpus holds."""
    from django.db.models import Count

    from apps.postings.models import Posting

    dated = Posting.objects.exclude(published_at=None).order_by("-published_at")
    dates = [str(moment) for moment in dated.values_list("published_at", flat=True)]
    some: dict[str, Any] = {"open_only": False}
    found = {
        "no filter": some,
        "newest half": some | {"published_since": dates[len(dates) // 2]},
        "newest seventh": some | {"published_since": dates[len(dates) // 7]},
    }
    for name, field in (("company", "company__name"), ("family", "job_family"), ("location", "city")):
        usual = Posting.objects.exclude(**{field: ""}).exclude(**{field: None}).values(field)
        most = usual.annotate(rows=Count("pk")).order_by("-rows", field).first()
        if most is not None:
            key = "job_family" if name == "family" else name
            found[f"usual {name}"] = some | {key: most[field]}
    return found


def bare_index(model: "EmbeddingModel", vectors: Iterable[str], depth: int) -> list[float]:
    """Milliseconds of each walk along the index, with the application's ef_search and nothing else."""
    from django.conf import settings
    from django.db import connection, transaction

    milliseconds = []
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL hnsw.ef_search = {max(settings.HNSW_EF_SEARCH, 2 * depth)}")
        for vector in vectors:
            started = time.perf_counter()
            cursor.execute(
                f"SELECT posting_id FROM embeddings_postingembedding WHERE model_id = {model.pk} "
                f"ORDER BY vector::halfvec({model.dimensions}) <=> %s::halfvec({model.dimensions}) LIMIT %s",
                [vector, depth],
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
