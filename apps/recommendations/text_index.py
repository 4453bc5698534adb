"""The full-text index of records, in a table next to theirs, and with it the groups of copies among postings.

Staleness is derived, as for vectors: a record is pending while the content hash or the language of its
entries differs from its own. The content hash leaves out places and companies; triggers clear the hash of an
entry when they change (migration 0002).

Entries are written in batches after an import and not during it, since reducing
a text of 2,000 characters to terms takes PostgreSQL as long as importing the whole row.
"""

from dataclasses import dataclass

from django.db import connection, transaction
from psycopg.sql import SQL, Composable, Identifier, Literal

from apps.caching.services import invalidate_on_commit
from apps.embeddings import throttling
from apps.embeddings.invalidation import defer_to_open_run
from apps.embeddings.kinds import KindTables, tables
from apps.embeddings.models import Kind
from apps.recommendations.copies import group_copies
from apps.recommendations.models import CandidateText, PostingText, RecordText
from apps.sql import load

BATCH_SIZE = 2_000  # rows in one transaction
MIN_ANALYZED_SHARE = 0.1  # of the records; fewer new entries change no plan
# So small a share of the records is written a few rows at a time with pauses as long as the work, so that
# searches on the same cores never wait for more than those rows.
MAX_THROTTLED_SHARE = 0.05
THROTTLED_BATCH_SIZE = 20
MAX_CHARACTERS = 20_000  # of a text; the rest is not searched

TEXTS: dict[str, type[RecordText]] = {Kind.POSTING: PostingText, Kind.CANDIDATE: CandidateText}


def text_table(kind: str) -> str:
    """The table of the full-text index of a kind."""
    return TEXTS[Kind(kind)]._meta.db_table


def whole_text(names: KindTables) -> Composable:
    """SQL for all text of a record that is searched."""
    return SQL("left(concat_ws(E'\\n', {title}, skills_text, {body}), {limit})").format(
        **names.sql, limit=Literal(MAX_CHARACTERS)
    )


def names_text(names: KindTables) -> Composable:
    """SQL for the names of a record's places, as written and folded, and of its company."""
    company = SQL("NULL")
    if names.kind == Kind.POSTING:
        company = SQL("(SELECT name FROM postings_company AS company WHERE company.id = record.company_id)")
    return SQL("concat_ws(' ', city, region, array_to_string(place_names, ' '), {})").format(company)


@dataclass(frozen=True)
class IndexingResult:
    """The number of records indexed, and whether none is left pending."""

    rows: int
    complete: bool


def update_text_index(kind: str, *, limit: int) -> IndexingResult:
    """Index up to `limit` pending records of `kind`.

    Idempotent and safe to run twice at once: the second call returns at once. Answers that read the index are
    invalidated at the end of the run over `kind` that is in progress, or at once where there is none. Must
    not run in a transaction.
    """
    names = tables(kind)
    last, rows = 0, 0
    max_throttled = MAX_THROTTLED_SHARE * _estimated_rows(kind)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtext(%s))", [text_table(kind)])
        if not cursor.fetchone()[0]:
            return IndexingResult(0, complete=True)
        try:
            while rows < limit:
                wanted = min(BATCH_SIZE, limit - rows)
                pending = _pending(names, after=last, limit=wanted)
                if not pending:
                    break
                write = _write_throttled if rows + len(pending) <= max_throttled else _write
                rows += write(names, pending)
                last = pending[-1]
                # New entries wait in a list that each search reads whole. Merging it in batches costs a
                # quarter of merging row by row (fastupdate = off).
                cursor.execute("SELECT gin_clean_pending_list(%s)", [f"{kind}_text_by_term"])
                if len(pending) < wanted:
                    break
            if rows >= BATCH_SIZE and rows >= MIN_ANALYZED_SHARE * _estimated_rows(kind):
                # The first search needs to know how rare a term is; autovacuum may take a minute.
                cursor.execute(SQL("ANALYZE {}").format(Identifier(text_table(kind))))
        finally:
            cursor.execute("SELECT pg_advisory_unlock(hashtext(%s))", [text_table(kind)])
    if rows and not defer_to_open_run(kind):
        invalidate_on_commit([names.namespace])
    return IndexingResult(rows, complete=rows < limit)


def _estimated_rows(kind: str) -> float:
    """The number of indexed records as of PostgreSQL's last look at the table; 0 before the first."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples FROM pg_class WHERE oid = %s::regclass", [text_table(kind)])
        return max(float(cursor.fetchone()[0]), 0.0) / len(RecordText.Part)


def _pending(names: KindTables, *, after: int, limit: int) -> list[int]:
    statement = load(__file__, "pending_texts").format(
        **names.sql, table=Identifier(text_table(names.kind)), whole=Literal(int(RecordText.Part.WHOLE))
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, {"after": after, "limit": limit})
        return [row[0] for row in cursor.fetchall()]


def _write_throttled(names: KindTables, ids: list[int]) -> int:
    return sum(
        _write(names, ids[start:stop])
        for start, stop in throttling.throttled_slices(len(ids), THROTTLED_BATCH_SIZE)
    )


@transaction.atomic
def _write(names: KindTables, ids: list[int]) -> int:
    statement = load(__file__, "write_texts").format(
        **names.sql,
        table=Identifier(text_table(names.kind)),
        whole_text=whole_text(names),
        names=names_text(names),
        title_part=Literal(int(RecordText.Part.TITLE)),
        whole_part=Literal(int(RecordText.Part.WHOLE)),
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, {"ids": ids})
        written = int(cursor.rowcount) // len(RecordText.Part)
    if names.kind == Kind.POSTING:
        group_copies(ids)
    return written
