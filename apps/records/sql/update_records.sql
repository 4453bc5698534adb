-- Update the stored rows that differ from their incoming row, except those of the ids `inserted`. They are locked in
-- the order of their keys, so that two imports cannot deadlock. New values are computed after the lock. A row that a
-- person edited since the caller read it is left out. Plan: one index lookup of (source, external_id) per incoming
-- row; OFFSET 0 keeps the planner from a scan of the whole table. Returns the id of each updated row.
WITH differing AS (
    SELECT record.id
    FROM {incoming} AS incoming
    JOIN LATERAL (
        SELECT * FROM {table} AS known
        WHERE known.source = incoming.source AND known.external_id = incoming.external_id OFFSET 0
    ) AS record ON true
    WHERE record.id <> ALL (%(inserted)s)
        AND ({differs} OR record.hand_edits <> incoming.new_edits OR record.skills_text <> {skills_text})
), locked AS (
    SELECT record.id FROM {table} AS record WHERE record.id IN (SELECT id FROM differing)
    ORDER BY record.source, record.external_id FOR NO KEY UPDATE
)
UPDATE {table} AS record
SET {assigned}, hand_edits = incoming.new_edits, skills_text = {skills_text}, updated_at = now()
FROM {incoming} AS incoming, locked
WHERE record.id = locked.id
    AND record.source = incoming.source AND record.external_id = incoming.external_id
    AND record.hand_edits = incoming.known_edits
RETURNING record.id
