"""A corpus to measure in: postings with words, vectors and indexes, candidates, and the model that answers.

Either the announcements of ../shared/data (where they are not there: as many generated ones), or --rows generated
postings: BASE of them made and imported one by one, the others copied from those in SQL (bench/copies.py). The steps of
the pipeline embed the candidates and a part of the postings, from all over them. The others get vectors around those of
their job family: turned away from one of them by chance, to a cosine between 0.55 and 0.95, in a direction in which two
embedded ones differ. Equal texts have equal vectors.

A corpus of a million takes some minutes to make: with --folder it is kept, and taken from there the next time.
"""

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from bench import copies, report, scratch, vectors

if TYPE_CHECKING:
    from apps.embeddings.models import EmbeddingModel

NOTE = "corpus.json"
KINDS = ("candidate", "posting")
BASE = 20_000
SPREAD_OF = 20_000  # vectors, by chance
REAL_ROWS, QUICK_ROWS = 47_320, 2_000
# Vectors that are hardest to tell apart: one centre for each job family, and all of the family as far from it as
# noise of 0.6 of its length takes them, in any direction. Texts lie in few directions.
HARDEST = (0.857, 0.857)


@dataclass(frozen=True)
class Corpus:
    """What a folder holds. `embedded`: postings that the model itself embedded; none where vectors are `hardest`."""

    rows: int
    real: bool
    embedded: int
    candidates: int
    model: str
    hardest: bool

    def __str__(self) -> str:
        postings = f"{self.rows:,} {'real' if self.real else 'generated'} postings"
        how = "the hardest vectors" if self.hardest else f"{self.embedded:,} of them embedded by {self.model}"
        return f"{postings} ({how}) and {self.candidates:,} candidates"


def arguments(description: str | None) -> argparse.ArgumentParser:
    parser = report.arguments(description or "")
    parser.add_argument(
        "--rows",
        type=int,
        help=f"so many generated postings, instead of the {REAL_ROWS:,} real ones (quick: {QUICK_ROWS:,})",
    )
    parser.add_argument(
        "--folder", type=Path, help="keeps the corpus there, and takes the one that is there the next time"
    )
    return parser


@contextmanager
def servers(
    result: report.Report, options: argparse.Namespace, *, hardest: bool = False, **settings: str
) -> Iterator[Path]:
    """Runs PostgreSQL and Valkey with the corpus that `options` ask for; yields the folder of their data.

    Ends the program where --folder holds another one. `hardest`: see HARDEST.
    """
    folder: Path | None = options.folder and options.folder.resolve()
    held = held_in(folder, options.rows, hardest=hardest) if folder else None
    with scratch.servers(folder, **scratch.free_addresses(), **settings) as data:
        if held is None:
            held = _Making(data, options, hardest=hardest).run(result)
            (data / NOTE).write_text(json.dumps(asdict(held)))
        if held.model != (wanted := _wanted_model()):
            raise SystemExit(
                f"--folder: {folder} holds {held}, and the settings want {wanted}: name another, or set EMBEDDING_*"
            )
        result.figure(f"corpus: {held}")
        _forget_answers()
        yield data


def _forget_answers() -> None:
    """Valkey keeps its data as the corpus is kept: with the answers of whoever measured before."""
    from apps.caching import shared

    shared.connection().flushdb()


def _wanted_model() -> str:
    """The model of the settings, which is not registered by that: the folder may hold another one."""
    from django.conf import settings

    from apps.embeddings.models import EmbeddingModel

    revision = EmbeddingModel.revision_of(
        weights=settings.EMBEDDING_WEIGHTS, windows=settings.EMBEDDING_WINDOWS
    )
    return f"{settings.EMBEDDING_MODEL}@{revision}"


def held_in(folder: Path, rows: int | None, *, hardest: bool) -> Corpus | None:
    """The corpus in a folder, None where nothing is. Ends the program where it is not the one asked for."""
    note = folder / NOTE
    if not note.exists():
        if folder.exists() and any(folder.iterdir()):
            raise SystemExit(
                f"--folder: {folder} holds something else, or half a corpus: remove it, or name another"
            )
        return None
    held = Corpus(**json.loads(note.read_text()))
    if rows is not None and (held.real or held.rows != rows):
        raise SystemExit(
            f"--folder: {folder} holds {held}, not {rows:,} generated ones: name another, or leave --rows out"
        )
    if held.hardest != hardest:
        raise SystemExit(
            f"--folder: {folder} holds {held}, {'not' if hardest else 'and that is'} what --hardest makes: name another"
        )
    return held


