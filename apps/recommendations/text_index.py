"""The words of records for full-text search, kept beside the records.

Staleness is derived, as for vectors: a record is pending while the content hash or the language beside its words is
not its own. Words are made in batches after the import, not in it: reducing a text of 2,000 characters to its words
takes PostgreSQL as long as importing the whole row.
"""

from dataclasses import dataclass

from django.db import connection, transaction

from apps.caching.services import invalidate_on_commit
from apps.embeddings import throttling
from apps.embeddings.invalidation import defer_to_open_run
from apps.embeddings.kinds import KindTables, tables
from apps.embeddings.models import Kind
from apps.recommendations.models import CandidateText, PostingText, RecordText

BATCH = 2_000  # rows in one transaction
ANALYZED_FROM = 0.1  # new words of so small a part of the records change no plan
# Up to so small a part of the records can wait a little longer for its words: they are written some rows at a time, with
# as much rest in between, so that searches on the same cores never wait for more than those.
GENTLE_UP_TO = 0.05
GENTLE_BATCH = 20
INDEXED = 20_000  # characters; further ones of a long text are not searched

TEXTS: dict[str, type[RecordText]] = {Kind.POSTING: PostingText, Kind.CANDIDATE: CandidateText}


def text_table(kind: str) -> str:
    return TEXTS[Kind(kind)]._meta.db_table


def whole_text(names: KindTables) -> str:
    """SQL for all text of a record that is searched."""
    return f"left(concat_ws(E'\\n', {names.title}, skills_text, {names.body}), {INDEXED})"


@dataclass(frozen=True)
class Indexed:
    """Records whose words were written, and whether all that was pending was seen."""

    rows: int
    complete: bool


def index_texts(kind: str, *, limit: int) -> Indexed:
    """Writes the words of up to `limit` pending records of `kind`.

    Idempotent, and safe to run twice at once: where another call is at work on the kind, this one leaves it to that
    one. Answers that read the words are invalidated, by the run over `kind` that is going on, at its end, where there is
    one. Must not run in a transaction.
    """
    names = tables(kind)
    last, rows = 0, 0
    gently_up_to = GENTLE_UP_TO * _estimated_rows(kind)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtext(%s))", [text_table(kind)])
        if not cursor.fetchone()[0]:
            return Indexed(0, complete=True)
        try:
            while rows < limit:
                wanted = min(BATCH, limit - rows)
                pending = _pending(names, after=last, limit=wanted)
                if not pending:
                    break
                write = _write_gently if rows + len(pending) <= gently_up_to else _write
                rows += write(names, pending)
                last = pending[-1]
                # New words wait in a list that each search reads whole. Sorting them in by the batch costs a quarter
                # of doing so by the row (fastupdate = off).
                cursor.execute("SELECT gin_clean_pending_list(%s)", [f"{kind}_text_by_word"])
                if len(pending) < wanted:
                    break
            if rows >= BATCH and rows >= ANALYZED_FROM * _estimated_rows(kind):
                # How rare a word is should be known to the first search; PostgreSQL itself may take a minute.
                cursor.execute(f"ANALYZE {text_table(kind)}")
        finally:
            cursor.execute("SELECT pg_advisory_unlock(hashtext(%s))", [text_table(kind)])
    if rows and not defer_to_open_run(kind):
        invalidate_on_commit([names.namespace])
    return Indexed(rows, complete=rows < limit)


def _estimated_rows(kind: str) -> float:
    """As of PostgreSQL's last look at the table; 0 where it has not had one."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples FROM pg_class WHERE oid = %s::regclass", [text_table(kind)])
        return max(float(cursor.fetchone()[0]), 0.0) / len(RecordText.Part)


def _pending(names: KindTables, *, after: int, limit: int) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT record.id FROM {names.record} AS record
            LEFT JOIN {text_table(names.kind)} AS text
                ON text.{names.key} = record.id AND text.part = {RecordText.Part.WHOLE}
            WHERE record.id > %s AND (text.content_hash IS DISTINCT FROM record.content_hash
                                      OR text.language <> record.language)
            ORDER BY record.id LIMIT %s
            """,
            [after, limit],
        )
        return [row[0] for row in cursor.fetchall()]


def _write_gently(names: KindTables, ids: list[int]) -> int:
    return sum(
        _write(names, ids[start:stop]) for start, stop in throttling.throttled_slices(len(ids), GENTLE_BATCH)
    )


@transaction.atomic
def _write(names: KindTables, ids: list[int]) -> int:
    """Words and hash of a record come from one snapshot; a record that is being deleted is left out."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH record AS MATERIALIZED (
                SELECT id, content_hash, language, {names.title} AS title, {whole_text(names)} AS whole
                FROM {names.record} WHERE id = ANY (%s) ORDER BY id FOR KEY SHARE SKIP LOCKED
            ), words AS MATERIALIZED (
                SELECT id, part, content_hash, language, strip(to_tsvector(jobrec_text_config(language), text)) AS words
                FROM record CROSS JOIN LATERAL (
                    VALUES ({RecordText.Part.TITLE}, title), ({RecordText.Part.WHOLE}, whole)) AS parts (part, text)
            )
            INSERT INTO {text_table(names.kind)} ({names.key}, part, content_hash, language, words, length)
            SELECT id, part, content_hash, language, words, length(words) FROM words ORDER BY id, part
            ON CONFLICT ({names.key}, part) DO UPDATE SET content_hash = EXCLUDED.content_hash,
                language = EXCLUDED.language, words = EXCLUDED.words, length = EXCLUDED.length
            """,
            [ids],
        )
        return int(cursor.rowcount) // len(RecordText.Part)
