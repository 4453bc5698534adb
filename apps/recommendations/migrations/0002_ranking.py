import django.core.validators
import django.db.models.deletion
from django.db import migrations, models

from apps.records.foreign_keys import cascading_key

# The index entries of a record hold the names of its places and company, which its content hash leaves out.
NAMES = """
CREATE FUNCTION jobrec_posting_names_changed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE recommendations_postingtext SET content_hash = '' WHERE posting_id = NEW.id AND part = 1;
    RETURN NULL;
END $$;
CREATE FUNCTION jobrec_candidate_names_changed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE recommendations_candidatetext SET content_hash = '' WHERE candidate_id = NEW.id AND part = 1;
    RETURN NULL;
END $$;
CREATE FUNCTION jobrec_company_renamed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE recommendations_postingtext SET content_hash = ''
    WHERE part = 1 AND posting_id IN (SELECT id FROM postings_posting WHERE company_id = NEW.id);
    RETURN NULL;
END $$;
CREATE TRIGGER posting_names_changed AFTER UPDATE ON postings_posting FOR EACH ROW
WHEN (OLD.place_names IS DISTINCT FROM NEW.place_names OR OLD.company_id IS DISTINCT FROM NEW.company_id)
EXECUTE FUNCTION jobrec_posting_names_changed();
CREATE TRIGGER candidate_names_changed AFTER UPDATE ON candidates_candidate FOR EACH ROW
WHEN (OLD.place_names IS DISTINCT FROM NEW.place_names)
EXECUTE FUNCTION jobrec_candidate_names_changed();
CREATE TRIGGER company_renamed AFTER UPDATE OF name ON postings_company FOR EACH ROW
WHEN (OLD.name <> NEW.name) EXECUTE FUNCTION jobrec_company_renamed();
UPDATE recommendations_postingtext SET content_hash = '' WHERE part = 1;
UPDATE recommendations_candidatetext SET content_hash = '' WHERE part = 1;
"""
WITHOUT_NAMES = """
DROP FUNCTION jobrec_posting_names_changed() CASCADE;
DROP FUNCTION jobrec_candidate_names_changed() CASCADE;
DROP FUNCTION jobrec_company_renamed() CASCADE;
"""
# Ranking reads from the statistics how rare a skill is.
STATISTICS = "ALTER TABLE postings_postingskill ALTER COLUMN skill_id SET STATISTICS 1000"


class Migration(migrations.Migration):
    dependencies = [
        ("candidates", "0002_feeds"),
        ("skills", "0002_candidates_only"),
        ("postings", "0002_feeds"),
        ("recommendations", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="RankingOptions",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "freshness",
                    models.FloatField(
                        blank=True,
                        help_text="Weight of how recently a posting was published",
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(100),
                        ],
                    ),
                ),
                (
                    "own_company",
                    models.FloatField(
                        blank=True,
                        help_text="Weight of being a posting of the companies below",
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(100),
                        ],
                    ),
                ),
                (
                    "sponsored",
                    models.FloatField(
                        blank=True,
                        help_text="Weight of being a sponsored posting",
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(100),
                        ],
                    ),
                ),
                (
                    "company_cap",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        help_text="Maximum postings of one company among the first places; 0 is no limit",
                        null=True,
                    ),
                ),
                (
                    "capped_places",
                    models.PositiveSmallIntegerField(
                        default=10,
                        help_text="Number of first places that the limit is for",
                        validators=[django.core.validators.MinValueValidator(1)],
                    ),
                ),
                (
                    "own_companies",
                    models.ManyToManyField(blank=True, related_name="+", to="postings.company"),
                ),
            ],
            options={
                "verbose_name_plural": "ranking options",
            },
        ),
        migrations.CreateModel(
            name="SponsoredPosting",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "until",
                    models.DateTimeField(
                        blank=True, help_text="Empty: until it is removed from the list", null=True
                    ),
                ),
                (
                    "posting",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="sponsorship",
                        to="postings.posting",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        cascading_key(
            table="recommendations_sponsoredposting", column="posting_id", references="postings_posting"
        ),
        migrations.RunSQL(NAMES, WITHOUT_NAMES),
        migrations.RunSQL(STATISTICS, migrations.RunSQL.noop),
    ]
