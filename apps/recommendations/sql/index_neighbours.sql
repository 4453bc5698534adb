-- The k nearest of the rows that match, by a walk along the HNSW index, which checks each visited row against
-- the filter. The inner statement is ordered by the index, only nearly in the relaxed order of an iterative
-- scan; the outer one sorts what it returned.
SELECT id, distance FROM (
    SELECT embedding.{key}, {distance}
    FROM {embedding} AS embedding
    WHERE embedding.model_id = {model} AND embedding.{key} IN ({matching})
    ORDER BY {distance}
    LIMIT %(visited)s
) AS visited (id, distance)
ORDER BY distance, id
LIMIT %(k)s
