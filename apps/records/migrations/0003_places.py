from django.db import migrations


class Migration(migrations.Migration):
    """Create `jobrec_place_names` again, with a place as a whole, and the square degree of its coordinates.

    "springfield|il|us" is one place of a row, where "springfield|il" and "springfield|us" may be two.
    """

    dependencies = [
        ("records", "0002_feeds"),
    ]

    operations = [
        migrations.RunSQL(
            r"""
            CREATE FUNCTION jobrec_names_of_places(
                city text, region text, country text, places jsonb, coordinates double precision[])
            RETURNS text[]
            LANGUAGE sql IMMUTABLE PARALLEL SAFE
            RETURN ARRAY(
                SELECT DISTINCT name FROM (
                    SELECT jobrec_fold(city) AS c, jobrec_fold(region) AS r, jobrec_fold(country) AS n
                    UNION ALL
                    SELECT jobrec_fold(coalesce(place ->> 'city', '')),
                           jobrec_fold(coalesce(place ->> 'region', '')),
                           jobrec_fold(coalesce(place ->> 'country', ''))
                    FROM jsonb_array_elements(places) AS place) AS each
                CROSS JOIN LATERAL (
                    VALUES (c), (r), (n), (c || '|' || r), (c || '|' || n), (r || '|' || n),
                           (c || '|' || r || '|' || n)) AS one(name)
                WHERE name <> '' AND name NOT LIKE '|%' AND name NOT LIKE '%|' AND name NOT LIKE '%||%'
                UNION
                SELECT '@' || floor(coordinates[i]) || ',' || floor(coordinates[i + 1])
                FROM generate_series(1, cardinality(coordinates), 2) AS i
                WHERE coordinates[i] IS NOT NULL
                ORDER BY name);

            -- PostgreSQL inlines a function without a subquery, so that the common row, one place in plain
            -- letters, is cheaper to write by far.
            CREATE FUNCTION jobrec_place_names(
                city text, region text, country text, places jsonb, coordinates double precision[])
            RETURNS text[]
            LANGUAGE sql IMMUTABLE PARALLEL SAFE
            RETURN CASE
                WHEN places <> '[]' OR cardinality(coordinates) > 2
                    OR (city || '|' || region || '|' || country) ~ '[^ -~]|  |^ | $| \||\| '
                THEN jobrec_names_of_places(city, region, country, places, coordinates)
                ELSE array_remove(ARRAY[
                    lower(city), lower(region), lower(country),
                    CASE WHEN city = '' OR region = '' THEN '' ELSE lower(city || '|' || region) END,
                    CASE WHEN city = '' OR country = '' THEN '' ELSE lower(city || '|' || country) END,
                    CASE WHEN region = '' OR country = '' THEN '' ELSE lower(region || '|' || country) END,
                    CASE WHEN city = '' OR region = '' OR country = '' THEN ''
                        ELSE lower(city || '|' || region || '|' || country) END,
                    CASE WHEN coordinates[1] IS NULL THEN ''
                        ELSE '@' || floor(coordinates[1]) || ',' || floor(coordinates[2]) END
                    ], '')
            END;
            """,
            "DROP FUNCTION jobrec_place_names(text, text, text, jsonb, double precision[]); "
            "DROP FUNCTION jobrec_names_of_places(text, text, text, jsonb, double precision[])",
        ),
    ]
