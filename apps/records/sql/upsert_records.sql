-- Insert the rows of the incoming table, or update the stored rows of the same source and external id. Equal rows are
-- left out by the join before the INSERT: even ON CONFLICT DO UPDATE ... WHERE false would lock, and so write, a row.
-- Plan: one index look-up of (source, external_id) per incoming row; OFFSET 0 keeps the planner from joining with a
-- scan of the whole table. Returns the id of each written row, and whether it is new.
WITH fresh AS (
    SELECT incoming.*, coalesce((
        SELECT string_agg(skill.name, ', ' ORDER BY skill.name COLLATE "C")
        FROM skills_skill AS skill
        WHERE skill.id = ANY (incoming.stated || incoming.found)), '') AS skills_text
    FROM {incoming} AS incoming
)
INSERT INTO {table} ({columns}, created_at, updated_at)
SELECT {fresh_columns}, now(), now()
FROM fresh
LEFT JOIN LATERAL (
    SELECT * FROM {table} AS known
    WHERE known.source = fresh.source AND known.external_id = fresh.external_id OFFSET 0
) AS stored ON true
WHERE stored.id IS NULL OR ROW({stored_columns}) IS DISTINCT FROM ROW({fresh_columns})
ORDER BY fresh.source, fresh.external_id
ON CONFLICT (source, external_id) DO UPDATE SET {assignments}, updated_at = now()
RETURNING id, xmax = 0
