"""Rows by the words they share with a query: PostgreSQL full-text search, bounded however long the query is.

A text score is the cosine of two sets of words in which rare words weigh more:

    Σ idf of the words in common ÷ Σ idf of the query's words × √(words of the query ÷ words of the row)

at most 1; the better of that for the row's title and for its whole text. PostgreSQL's own ts_rank knows no rarity, and
reads every text it ranks; this reads none but those of the rows that are to be ranked. What a person types may be in any
language of the rows: it is taken in the forms of each, and beside a row in those of the row's own.

Finding goes by the query's rarest words, and only so far as they stand in HITS places; scoring takes all of WORDS. Where
a word stands in more, and the filter leaves too few of those, there is a second look: from the rows that match where they
are few, else from all places of the words where those are few.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Any

from django.db import connection
from django.db.models.expressions import RawSQL

from apps.embeddings.kinds import tables
from apps.recommendations.fusion import Word, affordable, informative
from apps.recommendations.models import RecordText
from apps.recommendations.retrieval import SqlKeys, first_of
from apps.recommendations.text_index import INDEXED, text_table, whole_text

WORDS = 64  # of a query, the rarest
HITS = 10_000  # places of the words searched for, all together
# How far a second look goes. Where there is more of both, ROWS of those that match are looked at: in a table of a million
# such a word is in one row of forty or more, so it is likely to be in enough of them.
ALL_HITS = 50_000  # places of the words
ROWS = 10_000  # that match
SMALLEST = 1_000  # rows of a table whose size PostgreSQL does not know yet

# A lexeme as a query, whatever signs are in it.
_AS_QUERY = r"""('''' || replace(replace(lexeme, '\', '\\'), '''', '''''') || '''')::tsquery"""


@dataclass(frozen=True)
class Words:
    """The words of a text in the forms of each text search configuration that it may be in, by its name."""

    forms: Mapping[str, frozenset[str]]

    @property
    def all(self) -> frozenset[str]:
        return frozenset[str]().union(*self.forms.values())

    @property
    def different(self) -> int:
        """How many words they are, in the language in which most of them say nothing: it is likely to be theirs."""
        return min(map(len, filter(None, self.forms.values())), default=0)


NO_WORDS = Words({})


@dataclass(frozen=True)
class Query:
    """`said` are all words of the text, `words` the most telling of them, the rarest first.

    `rows` says about how many rows of the kind there are.
    """

    kind: str
    said: Words
    words: list[Word]
    rows: int


@dataclass(frozen=True)
class Found:
    """Rows by text, the best of each look first, and the weight of each word of the query that any row has."""

    rows: list[int]
    idf: dict[str, float]
    searched: int


def words_of_row(kind: str, row_id: int) -> Words:
    """The words of a row's text, in the forms of its language."""
    names = tables(kind)
    return _words(
        f"""
        SELECT configuration, to_tsvector(configuration, text) FROM (
            SELECT jobrec_text_config(language) AS configuration, {whole_text(names)} AS text
            FROM {names.record} WHERE id = %s) AS record
        """,
        [row_id],
    )


def words_of_text(text: str, *, kind: str) -> Words:
    """The words of a text whose language nobody stated, in the forms of each language that rows of `kind` have."""
    return _words(
        f"SELECT configuration, to_tsvector(configuration, %s) FROM ({_configurations(kind)}) AS each(configuration)",
        [text[:INDEXED]],
    )


def rows_with_all(kind: str, text: str) -> RawSQL:
    """SQL for the primary keys of the rows whose title, skills and text hold all words of `text`."""
    return RawSQL(  # noqa: S611  the text is a parameter
        f"""
        SELECT found.id FROM (
            SELECT languages, plainto_tsquery(configuration, %s) AS query FROM (
                SELECT jobrec_text_config(language) AS configuration, array_agg(language) AS languages
                FROM ({_languages(kind)}) AS used(language) GROUP BY 1) AS each OFFSET 0) AS wanted
        -- OFFSET 0, twice: the text is read once for each language, not for each row.
        CROSS JOIN LATERAL (
            SELECT {tables(kind).key} AS id FROM {text_table(kind)}
            WHERE words @@ wanted.query AND part = {RecordText.Part.WHOLE} AND language = ANY (wanted.languages)
            OFFSET 0) AS found
        """,
        [text],
    )


def _configurations(kind: str) -> str:
    """SQL for the text search configuration of each language that rows of `kind` have."""
    return f"SELECT DISTINCT jobrec_text_config(language) FROM ({_languages(kind)}) AS used(language)"


def _languages(kind: str) -> str:
    """SQL for the languages that rows of `kind` have."""
    table = text_table(kind)
    # One step along the index for each language; DISTINCT would read all of it.
    return f"""
        WITH RECURSIVE used(language) AS (
            (SELECT min(language) FROM {table})
            UNION ALL SELECT (SELECT min(language) FROM {table} WHERE language > used.language)
            FROM used WHERE used.language IS NOT NULL)
        SELECT language FROM used WHERE language IS NOT NULL
    """


def query_of(said: Words, *, kind: str) -> Query:
    """A query by words among rows of `kind`; how rare each is, the statistics of the table say."""
    lexemes = said.all
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples FROM pg_class WHERE oid = %s::regclass", [text_table(kind)])
        places = max(cursor.fetchone()[0], SMALLEST)
        cursor.execute(
            """
            SELECT lexeme, share
            FROM pg_stats, unnest(most_common_elems::text::text[], most_common_elem_freqs) AS common(lexeme, share)
            WHERE schemaname = current_schema AND tablename = %s AND attname = 'words' AND lexeme = ANY (%s)
            """,
            [text_table(kind), list(lexemes)],
        )
        common = {lexeme: int(share * places) for lexeme, share in cursor.fetchall()}
    words = informative((Word(lexeme, common.get(lexeme, 0)) for lexeme in lexemes), limit=WORDS)
    return Query(kind, said, words, int(places / len(RecordText.Part)))


def find(query: Query, *, matching: SqlKeys, k: int) -> Found:
    """Up to `k` rows that share words with the query, among those of `matching`.

    To be called in a transaction.
    """
    searched = affordable(query.words, rows=HITS)
    if not searched:
        return Found([], {}, 0)
    search = _Search(query, searched, matching, k)
    hits = search.by_words(HITS)
    rows = hits.rows
    if hits.cut and len(rows) < k:
        some = first_of(matching, ROWS + 1)
        if len(some) > ROWS and sum(word.rows for word in searched) <= ALL_HITS:
            more = search.by_words(ALL_HITS)
        else:
            more = search.among(some)
        rows = list(dict.fromkeys(more.rows + rows))[:k]
    # Where hits were cut off, a count says only in how many rows a word is at least.
    estimated = query.words if hits.cut else query.words[len(searched) :]
    known = hits.counted | {
        word.lexeme: max(word.rows, hits.counted.get(word.lexeme, 0)) for word in estimated if word.rows
    }
    idf = {lexeme: log(1 + query.rows / max(rows, 1)) for lexeme, rows in known.items()}
    return Found(rows, idf, len(searched))


@dataclass(frozen=True)
class _Hits:
    """`rows` with the words, the best first; in how many each word was met; whether there are places beyond those met."""

    rows: list[int]
    counted: dict[str, int]
    cut: bool


@dataclass(frozen=True)
class _Search:
    """The statements that look for rows with any of some words."""

    query: Query
    words: list[Word]
    matching: SqlKeys
    k: int

    def by_words(self, limit: int) -> _Hits:
        """Among the rows of up to `limit` places of the words, those of the rarest first."""
        return self._best(text_table(self.query.kind), [], limit)

    def among(self, ids: list[int]) -> _Hits:
        """Among these rows."""
        # OFFSET 0: the texts are read by key, as the index over words would bring all places.
        key = tables(self.query.kind).key
        texts = f"(SELECT * FROM {text_table(self.query.kind)} WHERE {key} = ANY (%s) OFFSET 0)"
        return self._best(texts, [ids], len(ids) * len(RecordText.Part) * len(self.words))

    def _best(self, texts: str, parameters: list[Any], limit: int) -> _Hits:
        key, matching = tables(self.query.kind).key, self.matching
        with connection.cursor() as cursor:
            # Without statistics the planner may take a word for common and read the whole table for it.
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute(
                f"""
                WITH hit AS MATERIALIZED (
                    SELECT lexeme, id, part, length FROM unnest(%s::text[]) AS query(lexeme) CROSS JOIN LATERAL (
                        SELECT {key} AS id, part, length FROM {texts} AS text
                        WHERE words @@ {_AS_QUERY}) AS found
                    LIMIT %s
                ), frequency AS MATERIALIZED (
                    SELECT lexeme, count(*) FILTER (WHERE part = {RecordText.Part.WHOLE}) AS rows
                    FROM hit GROUP BY lexeme
                ), part AS (
                    SELECT id, sum(ln(1 + %s::float / greatest(rows, 1))) / sqrt(length) AS score
                    FROM hit JOIN frequency USING (lexeme) GROUP BY id, part, length
                ), best AS (
                    SELECT id FROM part GROUP BY id ORDER BY max(score) DESC, id OFFSET 0
                )
                SELECT (SELECT jsonb_object_agg(lexeme, rows) FROM frequency), (SELECT count(*) FROM hit), ARRAY(
                    SELECT id FROM best
                    -- OFFSET 0: one row after the other from the best on, not all rows that match the filter.
                    WHERE EXISTS (SELECT FROM ({matching.sql}) AS matching(id) WHERE matching.id = best.id OFFSET 0)
                    LIMIT %s)
                """,
                [
                    [word.lexeme for word in self.words],
                    *parameters,
                    limit,
                    self.query.rows,
                    *matching.parameters,
                    self.k,
                ],
            )
            counted, hits, rows = cursor.fetchone()
            cursor.execute("SET LOCAL enable_seqscan = on")
        return _Hits(rows, json.loads(counted) if counted else {}, cut=hits == limit)


def scores(query: Query, idf: Mapping[str, float], ids: Sequence[int]) -> dict[int, float]:
    """The text score of each of `ids`, between 0 and 1; 0 where no word is shared. `idf` is that of `find`.

    Empty where no row has a word of the query: then nothing can be said.
    """
    if not idf:
        return {}
    names = tables(query.kind)
    wholes = {name: sum(idf.get(each, 0.0) for each in form) for name, form in query.said.forms.items()}
    forms = [name for name, whole in wholes.items() if whole]
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH query AS MATERIALIZED (SELECT * FROM unnest(%(words)s::text[], %(idf)s::float[]) AS query(lexeme, idf)),
            form AS MATERIALIZED (
                SELECT * FROM unnest(%(forms)s::regconfig[], %(wholes)s::float[], %(different)s::float[])
                    AS form(configuration, whole, different)
            )
            SELECT id, max(least(1, found / coalesce(whole, %(whole)s) * sqrt(coalesce(different, %(most)s) / length)))
            FROM (SELECT text.{names.key} AS id, text.language, text.length::float AS length, sum(idf) AS found
                  FROM {text_table(query.kind)} AS text
                  CROSS JOIN LATERAL unnest(tsvector_to_array(text.words)) AS own(lexeme) JOIN query USING (lexeme)
                  WHERE text.{names.key} = ANY (%(ids)s)
                  GROUP BY text.{names.key}, text.part, text.language, text.length) AS part
            LEFT JOIN form ON form.configuration = jobrec_text_config(part.language)
            GROUP BY id
            """,
            {
                "words": list(idf),
                "idf": list(idf.values()),
                "forms": forms,
                "wholes": [wholes[name] for name in forms],
                "different": [float(len(query.said.forms[name])) for name in forms],
                "whole": sum(idf.values()),
                "most": float(len(query.said.all)),
                "ids": list(ids),
            },
        )
        return dict.fromkeys(ids, 0.0) | dict(cursor.fetchall())


def _words(sql: str, parameters: list[Any]) -> Words:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT configuration::text, tsvector_to_array(words) FROM ({sql}) AS text(configuration, words)",
            parameters,
        )
        return Words({name: frozenset(lexemes) for name, lexemes in cursor.fetchall()})
