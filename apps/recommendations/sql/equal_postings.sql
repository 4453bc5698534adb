-- Pairs of equal postings: each of the given ones with the first posting that has its key of company and title, and
-- with the first that has its key of the text. What a person took out of its group is left out. Plan: the given postings by key,
-- then one lookup in the index of each kind of key.
SELECT own.posting_id, first.posting_id
FROM recommendations_postingcopy AS own
CROSS JOIN LATERAL (
    (SELECT posting_id FROM recommendations_postingcopy AS other
     WHERE other.title_key = own.title_key AND other.posting_id <> own.posting_id
         AND NOT (other.is_settled AND other.group_id IS NULL)
     ORDER BY posting_id LIMIT 1)
    UNION
    (SELECT posting_id FROM recommendations_postingcopy AS other
     WHERE other.text_key = own.text_key AND other.posting_id <> own.posting_id
         AND NOT (other.is_settled AND other.group_id IS NULL)
     ORDER BY posting_id LIMIT 1)
) AS first
WHERE own.posting_id = ANY (%(ids)s) AND NOT own.is_settled
