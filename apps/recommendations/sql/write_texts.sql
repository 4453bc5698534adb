-- Write the index entries of some records: two for each, of its title and of its whole text. Both also hold
-- the terms of the record's names (its places and company), so that a search finds them; they do not count in
-- the length. Terms and hash come from one snapshot; a record that another transaction is deleting is skipped.
WITH record AS MATERIALIZED (
    SELECT id, content_hash, language, {title} AS title, {whole_text} AS whole, {names} AS names
    FROM {record} AS record WHERE id = ANY (%(ids)s) ORDER BY id FOR KEY SHARE SKIP LOCKED
), entry AS MATERIALIZED (
    SELECT id, part, content_hash, language,
           strip(to_tsvector(jobrec_text_config(language), jobrec_words(text))) AS terms,
           strip(to_tsvector(jobrec_text_config(language), jobrec_words(names))) AS names
    FROM record CROSS JOIN LATERAL (VALUES ({title_part}, title), ({whole_part}, whole)) AS parts (part, text)
)
INSERT INTO {table} ({key}, part, content_hash, language, terms, term_count)
SELECT id, part, content_hash, language, terms || names, length(terms) FROM entry ORDER BY id, part
ON CONFLICT ({key}, part) DO UPDATE SET content_hash = EXCLUDED.content_hash,
    language = EXCLUDED.language, terms = EXCLUDED.terms, term_count = EXCLUDED.term_count
