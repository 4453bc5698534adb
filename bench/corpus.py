"""Make the corpus that benchmarks measure on: postings with full text and vectors, candidates, indexes, a
model.

Either the real announcements of ../shared/data (where they are missing: as many generated ones), or --rows
generated postings, of which MAX_IMPORTED are imported and the others copied from those in SQL.

The pipeline embeds the candidates and a part of the postings. The other imported postings get a vector around
that of an embedded one of their job family, and copies one around that of their original. Equal texts have
equal vectors.

A corpus of a million postings takes many minutes to make: --folder keeps it for the next benchmark.
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

from bench import report, scratch, vectors

if TYPE_CHECKING:
    from apps.embeddings.models import EmbeddingModel

NOTE = "corpus.json"
KINDS = ("candidate", "posting")
MAX_IMPORTED = 20_000  # generated postings
REAL_ROWS, QUICK_ROWS = 47_320, 2_000
FAMILY_COSINES = (0.55, 0.95)  # of a made-up vector and the embedded one of the family that it lies around
# Of all-MiniLM-L6-v2's vectors of a posting before and after a place and a number are added to its title.
COPY_COSINES = (0.89, 0.985)
# Shares of the copies that lie in District 1, District 2 and so on: locations from rare to frequent.
DISTRICTS = (0.0001, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3)

# `original` numbers the copied postings from 0. The hash draws the same random number each time.
COPY_POSTINGS = """
    INSERT INTO postings_posting (id, external_id, title, region, published_at, closes_at, {columns})
    SELECT own.id + %(shift)s, own.external_id || '-' || %(copy)s,
           own.title || ' in ' || own.city || ', team ' || %(copy)s,
           CASE WHEN district < %(districts)s THEN 'District ' || district + 1 ELSE own.region END,
           own.published_at - %(copy)s * interval '37 minutes',
           own.closes_at - %(copy)s * interval '37 minutes', {own_columns}
    FROM original
    JOIN postings_posting AS own USING (id)
    CROSS JOIN LATERAL width_bucket(
        (hashint8(own.id + %(shift)s) & 2147483647) / 2147483648.0, %(bounds)s) AS district
    WHERE original.number < %(rows)s
    ORDER BY original.number
"""
COPY_SKILLS = """
    INSERT INTO postings_postingskill (posting_id, skill_id, origin)
    SELECT posting_id + %(shift)s, skill_id, origin
    FROM original JOIN postings_postingskill AS own ON own.posting_id = original.id
    WHERE original.number < %(rows)s
    ORDER BY original.number
