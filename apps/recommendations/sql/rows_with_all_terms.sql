-- Keys of the rows that have all terms of a text, each in the row's own language. The text is stemmed once
-- for each configuration (the first OFFSET 0 keeps the planner from doing it for each row); the index over
-- terms finds the rows of each (the second keeps this order of the join).
SELECT found.id FROM (
    SELECT languages, plainto_tsquery(configuration, jobrec_words(%s)) AS query FROM (
        SELECT jobrec_text_config(language) AS configuration, array_agg(language) AS languages
        FROM ({languages}) AS used (language) GROUP BY 1) AS each OFFSET 0) AS wanted
CROSS JOIN LATERAL (
    SELECT {key} AS id FROM {table}
    WHERE terms @@ wanted.query AND part = {whole} AND language = ANY (wanted.languages)
    OFFSET 0) AS found
