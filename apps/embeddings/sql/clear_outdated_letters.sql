-- Clear the held letters of one kind whose row was edited, deleted or embedded since. Plan: the partial index
-- of held letters, then one index lookup in the records and one in the vectors per letter.
UPDATE embeddings_deadletter AS letter SET state = 'cleared', updated_at = now()
WHERE letter.state IN ('open', 'discarded') AND letter.kind = %(kind)s AND NOT EXISTS (
    SELECT FROM {record} AS record
    LEFT JOIN {embedding} AS embedding ON embedding.{key} = record.id
        AND embedding.model_id = letter.model_id AND embedding.content_hash = record.content_hash
    WHERE record.id = letter.row_id AND record.content_hash = letter.content_hash
        AND embedding.model_id IS NULL)
