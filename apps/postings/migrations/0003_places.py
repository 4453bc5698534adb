import django.contrib.postgres.fields
import django.contrib.postgres.indexes
from django.db import migrations, models

import apps.records.models


class Migration(migrations.Migration):
    """Add coordinates of places. PostgreSQL computes the names of all places again: it rewrites the table."""

    dependencies = [
        ("records", "0003_places"),
        ("postings", "0002_feeds"),
    ]

    operations = [
        migrations.RemoveIndex(model_name="posting", name="posting_by_place"),
        migrations.RemoveField(model_name="posting", name="place_names"),
        migrations.AddField(
            model_name="posting",
            name="coordinates",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.FloatField(null=True),
                blank=True,
                db_default=models.Value("{}"),
                default=list,
                editable=False,
                help_text=(
                    "Latitude and longitude in degrees of each place in turn, "
                    "both NULL where a place has none"
                ),
                size=None,
            ),
        ),
        migrations.AddField(
            model_name="posting",
            name="place_names",
            field=models.GeneratedField(
                db_persist=True,
                expression=apps.records.models.PlaceNames(
                    "city", "region", "country", "places", "coordinates"
                ),
                output_field=django.contrib.postgres.fields.ArrayField(
                    base_field=models.TextField(), size=None
                ),
            ),
        ),
        migrations.AddIndex(
            model_name="posting",
            index=django.contrib.postgres.indexes.GinIndex(
                fastupdate=False, fields=["place_names"], name="posting_by_place", opclasses=["array_ops"]
            ),
        ),
    ]
