from django.db import migrations


class Migration(migrations.Migration):
    """Drop the function that no generated column uses any more."""

    dependencies = [
        ("records", "0003_places"),
        ("postings", "0003_places"),
        ("candidates", "0003_places"),
    ]

    operations = [
        migrations.RunSQL(
            "DROP FUNCTION jobrec_place_names(text, text, text, jsonb)", migrations.RunSQL.noop
        ),
    ]
