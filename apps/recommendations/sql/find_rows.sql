-- Rows with any of some terms, the best first, and the number of rows met with each term. The index over
-- terms brings the occurrences of one term after the other, the rarest first, up to a limit over all of them;
-- then texts are scored by the idf of their terms, and the best rows are checked against the filter one by
-- one (the last OFFSET 0) until k are found. A lexeme becomes a query as a quoted string, with backslashes
-- and quotes doubled, since it may hold any punctuation.
WITH hit AS MATERIALIZED (
    SELECT lexeme, id, part, term_count FROM unnest(%(lexemes)s::text[]) AS query (lexeme)
    CROSS JOIN LATERAL (
        SELECT {key} AS id, part, term_count FROM {texts} AS text
        WHERE terms @@ ('''' || replace(replace(lexeme, '\', '\\'), '''', '''''') || '''')::tsquery) AS found
    LIMIT %(limit)s
), frequency AS MATERIALIZED (
    SELECT lexeme, count(*) FILTER (WHERE part = {whole}) AS rows
    FROM hit GROUP BY lexeme
), scored AS (
    SELECT id, sum(ln(1 + %(rows)s::float / greatest(rows, 1))) / sqrt(greatest(1, term_count)) AS score
    FROM hit JOIN frequency USING (lexeme) GROUP BY id, part, term_count
), best AS (
    SELECT id FROM scored GROUP BY id ORDER BY max(score) DESC, id OFFSET 0
)
SELECT (SELECT jsonb_object_agg(lexeme, rows) FROM frequency), (SELECT count(*) FROM hit), ARRAY(
    SELECT id FROM best
    WHERE EXISTS (SELECT FROM ({matching}) AS matching (id) WHERE matching.id = best.id OFFSET 0)
    LIMIT %(k)s)
