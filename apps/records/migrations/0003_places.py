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
            CREATE FUNCTION jobrec_place_names(
                city text, region text, country text, places jsonb, coordinates double precision[])
            RETURNS text[]
            LANGUAGE sql IMMUTABLE PARALLEL SAFE
            RETURN CASE
                WHEN city = '' AND region = '' AND country = '' AND places = '[]' THEN ARRAY[]::text[]
                ELSE ARRAY(
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
                    ORDER BY name)
            END;
            """,
            "DROP FUNCTION jobrec_place_names(text, text, text, jsonb, double precision[])",
        ),
    ]
