-- The languages that occur in a text table: one step along the index over languages for each, where DISTINCT
-- would read all of it.
WITH RECURSIVE used (language) AS (
    (SELECT min(language) FROM {table})
    UNION ALL
    SELECT (SELECT min(language) FROM {table} WHERE language > used.language)
    FROM used WHERE used.language IS NOT NULL)
SELECT language FROM used WHERE language IS NOT NULL
