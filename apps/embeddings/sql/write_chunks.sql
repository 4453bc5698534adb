-- Write the chunks of a run and return their rows, bytes and waves. The rows are sorted by length, the
-- longest first, and numbered in that order; each chunk takes the rows up to a number of rows and of bytes.
-- Duplicates are placed with their first occurrence, so that they share a chunk (up to one chunk's worth of
-- rows). Plan: the pending ids from indexes, then one join to the records and three sorts of what is pending,
-- in memory or on disk; octet_length reads no TOASTed text.
WITH missing AS MATERIALIZED ({pending}),
pending AS (
    SELECT id, record.content_hash, least({text_bytes}, %(max_text_bytes)s) AS bytes
    FROM missing JOIN {record} AS record USING (id)
),
placed AS (
    SELECT id, content_hash, bytes, row_number() OVER longest_first - 1 AS place,
           sum(bytes) OVER longest_first - bytes AS bytes_before
    FROM pending WINDOW longest_first AS (ORDER BY bytes DESC, content_hash, id)
),
duplicates AS (
    SELECT id, bytes, place, min(place) OVER copies AS first, min(bytes_before) OVER copies AS bytes_before
    FROM placed WINDOW copies AS (PARTITION BY content_hash)
),
chunk AS (
    SELECT least(greatest(div(sum(bytes), %(min_chunks)s), %(min_chunk_bytes)s), %(max_chunk_bytes)s) AS bytes
    FROM pending
),
numbered AS (
    SELECT id, duplicates.bytes, place,
           dense_rank() OVER (ORDER BY first / %(rows)s, div(bytes_before, chunk.bytes),
                                       (place - first) / %(rows)s) - 1 AS number
    FROM duplicates, chunk
),
written AS (
    INSERT INTO embeddings_embeddingchunk
        (run_id, number, wave, state, row_ids, rows, text_bytes, attempts, isolated, worker, error,
         rows_written, rows_reused, rows_skipped, rows_dead)
    SELECT %(run)s, number, number / %(wave)s, 'planned',
           array_agg(id ORDER BY place), count(*), sum(bytes), 0, false, '', '', 0, 0, 0, 0
    FROM numbered
    GROUP BY number
    RETURNING rows, text_bytes, wave
)
SELECT coalesce(sum(rows), 0), coalesce(sum(text_bytes), 0), coalesce(max(wave) + 1, 0) FROM written
