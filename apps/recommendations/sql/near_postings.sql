-- Pairs of near postings: each of the given ones with those of the twenty nearest that are of the same company and near
-- enough. What a person took out of its group is left out. Plan: the given postings by key, and for each a walk along the HNSW index,
-- or a scan of the vectors where there is no index yet.
SELECT own.posting_id, nearest.posting_id
FROM recommendations_postingcopy AS own
JOIN postings_posting AS posting ON posting.id = own.posting_id AND posting.company_id IS NOT NULL
JOIN {embedding} AS query ON query.posting_id = own.posting_id AND query.model_id = {model}
CROSS JOIN LATERAL (
    SELECT embedding.posting_id,
        embedding.vector::halfvec({dimensions}) <=> query.vector::halfvec({dimensions}) AS distance
    FROM {embedding} AS embedding
    WHERE embedding.model_id = {model}
    ORDER BY embedding.vector::halfvec({dimensions}) <=> query.vector::halfvec({dimensions})
    LIMIT 20
) AS nearest
JOIN postings_posting AS other ON other.id = nearest.posting_id AND other.company_id = posting.company_id
JOIN recommendations_postingcopy AS other_copy
    ON other_copy.posting_id = other.id AND NOT (other_copy.is_settled AND other_copy.group_id IS NULL)
WHERE own.posting_id = ANY (%(ids)s) AND NOT own.is_settled
    AND nearest.posting_id <> own.posting_id AND nearest.distance <= %(max_distance)s
