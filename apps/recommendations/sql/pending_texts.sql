-- Records without a current entry in the full-text index, by key. A merge of two indexes that hold all that
-- is read: key, content hash and language of the records, and the same of their entries.
SELECT record.id FROM {record} AS record
LEFT JOIN {table} AS text ON text.{key} = record.id AND text.part = {whole}
WHERE record.id > %(after)s
    AND (text.content_hash IS DISTINCT FROM record.content_hash OR text.language <> record.language)
ORDER BY record.id LIMIT %(limit)s
