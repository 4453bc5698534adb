-- Count for each model all rows of one kind, those with a current vector, and those without one that a dead
-- letter holds back. `models` selects the ids of the models. Plan: the rows are read once for each model,
-- from indexes that contain the content hash.
WITH held AS (
    SELECT DISTINCT model_id, row_id, content_hash FROM embeddings_deadletter
    WHERE kind = %(kind)s AND state IN ('open', 'discarded')
)
SELECT model.id, count(record.id), count(embedding.model_id),
       count(held.row_id) FILTER (WHERE embedding.model_id IS NULL)
FROM ({models}) AS model(id)
LEFT JOIN {record} AS record ON true
LEFT JOIN {embedding} AS embedding ON embedding.{key} = record.id
    AND embedding.model_id = model.id AND embedding.content_hash = record.content_hash
LEFT JOIN held ON held.row_id = record.id AND held.model_id = model.id
    AND held.content_hash = record.content_hash
GROUP BY model.id
