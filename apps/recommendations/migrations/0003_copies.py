import django.db.models.deletion
from django.db import migrations, models

from apps.records.foreign_keys import cascading_key


class Migration(migrations.Migration):
    dependencies = [
        ("postings", "0003_places"),
        ("recommendations", "0002_ranking"),
    ]

    operations = [
        migrations.CreateModel(
            name="PostingGroup",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "verbose_name": "group of copies",
                "verbose_name_plural": "groups of copies",
                "ordering": ["-pk"],
            },
        ),
        migrations.CreateModel(
            name="PostingCopy",
            fields=[
                (
                    "posting",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="copy",
                        serialize=False,
                        to="postings.posting",
                    ),
                ),
                ("title_key", models.BigIntegerField(editable=False, null=True)),
                ("text_key", models.BigIntegerField(editable=False, null=True)),
                (
                    "is_settled",
                    models.BooleanField(db_default=False, default=False, verbose_name="settled by a person"),
                ),
                ("is_near", models.BooleanField(db_default=False, default=False, editable=False)),
                (
                    "compared_hash",
                    models.BinaryField(
                        help_text="Content hash of the vector that was last compared with others", null=True
                    ),
                ),
                (
                    "group",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="members",
                        to="recommendations.postinggroup",
                    ),
                ),
            ],
            options={
                "verbose_name": "copy",
                "verbose_name_plural": "copies",
                "indexes": [
                    models.Index(fields=["title_key", "posting"], name="copy_by_title"),
                    models.Index(fields=["text_key", "posting"], name="copy_by_text"),
                ],
            },
        ),
        cascading_key(
            table="recommendations_postingcopy", column="posting_id", references="postings_posting"
        ),
    ]
