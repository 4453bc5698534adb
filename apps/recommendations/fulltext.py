"""Full-text search over rows, bounded however long the query is.

A text score is the cosine of two sets of terms with inverse document frequencies as weights, where only the
query's are summed in full:

    Σ idf of the common terms ÷ Σ idf of the query's terms × √(terms of the query ÷ terms of the row)

at most 1, for the row's title and for its whole text. The names of its places and company count as terms of
both, but not in the number of terms. idf = ln(1 + rows ÷ rows with the term), a smoothed form of K. Spärck
Jones, "A statistical interpretation of term specificity", Journal of Documentation 28(1), 1972, as in BM25.
PostgreSQL's own ts_rank has no idf and reads every text it ranks; this
reads only the texts of rows to rank. A typed text may be in any language of the rows: it is stemmed in each,
and compared with a row in the row's own. No space tells where words of Chinese, Japanese and Korean end, so
their terms are pairs of letters (SQL function jobrec_words, migration 0004).

Finding uses the query's rarest terms, up to MAX_OCCURRENCES of their occurrences; scoring uses all MAX_TERMS.
Where a term occurs more often and the filter leaves too few of those rows, a second search looks through the
matching rows where they are few, else through all occurrences where those are few.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Any, NamedTuple

from django.db import connection
from django.db.models.expressions import RawSQL
from psycopg.sql import SQL, Composable, Identifier, Literal

from apps.embeddings.kinds import tables
from apps.recommendations.fusion import Term, affordable_terms, rarest_terms
from apps.recommendations.models import RecordText
from apps.recommendations.retrieval import first_keys
from apps.recommendations.subqueries import Subquery
from apps.recommendations.text_index import MAX_CHARACTERS, text_table, whole_text
from apps.sql import load

MAX_TERMS = 256  # of a query, the rarest; a whole posting has about as many
MAX_OCCURRENCES = 10_000  # of all searched terms
# Bounds of the second search. Where both are exceeded, MAX_MATCHING of the matching rows are searched: in a
# table of a million, the term is then in one row of forty or more, so it is likely to be in enough of them.
MAX_OCCURRENCES_AGAIN = 50_000
MAX_MATCHING = 10_000
MIN_ROWS = 1_000  # assumed for a table that PostgreSQL has not analyzed yet


@dataclass(frozen=True)
class Terms:
    """The distinct lexemes of a text, by the text search configuration that they were stemmed with."""

    by_configuration: Mapping[str, frozenset[str]]

    @property
    def all(self) -> frozenset[str]:
        """The lexemes of all configurations."""
        return frozenset[str]().union(*self.by_configuration.values())

    @property
    def count(self) -> int:
        """The number of terms in the likely language of the text: the one with most stop words in it."""
        return min(map(len, filter(None, self.by_configuration.values())), default=0)


NO_TERMS = Terms({})


class TextScore(NamedTuple):
    """The text scores of a row's title and of its whole text, between 0 and 1."""

    title: float
    whole: float


@dataclass(frozen=True)
class TextQuery:
    """A full-text query over rows of a kind. `terms` are the rarest of `all_terms`; `rows` estimates the
    table."""

    kind: str
    all_terms: Terms
    terms: list[Term]
    rows: int


@dataclass(frozen=True)
class TextHits:
    """Rows with terms of the query, the best first; the idf of each term that any row has; the number of
    terms searched."""

    rows: list[int]
    idf: dict[str, float]
    searched: int


def terms_of_row(kind: str, row_id: int) -> Terms:
    """The terms of a row's text, in its language."""
    names = tables(kind)
    statement = SQL(
        """
        SELECT configuration::text, tsvector_to_array(to_tsvector(configuration, jobrec_words(text)))
        FROM (SELECT jobrec_text_config(language) AS configuration, {text} AS text
              FROM {record} WHERE id = %s) AS record
        """
    ).format(**names.sql, text=whole_text(names))
    return _terms(statement, [row_id])


def terms_of_text(text: str, *, kind: str) -> Terms:
    """The terms of a text of unknown language, in each language that rows of `kind` have."""
    statement = SQL(
        """
        SELECT configuration::text, tsvector_to_array(to_tsvector(configuration, jobrec_words(%s)))
        FROM (SELECT DISTINCT jobrec_text_config(language) AS configuration
              FROM ({languages}) AS used (language)) AS used
        """
    ).format(languages=_languages(kind))
    return _terms(statement, [text[:MAX_CHARACTERS]])


def _terms(statement: Composable, parameters: list[Any]) -> Terms:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return Terms({name: frozenset(lexemes) for name, lexemes in cursor.fetchall()})


def _languages(kind: str) -> Composable:
    """SQL for the languages that rows of `kind` have."""
    return load(__file__, "languages").format(table=Identifier(text_table(kind)))


def rows_with_all_terms(kind: str, text: str) -> RawSQL:
    """SQL for the primary keys of the rows whose title, skills and text hold all terms of `text`."""
    statement = load(__file__, "rows_with_all_terms").format(
        table=Identifier(text_table(kind)),
        key=Identifier(tables(kind).key),
        languages=_languages(kind),
        whole=Literal(int(RecordText.Part.WHOLE)),
    )
    return RawSQL(statement.as_string(), [text])  # noqa: S611  the text is a parameter


