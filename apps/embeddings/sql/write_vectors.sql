-- Move vectors of a chunk from the ledger to the vectors of its kind, for the row ids from `first` to `last`.
-- A row gets its vector only if its content still is what was embedded. FOR KEY SHARE keeps a row from being
-- deleted until the foreign key of its vector is stored. The order by key keeps two writers from waiting for
-- each other. Plan: the chunk by primary key, then one index lookup per row and one upsert per vector.
INSERT INTO {embedding} AS target ({key}, model_id, content_hash, vector)
SELECT embedded.id, %(model)s, embedded.hash, embedded.vector
FROM embeddings_embeddingchunk AS chunk,
     unnest(chunk.embedded_ids, chunk.embedded_hashes, chunk.vectors) AS embedded(id, hash, vector)
JOIN {record} AS record ON record.id = embedded.id AND record.content_hash = embedded.hash
WHERE chunk.id = %(chunk)s AND embedded.id BETWEEN %(first)s AND %(last)s
ORDER BY embedded.id
FOR KEY SHARE OF record
ON CONFLICT ({key}, model_id) DO UPDATE
    SET content_hash = EXCLUDED.content_hash, vector = EXCLUDED.vector
    WHERE target.content_hash <> EXCLUDED.content_hash
