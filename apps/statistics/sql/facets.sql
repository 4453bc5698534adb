-- The most frequent values of each facet over the rows that match. The rows are read once: one pass over them
-- counts all facets that are columns, with a grouping set for each and the empty one for the total; a join
-- counts skills, and a sort finds the quartiles of the salaries of each currency.
WITH matched AS MATERIALIZED (
    SELECT id, salary_currency, salary_per_year, {values} FROM ({matching}) AS record
), counted (facet, value, count, quartiles) AS (
    SELECT CASE {facets} ELSE 'total' END, CASE {labels} END, count(*), NULL::numeric[]
    FROM matched GROUP BY GROUPING SETS ({grouping_sets}, ())
    UNION ALL
    SELECT 'skill', used.skill_id::text, count(*), NULL
    FROM {skill_use} AS used JOIN matched ON used.{key} = matched.id GROUP BY used.skill_id
    UNION ALL
    SELECT 'salary', salary_currency, count(*),
        percentile_disc(ARRAY[0.25, 0.5, 0.75]) WITHIN GROUP (ORDER BY salary_per_year)
    FROM matched WHERE salary_per_year IS NOT NULL AND salary_currency <> '' GROUP BY 2
), ranked AS (
    SELECT *, row_number() OVER (PARTITION BY facet ORDER BY count DESC, value COLLATE "C") AS place
    FROM counted WHERE value IS NOT NULL OR facet = 'total'
)
SELECT facet, value, count, quartiles FROM ranked WHERE place <= %(first)s OR %(first)s IS NULL ORDER BY facet, place
