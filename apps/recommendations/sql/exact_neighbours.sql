-- The k nearest of the rows that match, by comparing all of them. MATERIALIZED and + 0 leave the planner no
-- index to sort by: it scans the matching keys, joins their vectors by key and sorts.
WITH matching (id) AS MATERIALIZED ({matching})
SELECT embedding.{key}, {distance} AS distance
FROM matching
JOIN {embedding} AS embedding ON embedding.{key} = matching.id AND embedding.model_id = {model}
ORDER BY ({distance}) + 0, 1
LIMIT %(k)s
