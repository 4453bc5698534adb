-- Claim the next wave of a running run for this caller, mark its chunks as sent and return its number; no row
-- if enough waves are in flight or none is left. The row lock on the run makes two callers claim one after
-- the other. Plan: the run by primary key, its chunks by the index on (run, wave).
WITH run AS (
    SELECT id, next_wave FROM embeddings_embeddingrun
    WHERE id = %(run)s AND state = 'running' AND pulled_from = '' AND next_wave < waves FOR UPDATE
),
claimed AS (
    UPDATE embeddings_embeddingrun AS target SET next_wave = run.next_wave + 1 FROM run
    WHERE target.id = run.id AND %(in_flight)s > (
        SELECT count(DISTINCT wave) FROM embeddings_embeddingchunk AS chunk
        WHERE chunk.run_id = run.id AND chunk.wave < run.next_wave
            AND chunk.state NOT IN ('written', 'failed'))
    RETURNING run.id, run.next_wave
)
UPDATE embeddings_embeddingchunk AS chunk SET sent_at = %(now)s FROM claimed
WHERE chunk.run_id = claimed.id AND chunk.wave = claimed.next_wave
RETURNING claimed.next_wave
