-- Add the skills of the rows of the ids `inserted`. No other transaction sees these rows yet, so no conflict is
-- possible; ON CONFLICT would log each row twice. Plan: the incoming rows by index.
INSERT INTO {use} ({key}, skill_id, origin)
SELECT record.id, wanted.skill_id, wanted.origin
FROM {incoming} AS incoming JOIN {table} AS record USING (source, external_id)
CROSS JOIN LATERAL (
    SELECT unnest(incoming.stated) AS skill_id, 'stated' AS origin
    UNION ALL SELECT unnest(incoming.found), 'found') AS wanted
WHERE record.id = ANY (%(inserted)s)
