-- Insert the incoming rows that are not stored yet, in the order of their keys. A row that another transaction
-- inserts at the same time is left to the update. Plan: one index lookup of (source, external_id) per incoming
-- row. Returns the id of each new row.
INSERT INTO {table} ({columns}, skills_text, created_at, updated_at)
SELECT {incoming_columns}, {skills_text}, now(), now()
FROM {incoming} AS incoming
WHERE NOT EXISTS (
    SELECT FROM {table} AS known
    WHERE known.source = incoming.source AND known.external_id = incoming.external_id)
ORDER BY incoming.source, incoming.external_id
ON CONFLICT (source, external_id) DO NOTHING
RETURNING id