"""


@dataclass(frozen=True)
class Corpus:
    """What a folder holds. `embedded` counts the postings whose vectors the model itself made."""

    rows: int
    real: bool
    embedded: int
    candidates: int
    model: str

    def __str__(self) -> str:
        return (
            f"{self.rows:,} {'real' if self.real else 'generated'} postings "
            f"({self.embedded:,} of them embedded by {self.model}) and {self.candidates:,} candidates"
        )


def arguments(description: str | None) -> argparse.ArgumentParser:
    """The argument parser of a benchmark that measures on a corpus."""
    parser = report.arguments(description)
    parser.add_argument(
        "--rows",
        type=int,
        help=f"number of generated postings, instead of the {REAL_ROWS:,} real ones (quick: {QUICK_ROWS:,})",
    )
    parser.add_argument("--folder", type=Path, help="keep the corpus there, and use it again the next time")
    return parser


@contextmanager
def servers(result: report.Report, options: argparse.Namespace, **settings: str) -> Iterator[Path]:
    """Run PostgreSQL and Valkey with the corpus that `options` ask for; yield the folder of their data.

    Ends the program where --folder holds another corpus.
    """
    folder: Path | None = options.folder and options.folder.resolve()
    corpus = stored_corpus(folder, options.rows) if folder else None
    with scratch.servers(folder, **scratch.free_addresses(), **settings) as data:
        if corpus is None:
            corpus = _Builder(data, options).run(result)
            (data / NOTE).write_text(json.dumps(asdict(corpus)))
        if corpus.model != (wanted := _configured_model()):
            raise SystemExit(
                f"--folder: {folder} holds {corpus}, but the settings want the model {wanted}. "
                "Choose another folder, or set EMBEDDING_*."
            )
        result.figure(f"corpus: {corpus}")
        _empty_cache()
        yield data


def _empty_cache() -> None:
    """Drop what an earlier benchmark left in Valkey, which keeps its data with the corpus."""
    from apps.caching import shared

    shared.connection().flushdb()


def _configured_model() -> str:
    """The model of the settings, without registering it: the folder may hold another one."""
    from django.conf import settings

    from apps.embeddings.registry import configured_version

    return f"{settings.EMBEDDING_MODEL}@{configured_version()['revision']}"


def stored_corpus(folder: Path, rows: int | None) -> Corpus | None:
    """The corpus in a folder, None where the folder is empty. Ends the program where it is not the one
    wanted."""
    note = folder / NOTE
    if not note.exists():
        if folder.exists() and any(folder.iterdir()):
            raise SystemExit(
                f"--folder: {folder} holds other files, or half a corpus. Remove it, or choose another."
            )
        return None
    corpus = Corpus(**json.loads(note.read_text()))
    if rows is not None and (corpus.real or corpus.rows != rows):
        raise SystemExit(
            f"--folder: {folder} holds {corpus}, not {rows:,} generated postings. "
            "Choose another folder, or leave --rows out."
        )
    return corpus


@dataclass
class _Builder:
    """Makes a corpus in an empty database and times each step."""

    data: Path
    options: argparse.Namespace
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def run(self, result: report.Report) -> Corpus:
        from apps.candidates.models import Candidate
        from apps.embeddings.lifecycle import activate
        from apps.embeddings.registry import default_model
        from apps.postings.models import Posting

        real = self.options.rows is None and scratch.has_real("postings")
        rows: int = self.options.rows or (QUICK_ROWS if self.options.quick else REAL_ROWS)
        embedded, candidates = (10, 15) if self.options.quick else (1_000, 200)
        embedded, imported = min(embedded, rows), rows if real else min(rows, MAX_IMPORTED)
        with self._timed("import"):
            self._import("candidates", candidates, real=real)
            self._import("postings", embedded, real=real)
        model = default_model()
        with self._timed("embedding"):
            for kind in KINDS:
                scratch.embed_in_process(kind, model)
        with self._timed("import"):
            self._import("postings", imported, real=real)
        with self._timed("vectors"):
            of_model = vectors.read(model)
            _fill_vectors(model, of_model)
        if rows > imported:
            with self._timed("copies"):
                _copy(rows, model, samples=of_model.vectors)
        self._index(model)
        activate(model, force=True)
        steps = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in self.seconds.items())
        result.figure(f"corpus made in {sum(self.seconds.values()):.0f} s: {steps}")
        return Corpus(Posting.objects.count(), real, embedded, Candidate.objects.count(), str(model))

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[step] += time.perf_counter() - started

    def _import(self, kind: str, rows: int, *, real: bool) -> None:
        file, arguments = scratch.rows_file(self.data, kind, rows=rows, real=real)
        scratch.manage(f"import_{kind}", str(file), *arguments)

    def _index(self, model: "EmbeddingModel") -> None:
        from django.db import connection

        from apps.embeddings.index import build_index
        from apps.recommendations.text_index import update_text_index

        with self._timed("full text"):
            for kind in KINDS:
                update_text_index(kind, limit=10**9)
        with self._timed("vector index"):
            for kind in KINDS:
                build_index(model, kind)
        with self._timed("vacuum"), connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")


def _fill_vectors(model: "EmbeddingModel", of_model: vectors.StoredVectors) -> None:
    """Give each posting without a vector that of an equal text, or one around an embedded posting of its
    family."""
    from django.db import connection

    from apps.postings.models import Posting

    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO embeddings_postingembedding (posting_id, model_id, content_hash, vector)
            SELECT DISTINCT ON (posting.id) posting.id, twin.model_id, twin.content_hash, twin.vector
            FROM postings_posting AS posting
            JOIN embeddings_postingembedding AS twin USING (content_hash)
            WHERE twin.model_id = %s
            ON CONFLICT DO NOTHING
            """,
            [model.pk],
        )
        cursor.execute(
            """
            SELECT posting.id, dense_rank() OVER (ORDER BY content_hash) - 1, job_family
            FROM postings_posting AS posting
            WHERE NOT EXISTS (
                SELECT FROM embeddings_postingembedding WHERE posting_id = posting.id AND model_id = %s)
            """,
            [model.pk],
        )
        rows = cursor.fetchall()
    random = np.random.default_rng(0)
    embedded = Posting.objects.filter(pk__in=of_model.ids.tolist()).order_by("pk")
    own_families = list(embedded.values_list("job_family", flat=True))
    texts = np.array([text for _, text, _ in rows], np.int64)
    _, first = np.unique(texts, return_index=True)
    families = [rows[row][2] for row in first]
    centres = vectors.of_groups(of_model.vectors, own_families, families, random)
    made = vectors.around(centres, FAMILY_COSINES, random, samples=of_model.vectors)
    vectors.write(model, [row[0] for row in rows], made[texts])


