"""Skills that only candidates name are private until a posting has them."""

from django.db import migrations, models
from django.db.models import Q

# The database clears the mark, so that every way of writing a posting is covered. It looks first: an UPDATE
# of no row would still give the dictionary a new version, and every process would rebuild its finder.
_PUBLISH = """
    CREATE FUNCTION skills_publish() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE private bigint[];
    BEGIN
        private := ARRAY(
            SELECT id FROM skills_skill WHERE candidates_only AND id IN (SELECT skill_id FROM changed)
            ORDER BY id FOR NO KEY UPDATE
        );
        IF private <> '{}' THEN
            UPDATE skills_skill SET candidates_only = false WHERE id = ANY (private);
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER skills_publish_inserted AFTER INSERT ON postings_postingskill
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION skills_publish();
    CREATE TRIGGER skills_publish_updated AFTER UPDATE ON postings_postingskill
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION skills_publish();
"""
_MARK_STORED = """
    UPDATE skills_skill AS skill SET candidates_only = true
    WHERE NOT in_text
        AND category_id IN (SELECT id FROM skills_skillcategory WHERE name = 'Unlisted')
        AND NOT EXISTS (SELECT FROM postings_postingskill WHERE skill_id = skill.id)
        AND NOT EXISTS (SELECT FROM skills_skillalias WHERE skill_id = skill.id)
"""


class Migration(migrations.Migration):
    dependencies = [("skills", "0001_initial"), ("postings", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="skill",
            name="candidates_only",
            field=models.BooleanField(
                db_default=False,
                default=False,
                editable=False,
                help_text="Unlisted, and no posting names it: only readers who may see candidates see it",
            ),
        ),
        migrations.AddIndex(
            model_name="skill",
            index=models.Index(
                condition=Q(candidates_only=True), fields=["id"], name="skill_of_candidates_only"
            ),
        ),
        migrations.RunSQL(_PUBLISH, "DROP FUNCTION skills_publish() CASCADE"),
        migrations.RunSQL(_MARK_STORED, migrations.RunSQL.noop),
    ]
