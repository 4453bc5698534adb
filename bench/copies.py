"""From some thousands of generated postings to a million, by SQL over whole sets.

A copy differs from its posting in title, place and dates, and so in its content. Its skills are the same, its words
are those of the posting and those that the title has more, and its vector lies around the posting's. The triggers that
would work all of it out again are off meanwhile; a sample shows whether they would have written the same.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from bench import vectors

if TYPE_CHECKING:
    from apps.embeddings.models import EmbeddingModel

# Shares of the copies that lie in District 1, District 2 and so on, whatever region their city is in: locations from
# rare to usual, for filters to ask for.
DISTRICTS = (0.0001, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
STEP = 7_919  # a copy takes its place from the posting so many further on; a prime, so that they go round
COSINES = (0.89, 0.985)  # of all-MiniLM-L6-v2's vectors of a posting and of one with such a title instead
SAMPLE = 1_000
TABLES = [
    "postings_posting",
    "postings_postingskill",
    "recommendations_postingtext",
    "embeddings_postingembedding",
]

# `base` holds the ids of the postings that are copied, numbered from 0.
POSTINGS = """
    INSERT INTO postings_posting (id, external_id, title, city, region, country, published_at, closes_at, {same})
    SELECT own.id + %(shift)s, own.external_id || '-' || %(copy)s,
           own.title || ' in ' || place.city || ', team ' || %(copy)s, place.city,
           CASE WHEN district < {districts} THEN 'District ' || district + 1 ELSE place.region END, place.country,
           own.published_at - %(copy)s * interval '37 minutes', own.closes_at - %(copy)s * interval '37 minutes', {own_same}
    FROM base
    JOIN postings_posting AS own USING (id)
    JOIN base AS other ON other.number = (base.number + %(copy)s * {step}) %% (SELECT count(*) FROM base)
    JOIN postings_posting AS place ON place.id = other.id
    -- A draw between 0 and 1 that is the same each time.
    CROSS JOIN LATERAL width_bucket((hashint8(own.id + %(shift)s) & 2147483647) / 2147483648.0, %(bounds)s) AS district
    WHERE base.number < %(rows)s
    ORDER BY base.number
"""
SKILLS = """
    INSERT INTO postings_postingskill (posting_id, skill_id, origin)
    SELECT posting_id + %(shift)s, skill_id, origin
    FROM base JOIN postings_postingskill AS own ON own.posting_id = base.id
    WHERE base.number < %(rows)s
    ORDER BY base.number
"""
WORDS = """
    INSERT INTO recommendations_postingtext (posting_id, part, content_hash, language, words, length)
    SELECT record.id, own.part, record.content_hash, record.language, all_words, length(all_words)
    FROM base
    JOIN recommendations_postingtext AS own ON own.posting_id = base.id
    JOIN postings_posting AS record ON record.id = base.id + %(shift)s
    CROSS JOIN LATERAL strip(own.words || to_tsvector(
        jobrec_text_config(record.language), ' in ' || record.city || ', team ' || %(copy)s)) AS all_words
    WHERE base.number < %(rows)s
    ORDER BY base.number
