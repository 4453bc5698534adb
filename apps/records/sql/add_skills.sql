-- Add the skills that the rows of the ids `known` lack, and correct the origin of those they have. A skill stays
-- stated if the row's source states none. Plan: the incoming rows by index, then one index lookup per skill;
-- OFFSET 0 keeps the planner from a scan of all skills.
INSERT INTO {use} ({key}, skill_id, origin)
SELECT record.id, wanted.skill_id, wanted.origin
FROM {incoming} AS incoming JOIN {table} AS record USING (source, external_id)
CROSS JOIN LATERAL (
    SELECT unnest(incoming.stated) AS skill_id, 'stated' AS origin
    UNION ALL SELECT unnest(incoming.found), 'found') AS wanted
LEFT JOIN LATERAL (
    SELECT known.origin FROM {use} AS known
    WHERE known.{key} = record.id AND known.skill_id = wanted.skill_id OFFSET 0
) AS u ON true
WHERE record.id = ANY (%(known)s) AND u.origin IS DISTINCT FROM wanted.origin
    AND NOT (incoming.stated IS NULL AND u.origin IS NOT DISTINCT FROM 'stated')
ON CONFLICT ({key}, skill_id) DO UPDATE SET origin = EXCLUDED.origin
