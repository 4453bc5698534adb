-- The highest cosine of some postings to another one that a candidate lately saved or applied for and did not
-- dismiss. Both sides are read by key and all pairs compared, without an index over vectors.
WITH liked AS MATERIALIZED (
    SELECT posting_id, vector FROM (
        SELECT posting_id FROM recommendations_interaction
        WHERE candidate_id = %(candidate)s GROUP BY posting_id
        HAVING bool_or(action = ANY (%(liked)s)) AND NOT bool_or(action = %(dismissed)s)
        ORDER BY max(at) FILTER (WHERE action = ANY (%(liked)s)) DESC, posting_id
        LIMIT %(max_liked)s) AS liked
    JOIN embeddings_postingembedding USING (posting_id) WHERE model_id = %(model)s
)
SELECT embedding.posting_id, 1 - min(embedding.vector <=> liked.vector)
FROM embeddings_postingembedding AS embedding JOIN liked ON liked.posting_id <> embedding.posting_id
WHERE embedding.model_id = %(model)s AND embedding.posting_id = ANY (%(ids)s)
GROUP BY embedding.posting_id
