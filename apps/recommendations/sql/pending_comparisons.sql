-- Postings that were embedded and not compared with their nearest since, and mark them as compared. Plan: the keys of
-- copies and the vectors of the model, both by posting.
WITH pending AS (
    SELECT copy.posting_id, embedding.content_hash
    FROM recommendations_postingcopy AS copy
    JOIN {embedding} AS embedding ON embedding.posting_id = copy.posting_id AND embedding.model_id = {model}
    WHERE copy.compared_hash IS DISTINCT FROM embedding.content_hash
    ORDER BY copy.posting_id LIMIT %(limit)s FOR NO KEY UPDATE OF copy SKIP LOCKED
)
UPDATE recommendations_postingcopy AS copy SET compared_hash = pending.content_hash
FROM pending WHERE copy.posting_id = pending.posting_id
RETURNING copy.posting_id
