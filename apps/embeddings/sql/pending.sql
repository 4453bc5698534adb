-- Ids of the rows of one kind that a model has no current vector of and that no dead letter holds. Two
-- anti-joins: of the many rows that are current, they read only indexes (the content hash of record and
-- vector stands in them).
SELECT record.id FROM {record} AS record
WHERE NOT EXISTS (
    SELECT FROM {embedding} AS embedding
    WHERE embedding.{key} = record.id AND embedding.model_id = %(model)s
        AND embedding.content_hash = record.content_hash)
AND NOT EXISTS (
    SELECT FROM embeddings_deadletter AS dead
    WHERE dead.kind = %(kind)s AND dead.row_id = record.id AND dead.model_id = %(model)s
        AND dead.state IN ('open', 'discarded') AND dead.content_hash = record.content_hash)