def _copy(rows: int, model: "EmbeddingModel", *, samples: vectors.Vectors) -> None:
    """Copy all postings with their skills until there are `rows`: other titles, places, dates, and so other
    vectors."""
    from django.db import connection
    from psycopg.sql import SQL, Identifier

    from apps.postings.models import Posting

    changed = {"id", "external_id", "title", "region", "published_at", "closes_at"}
    columns = [
        Identifier(str(field.column))
        for field in Posting._meta.concrete_fields
        if not field.generated and field.column not in changed
    ]
    copy_postings = SQL(COPY_POSTINGS).format(
        columns=SQL(", ").join(columns), own_columns=SQL(", ").join(SQL("own.") + each for each in columns)
    )
    random, originals = np.random.default_rng(1), vectors.read(model)
    count, last = len(originals.ids), int(originals.ids[-1])
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMPORARY TABLE original AS "
            "SELECT id, row_number() OVER (ORDER BY id) - 1 AS number FROM postings_posting; "
            "ALTER TABLE original ADD PRIMARY KEY (number); ANALYZE original"
        )
        fixed = {"districts": len(DISTRICTS), "bounds": np.cumsum(DISTRICTS).tolist()}
        for copy in range(1, -(-rows // count)):
            part, shift = min(count, rows - copy * count), copy * last
            parameters = fixed | {"copy": copy, "rows": part, "shift": shift}
            cursor.execute(copy_postings, parameters)
            cursor.execute(COPY_SKILLS, parameters)
            made = vectors.around(originals.vectors[:part], COPY_COSINES, random, samples=samples)
            vectors.write(model, (originals.ids[:part] + shift).tolist(), made)
        cursor.execute(
            "SELECT setval(pg_get_serial_sequence('postings_posting', 'id'), max(id)) FROM postings_posting; "
            "DROP TABLE original"
        )


@cache
def mostly_open() -> bool:
    """True where most postings are open, which queries ask for by default. The real ones closed long ago."""
    from apps.postings.models import Posting

    return Posting.objects.open().count() > Posting.objects.count() // 2


def candidate_vectors(model: "EmbeddingModel") -> list[str]:
    """The vectors of all candidates in PostgreSQL's text form, to search postings with."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT vector::text FROM embeddings_candidateembedding WHERE model_id = %s "
            "ORDER BY candidate_id",
            [model.pk],
        )
        return [row[0] for row in cursor.fetchall()]


def main() -> None:
    """Make a corpus and stop."""
    options = arguments(__doc__).parse_args()
    result = report.start("Corpus")
    with servers(result, options):
        pass
    report.end(result)


if __name__ == "__main__":
    main()