def text_query(terms: Terms, *, kind: str) -> TextQuery:
    """Make a query of terms; the statistics of the table tell how rare each is."""
    lexemes = terms.all
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples FROM pg_class WHERE oid = %s::regclass", [text_table(kind)])
        texts = max(cursor.fetchone()[0], MIN_ROWS)
        cursor.execute(
            """
            SELECT lexeme, share
            FROM pg_stats
            CROSS JOIN unnest(most_common_elems::text::text[], most_common_elem_freqs)
                AS common (lexeme, share)
            WHERE schemaname = current_schema AND tablename = %s AND attname = 'terms' AND lexeme = ANY (%s)
            """,
            [text_table(kind), list(lexemes)],
        )
        common = {lexeme: int(share * texts) for lexeme, share in cursor.fetchall()}
    rarest = rarest_terms((Term(lexeme, common.get(lexeme, 0)) for lexeme in lexemes), limit=MAX_TERMS)
    return TextQuery(kind, terms, rarest, int(texts / len(RecordText.Part)))


def find_rows(query: TextQuery, *, matching: Subquery, k: int) -> TextHits:
    """Return up to `k` rows that share terms with the query, among those of `matching`. Call it in a
    transaction."""
    searched = affordable_terms(query.terms, rows=MAX_OCCURRENCES)
    if not searched:
        return TextHits([], {}, 0)
    search = _Search(query, searched, matching, k)
    hits = search.all_texts(MAX_OCCURRENCES)
    rows = hits.rows
    if hits.truncated and len(rows) < k:
        keys = first_keys(matching, MAX_MATCHING + 1)
        if len(keys) > MAX_MATCHING and sum(term.rows for term in searched) <= MAX_OCCURRENCES_AGAIN:
            more = search.all_texts(MAX_OCCURRENCES_AGAIN)
        else:
            more = search.texts_of(keys)
        rows = list(dict.fromkeys(more.rows + rows))[:k]
    # Where occurrences were cut off, a count is only a minimum.
    estimated = query.terms if hits.truncated else query.terms[len(searched) :]
    frequencies = hits.frequencies | {
        term.lexeme: max(term.rows, hits.frequencies.get(term.lexeme, 0)) for term in estimated if term.rows
    }
    idf = {lexeme: log(1 + query.rows / max(rows, 1)) for lexeme, rows in frequencies.items()}
    return TextHits(rows, idf, len(searched))


@dataclass(frozen=True)
class _Hits:
    """`rows`, the best first; the number of rows met with each term; whether some occurrences were not
    met."""

    rows: list[int]
    frequencies: dict[str, int]
    truncated: bool


@dataclass(frozen=True)
class _Search:
    """The statements that look for rows with any of some terms."""

    query: TextQuery
    terms: list[Term]
    matching: Subquery
    k: int

    def all_texts(self, limit: int) -> _Hits:
        """Search all texts, up to `limit` occurrences, those of the rarest terms first."""
        return self._run(Identifier(text_table(self.query.kind)), {}, limit)

    def texts_of(self, ids: list[int]) -> _Hits:
        """Search the texts of these rows."""
        # OFFSET 0 makes the planner read them by key: the index over terms would bring all occurrences.
        texts = SQL("(SELECT * FROM {table} WHERE {key} = ANY (%(ids)s) OFFSET 0)").format(
            table=Identifier(text_table(self.query.kind)), key=Identifier(tables(self.query.kind).key)
        )
        return self._run(texts, {"ids": ids}, len(ids) * len(RecordText.Part) * len(self.terms))

    def _run(self, texts: Composable, parameters: dict[str, Any], limit: int) -> _Hits:
        statement = load(__file__, "find_rows").format(
            key=Identifier(tables(self.query.kind).key),
            texts=texts,
            matching=self.matching.sql,
            whole=Literal(int(RecordText.Part.WHOLE)),
        )
        parameters = parameters | {
            "lexemes": [term.lexeme for term in self.terms],
            "limit": limit,
            "rows": self.query.rows,
            "k": self.k,
        }
        with connection.cursor() as cursor:
            # Without statistics the planner may take a term for common and read the whole table for it.
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute(statement, self.matching.parameters | parameters)
            frequencies, occurrences, rows = cursor.fetchone()
            cursor.execute("SET LOCAL enable_seqscan = on")
        return _Hits(rows, json.loads(frequencies) if frequencies else {}, truncated=occurrences == limit)


def text_scores(query: TextQuery, idf: Mapping[str, float], ids: Sequence[int]) -> dict[int, TextScore]:
    """The text scores of each of `ids`; 0 where no term is shared. `idf` is that of `find_rows`.

    Empty where no row has a term of the query: then no score is known.
    """
    if not idf:
        return {}
    by_configuration = query.all_terms.by_configuration
    sums = {name: sum(idf.get(each, 0.0) for each in lexemes) for name, lexemes in by_configuration.items()}
    names = [name for name, total in sums.items() if total]
    statement = load(__file__, "text_scores").format(
        table=Identifier(text_table(query.kind)),
        key=Identifier(tables(query.kind).key),
        whole=Literal(int(RecordText.Part.WHOLE)),
    )
    parameters: dict[str, Any] = {
        "lexemes": list(idf),
        "idf": list(idf.values()),
        "configurations": names,
        "idf_sums": [sums[name] for name in names],
        "counts": [float(len(by_configuration[name])) for name in names],
        "idf_sum": sum(idf.values()),
        "count": float(len(query.all_terms.all)),
        "ids": list(ids),
    }
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        found = {row_id: TextScore(title, whole) for row_id, title, whole in cursor.fetchall()}
    return dict.fromkeys(ids, TextScore(0.0, 0.0)) | found