"""


def multiply(
    rows: int,
    model: "EmbeddingModel",
    *,
    centres: vectors.Stored,
    cosines: tuple[float, float],
    apart: vectors.Vectors | None,
) -> None:
    """Copies all postings, which have words, until there are `rows`.

    The vectors of copies lie around those that `centres` holds for each posting (see vectors.around). To be done before the index over
    vectors is built. Needs a superuser of the database.
    """
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMPORARY TABLE base AS "
            "SELECT id, row_number() OVER (ORDER BY id) - 1 AS number FROM postings_posting; "
            "ALTER TABLE base ADD PRIMARY KEY (number); ANALYZE base"
        )
        cursor.execute("SELECT count(*), max(id) FROM base")
        there, last = cursor.fetchone()
    random = np.random.default_rng(1)
    with _without_indexes(), _without_triggers():
        for copy in range(1, -(-rows // there)):
            count, shift = min(there, rows - copy * there), copy * last
            _copy_rows({"copy": copy, "rows": count, "shift": shift})
            made = vectors.around(centres.vectors[:count], cosines, random, apart=apart)
            vectors.store("posting", model, (centres.ids[:count] + shift).tolist(), made)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT setval(pg_get_serial_sequence('postings_posting', 'id'), max(id)) FROM postings_posting; "
            "DROP TABLE base"
        )
    _check(after=last)


def _copy_rows(parameters: dict[str, Any]) -> None:
    """Postings, their skills and their words; `parameters`: number of the copy, rows of it, what is added to keys."""
    from django.db import connection

    from apps.postings.models import Posting

    changed = {"id", "external_id", "title", "city", "region", "country", "published_at", "closes_at"}
    same = [
        str(field.column)
        for field in Posting._meta.concrete_fields
        if not field.generated and field.column not in changed
    ]
    postings = POSTINGS.format(
        same=", ".join(same),
        own_same=", ".join(f"own.{column}" for column in same),
        districts=len(DISTRICTS),
        step=STEP,
    )
    bounds = np.cumsum(DISTRICTS).tolist()
    with connection.cursor() as cursor:
        for statement in (postings, SKILLS, WORDS):
            cursor.execute(statement, parameters | {"bounds": bounds})


@contextmanager
def _without_indexes() -> Iterator[None]:
    """Drops all indexes but those of keys, and builds them anew afterwards: sorting once is linear and quick."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index "
            "WHERE indrelid = ANY (%s::regclass[]) AND NOT indisunique",
            [TABLES],
        )
        indexes = cursor.fetchall()
        cursor.execute(f"DROP INDEX {', '.join(name for name, _ in indexes)}")
    yield
    with connection.cursor() as cursor:
        for _, definition in indexes:
            cursor.execute(definition)


@contextmanager
def _without_triggers() -> Iterator[None]:
    """No foreign key is checked and no skills_text is made again meanwhile."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        try:
            yield
        finally:
            cursor.execute("RESET session_replication_role")


def _check(*, after: int) -> None:
    """Ends the program where copies, those of a sample, are not what triggers and text index would have made."""
    from django.db import connection

    from apps.embeddings.kinds import tables
    from apps.recommendations.text_index import whole_text

    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH sample AS (
                SELECT *, {whole_text(tables("posting"))} AS whole FROM postings_posting WHERE id IN (
                    SELECT id FROM postings_posting WHERE id > %s ORDER BY hashint8(id) LIMIT {SAMPLE}))
            SELECT count(*) FILTER (WHERE skills_text <> coalesce(
                       (SELECT string_agg(skill.name, ', ' ORDER BY skill.name COLLATE "C")
                        FROM postings_postingskill AS own JOIN skills_skill AS skill ON skill.id = own.skill_id
                        WHERE own.posting_id = sample.id), '')),
                   count(*) FILTER (WHERE 2 <> (
                       SELECT count(*) FROM recommendations_postingtext AS own WHERE own.posting_id = sample.id
                           AND own.content_hash = sample.content_hash AND own.language = sample.language
                           AND own.words = strip(to_tsvector(jobrec_text_config(sample.language),
                                                             CASE part WHEN 0 THEN title ELSE whole END))
                           AND own.length = length(own.words))),
                   count(*) FILTER (WHERE NOT EXISTS (
                       SELECT FROM embeddings_postingembedding AS own
                       WHERE own.posting_id = sample.id AND own.content_hash = sample.content_hash))
            FROM sample
            """,
            [after],
        )
        wrong = dict(zip(("skills", "words", "vectors"), cursor.fetchone(), strict=True))
    if any(wrong.values()):
        raise SystemExit(f"of a sample of {SAMPLE} copies so many are not as they should be: {wrong}")
