-- Append chunks for these rows to a run that is planned already, in new waves at its end, and count the rows
-- there. The chunks are isolated: their rows were dead letters. Plan: the last chunk by the index on (run,
-- number), one insert for all chunks, the run by primary key.
WITH run AS (
    SELECT run.id, run.waves,
           (SELECT coalesce(max(number) + 1, 0)
            FROM embeddings_embeddingchunk WHERE run_id = run.id) AS chunks
    FROM embeddings_embeddingrun AS run WHERE run.id = %(run)s
),
placed AS (
    SELECT id, (row_number() OVER (ORDER BY id) - 1) / %(chunk_size)s AS place
    FROM unnest(%(ids)s::bigint[]) AS id
),
appended AS (
    INSERT INTO embeddings_embeddingchunk
        (run_id, number, wave, state, row_ids, rows, text_bytes, attempts, isolated, worker, error,
         rows_written, rows_reused, rows_skipped, rows_dead)
    SELECT run.id, run.chunks + place, run.waves + place / %(wave_size)s, 'planned',
           array_agg(placed.id ORDER BY placed.id), count(*), 0, 0, true, '', '', 0, 0, 0, 0
    FROM run, placed
    GROUP BY run.id, run.chunks, run.waves, place
    RETURNING rows, wave
)
UPDATE embeddings_embeddingrun AS run
SET rows = run.rows + appended.rows, waves = appended.waves
FROM (SELECT sum(rows) AS rows, max(wave) + 1 AS waves FROM appended) AS appended
WHERE run.id = %(run)s
