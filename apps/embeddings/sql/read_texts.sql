-- The rows of a chunk that are there and have no current vector: id, content hash and the parts of the text,
-- from one snapshot, and whether another row with the same text has a vector already. Plan: one index lookup
-- per row in the records and in the vectors, and one in the index on (model, content hash).
SELECT record.id, record.content_hash, {title}, skills_text, {body},
       EXISTS (SELECT FROM {embedding} AS twin
               WHERE twin.model_id = %(model)s AND twin.content_hash = record.content_hash)
FROM {record} AS record
LEFT JOIN {embedding} AS own ON own.{key} = record.id AND own.model_id = %(model)s
WHERE record.id = ANY (%(ids)s) AND own.content_hash IS DISTINCT FROM record.content_hash
ORDER BY record.id
