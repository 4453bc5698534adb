import django.contrib.postgres.fields
import django.contrib.postgres.indexes
from django.db import migrations, models

import apps.records.models
from apps.records.normalizing.company_names import folded_company


def fill_folded_names(apps, schema_editor):
    """Fold the names of the companies that are there."""
    companies = apps.get_model("postings", "Company").objects
    for company in companies.filter(folded_name="").iterator():
        companies.filter(pk=company.pk).update(folded_name=folded_company(company.name))


class Migration(migrations.Migration):
    dependencies = [
        ("records", "0002_feeds"),
        ("postings", "0001_initial"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="posting",
            name="posting_by_city",
        ),
        migrations.RemoveIndex(
            model_name="posting",
            name="posting_by_region",
        ),
        migrations.RemoveIndex(
            model_name="posting",
            name="posting_by_country",
        ),
        migrations.AddField(
            model_name="company",
            name="folded_name",
            field=models.CharField(db_default="", db_index=True, default="", editable=False, max_length=200),
        ),
        migrations.AddField(
            model_name="posting",
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
            model_name="posting",
            name="missing_since",
            field=models.DateTimeField(
                blank=True,
                editable=False,
                help_text=(
                    "Closed since a complete file of its source did not hold it; open again when one does"
                ),
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="posting",
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
            model_name="posting",
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
            model_name="posting",
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
            model_name="posting",
            index=django.contrib.postgres.indexes.GinIndex(
                fastupdate=False, fields=["place_names"], name="posting_by_place", opclasses=["array_ops"]
            ),
        ),
        migrations.AddIndex(
            model_name="posting",
            index=models.Index(
                condition=models.Q(("hand_edits", {}), _negated=True),
                fields=["source", "external_id"],
                name="posting_edited_by_hand",
            ),
        ),
        migrations.RunPython(fill_folded_names, migrations.RunPython.noop),
    ]
