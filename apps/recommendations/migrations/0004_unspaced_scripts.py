from django.db import migrations

# Letters of Chinese, Japanese and Korean, also as half-width forms and parts of syllables.
LETTERS = (
    "\u1100-\u11ff\u3005\u3007\u3041-\u30fa\u30fc-\u318e\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97c"
    "\uac00-\ud7fb\uf900-\ufaff\uff66-\uffdc\U00020000-\U0003ffff"
)

# PostgreSQL has no dictionary for these languages, and words stand next to each other, or next to particles,
# without a space. So a run of letters becomes its pairs: 看護師募集 is 看護 護師 師募 募集, in rows and
# queries alike. A single letter stays, and words of other scripts are separated.
WORDS = """
CREATE FUNCTION jobrec_has_unspaced(value text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN octet_length(value) > length(value) AND value ~ '[LETTERS]';

CREATE FUNCTION jobrec_letter_pairs(value text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
    SELECT concat_ws(' ', regexp_replace(plain, '[LETTERS]+', ' ', 'g'), (
        SELECT string_agg(letter || next, ' ')
        FROM unnest(letters, letters[2:], letters[3:]) AS one (last, letter, next)
        WHERE letter <> ' ' AND (next <> ' ' OR last = ' ')))
    FROM (
        SELECT plain, string_to_array(
            ' ' || regexp_replace(plain, '[^LETTERS]+', ' ', 'g') || ' ', NULL) AS letters
        FROM (SELECT normalize(value, NFKC) AS plain OFFSET 0) AS one OFFSET 0) AS one
);

-- PostgreSQL inlines a function without a subquery, so that texts in other scripts cost no more.
CREATE FUNCTION jobrec_words(value text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN jobrec_has_unspaced(value) THEN jobrec_letter_pairs(value) ELSE value END;
""".replace("LETTERS", LETTERS)
WITHOUT_WORDS = """
DROP FUNCTION jobrec_words(text);
DROP FUNCTION jobrec_letter_pairs(text);
DROP FUNCTION jobrec_has_unspaced(text);
"""

# The entries of rows with such letters are made again.
PENDING = """
UPDATE recommendations_postingtext AS text SET content_hash = ''
FROM postings_posting AS record LEFT JOIN postings_company AS company ON company.id = record.company_id
WHERE text.posting_id = record.id AND part = 1 AND jobrec_has_unspaced(concat_ws(
    ' ', title, skills_text, description, city, region, array_to_string(place_names, ' '), company.name));
UPDATE recommendations_candidatetext AS text SET content_hash = ''
FROM candidates_candidate AS record
WHERE text.candidate_id = record.id AND part = 1 AND jobrec_has_unspaced(concat_ws(
    ' ', headline, skills_text, looking_for, resume, city, region, array_to_string(place_names, ' ')));
"""


class Migration(migrations.Migration):
    dependencies = [
        ("recommendations", "0003_copies"),
    ]

    operations = [
        migrations.RunSQL(WORDS, WITHOUT_WORDS),
        migrations.RunSQL(PENDING, migrations.RunSQL.noop),
    ]