@dataclass
class _Making:
    """Makes a corpus in an empty database, and says how long each step took."""

    data: Path
    options: argparse.Namespace
    hardest: bool
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    embedded: vectors.Vectors = field(default_factory=lambda: np.empty((0, 0), np.float32))

    def run(self, result: report.Report) -> Corpus:
        from apps.candidates.models import Candidate
        from apps.embeddings.lifecycle import activate
        from apps.embeddings.registry import default_model
        from apps.postings.models import Posting

        real = self.options.rows is None and scratch.has_real("postings")
        rows: int = self.options.rows or (QUICK_ROWS if self.options.quick else REAL_ROWS)
        embedded, candidates = (10, 15) if self.options.quick else (1_000, 200)
        embedded = 0 if self.hardest else min(embedded, rows)
        self._import("candidates", candidates, real=real)
        if embedded:
            self._import("postings", embedded, real=real)
            self._embed()
        self._import("postings", rows if real else min(rows, BASE), real=real)
        self._words()
        self._vectors(rows, copied=not real and rows > BASE)
        self._indexes()
        activate(default_model(), force=True)
        took = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in self.seconds.items())
        result.figure(self._spread(default_model()))
        result.figure(f"corpus made in {sum(self.seconds.values()):.0f} s: {took}")
        return Corpus(
            Posting.objects.count(),
            real,
            embedded,
            Candidate.objects.count(),
            str(default_model()),
            self.hardest,
        )

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[step] += time.perf_counter() - started

    def _import(self, kind: str, rows: int, *, real: bool) -> None:
        with self._timed("import"):
            file, arguments = scratch.rows_file(self.data, kind, rows=rows, real=real)
            scratch.manage(f"import_{kind}", str(file), *arguments)

    def _embed(self) -> None:
        """By the steps of the pipeline, in this process: workers would have to start."""
        from apps.embeddings import leases, ledger, planning, runs
        from apps.embeddings.registry import default_model
        from workers import chunks

        with self._timed("embedding"):
            for kind in KINDS:
                run, _ = runs.request_run(kind, default_model(), reason="benchmark")
                planning.plan_run(run.pk)
                for chunk_id in run.chunks.order_by("number").values_list("pk", flat=True):
                    lease = leases.lease_chunk(chunk_id, task_id=None, worker=None)
                    assert lease is not None
                    chunks.process(lease)
                    ledger.write_chunk(chunk_id)
                finished = ledger.finish_run(run.pk)
                run.refresh_from_db()
                if not finished or run.progress().written != run.rows:
                    raise SystemExit(f"{run}: only {run.progress().written} of {run.rows} rows were written")

    def _words(self) -> None:
        from apps.recommendations.text_index import index_texts

        with self._timed("words"):
            for kind in KINDS:
                index_texts(kind, limit=10**9)

    def _vectors(self, rows: int, *, copied: bool) -> None:
        """For all postings and candidates that have none; the index is left for the end, as after a first load."""
        from apps.embeddings.index import drop_index
        from apps.embeddings.registry import default_model

        model = default_model()
        with self._timed("vectors"):
            centres = _hardest_centres(model) if self.hardest else _embedded_centres(model)
            self.embedded = vectors.read(model).vectors
            for kind in KINDS:
                drop_index(model, kind)
                vectors.fill(kind, model, centres)
        if copied:
            with self._timed("copies"):
                own, cosines = vectors.read(model), copies.COSINES
                if self.hardest:
                    own = vectors.Stored(own.ids, centres.of(_families(own.ids), np.random.default_rng(0)))
                    cosines = centres.cosines
                copies.multiply(rows, model, centres=own, cosines=cosines, apart=centres.apart)

    def _spread(self, model: "EmbeddingModel") -> str:
        """In how many directions vectors differ: those that the model made, and all."""
        every = vectors.read(model).vectors
        some = every[np.random.default_rng(2).choice(len(every), min(len(every), SPREAD_OF), replace=False)]
        own = f"{vectors.directions(self.embedded):.0f} of the embedded ones, " if len(self.embedded) else ""
        return f"directions in which vectors differ, of {model.dimensions}: {own}{vectors.directions(some):.0f} of all"

    def _indexes(self) -> None:
        from django.db import connection

        from apps.embeddings.index import build_index
        from apps.embeddings.registry import default_model

        with self._timed("vector index"):
            for kind in KINDS:
                build_index(default_model(), kind)
        with self._timed("vacuum"), connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")


def _embedded_centres(model: "EmbeddingModel") -> vectors.Centres:
    """The postings that are embedded so far."""
    found = vectors.read(model)
    return vectors.Centres(found.vectors, _families(found.ids), apart=np.unique(found.vectors, axis=0))


def _hardest_centres(model: "EmbeddingModel") -> vectors.Centres:
    from apps.postings.models import Posting

    families = sorted(set(Posting.objects.values_list("job_family", flat=True)))
    random = np.random.default_rng(0).standard_normal((len(families), model.dimensions), np.float32)
    return vectors.Centres(vectors.normalised(random), families, HARDEST)


def _families(ids: vectors.Positions) -> list[str]:
    """The job family of each of the postings, by ascending id."""
    from apps.postings.models import Posting

    rows = Posting.objects.filter(pk__in=ids.tolist()).order_by("pk")
    return list(rows.values_list("job_family", flat=True))


@cache
def mostly_open() -> bool:
    """Whether most postings are open, which queries ask for by default. The real ones have closed long ago."""
    from apps.postings.models import Posting

    return Posting.objects.open().count() > Posting.objects.count() // 2


def candidate_vectors(model: "EmbeddingModel") -> list[str]:
    """Of all candidates, in PostgreSQL's text form: queries that the corpus answers."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT vector::text FROM embeddings_candidateembedding WHERE model_id = %s ORDER BY candidate_id",
            [model.pk],
        )
        return [row[0] for row in cursor.fetchall()]


def main() -> None:
    options = arguments(__doc__).parse_args()
    result = report.start("Corpus")
    with servers(result, options):
        pass
    report.end(result)


if __name__ == "__main__":
    main()
