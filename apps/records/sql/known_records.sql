-- Return the stored rows of the incoming rows, except those of the ids `inserted`: id, key, and whether the edits by
-- hand are those that the caller read or wrote. Plan: one index lookup of (source, external_id) per incoming row.
SELECT record.id, record.source, record.external_id,
    record.hand_edits IN (incoming.known_edits, incoming.new_edits)
FROM {incoming} AS incoming JOIN {table} AS record USING (source, external_id)
WHERE record.id <> ALL (%(inserted)s)
