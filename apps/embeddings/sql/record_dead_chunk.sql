-- Open a dead letter for each row of a chunk that is there and has no current vector. An open letter about an
-- earlier content of the row is replaced. Plan: one index lookup in the records and one in the vectors per
-- row.
INSERT INTO embeddings_deadletter (kind, row_id, model_id, run_id, chunk_id, content_hash, step, error,
                                   traceback, attempts, state, created_at, updated_at)
SELECT %(kind)s, record.id, %(model)s, %(run)s, %(chunk)s, record.content_hash, 'chunk', %(error)s,
       '', %(attempts)s, 'open', now(), now()
FROM {record} AS record
LEFT JOIN {embedding} AS embedding ON embedding.{key} = record.id AND embedding.model_id = %(model)s
WHERE record.id = ANY (%(ids)s) AND embedding.content_hash IS DISTINCT FROM record.content_hash
ON CONFLICT (kind, row_id, model_id) WHERE state = 'open' DO UPDATE
    SET content_hash = EXCLUDED.content_hash, run_id = EXCLUDED.run_id, chunk_id = EXCLUDED.chunk_id,
        step = EXCLUDED.step, error = EXCLUDED.error, attempts = EXCLUDED.attempts, updated_at = now()
