-- Write the keys by which copies of some postings are found: one of company and title, none without a company, and
-- one of the text, none for a short one. Returns the postings whose keys are new or have changed. Plan: the
-- postings by key.
INSERT INTO recommendations_postingcopy (posting_id, title_key, text_key, is_settled, is_near)
SELECT id,
    CASE WHEN company_id IS NOT NULL THEN hashtextextended(company_id || '|' || jobrec_fold(title), 0) END,
    CASE WHEN length(description) >= %(min_characters)s THEN hashtextextended(lower(description), 0) END,
    false, false
FROM postings_posting WHERE id = ANY (%(ids)s)
ORDER BY id
ON CONFLICT (posting_id) DO UPDATE SET title_key = EXCLUDED.title_key, text_key = EXCLUDED.text_key
WHERE recommendations_postingcopy.title_key IS DISTINCT FROM EXCLUDED.title_key
    OR recommendations_postingcopy.text_key IS DISTINCT FROM EXCLUDED.text_key
RETURNING posting_id
