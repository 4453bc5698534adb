import django.contrib.postgres.fields
import django.contrib.postgres.indexes
from django.db import migrations, models

import apps.records.models


class Migration(migrations.Migration):
    dependencies = [
        ("records", "0002_feeds"),
        ("candidates", "0001_initial"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="candidate",
            name="candidate_by_city",
        ),
        migrations.RemoveIndex(
            model_name="candidate",
            name="candidate_by_region",
        ),
        migrations.RemoveIndex(
            model_name="candidate",
            name="candidate_by_country",
        ),
        migrations.AddField(
            model_name="candidate",
            name="hand_edits",
            field=models.JSONField(
                blank=True,
                db_default=models.Value({}, models.JSONField()),
                default=dict,
                editable=False,
                help_text=(
                    "Fields that a person changed, kept against imports; see apps/records/hand_edits.py"
                ),
            ),
        ),
        migrations.AddField(
            model_name="candidate",
            name="places",
            field=models.JSONField(
                blank=True,
                db_default=models.Value([], models.JSONField()),
                default=list,
                help_text=(
                    "All places, where there are several; the first one is also in city, region and country"
                ),
            ),
        ),
        migrations.AddField(
            model_name="candidate",
            name="salary_text",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="The salary as the source writes it",
                max_length=300,
            ),
        ),
        migrations.AddField(
            model_name="candidate",
            name="place_names",
            field=models.GeneratedField(
                db_persist=True,
                expression=apps.records.models.PlaceNames("city", "region", "country", "places"),
                output_field=django.contrib.postgres.fields.ArrayField(
                    base_field=models.TextField(), size=None
                ),
            ),
        ),
        migrations.AddIndex(
            model_name="candidate",
            index=django.contrib.postgres.indexes.GinIndex(
                fastupdate=False, fields=["place_names"], name="candidate_by_place", opclasses=["array_ops"]
            ),
        ),
        migrations.AddIndex(
            model_name="candidate",
            index=models.Index(
                condition=models.Q(("hand_edits", {}), _negated=True),
                fields=["source", "external_id"],
                name="candidate_edited_by_hand",
            ),
        ),
    ]
