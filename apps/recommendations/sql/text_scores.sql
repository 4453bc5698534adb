-- The text scores of some rows: of the title and of the whole text. Texts are read by key. The sum of idf and
-- the number of terms of the query are those of the row's configuration, or of all configurations where it is
-- another one.
WITH query AS MATERIALIZED (
    SELECT * FROM unnest(%(lexemes)s::text[], %(idf)s::float[]) AS query (lexeme, idf)
), form AS MATERIALIZED (
    SELECT * FROM unnest(%(configurations)s::regconfig[], %(idf_sums)s::float[], %(counts)s::float[])
        AS form (configuration, idf_sum, term_count)
), part AS (
    SELECT text.{key} AS id, text.part, text.language, text.term_count::float AS term_count,
           sum(idf) AS common_idf
    FROM {table} AS text
    CROSS JOIN LATERAL unnest(tsvector_to_array(text.terms)) AS own (lexeme)
    JOIN query USING (lexeme)
    WHERE text.{key} = ANY (%(ids)s)
    GROUP BY text.{key}, text.part, text.language, text.term_count
), scored AS (
    SELECT id, part, least(1, common_idf / coalesce(form.idf_sum, %(idf_sum)s)
        * sqrt(coalesce(form.term_count, %(count)s) / greatest(1, part.term_count))) AS score
    FROM part
    LEFT JOIN form ON form.configuration = jobrec_text_config(part.language)
)
SELECT id, coalesce(max(score) FILTER (WHERE part <> {whole}), 0),
       coalesce(max(score) FILTER (WHERE part = {whole}), 0)
FROM scored GROUP BY id
