-- Delete the skills that the rows of the ids `known` no longer have. Stated skills of a row stay if its source
-- states none. Plan: the incoming rows by index, then the skills of each row by index.
DELETE FROM {use} AS u
USING {incoming} AS incoming JOIN {table} AS record USING (source, external_id)
WHERE record.id = ANY (%(known)s) AND u.{key} = record.id AND NOT u.skill_id = ANY (incoming.found)
    AND CASE
        WHEN incoming.stated IS NULL THEN u.origin = 'found'
        ELSE NOT u.skill_id = ANY (incoming.stated)
    END
