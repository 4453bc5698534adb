"""A version of the dictionary that is quickly read: the rows of `skills_version` that a transaction sees.

Whatever changes skills or aliases, plain SQL too, adds a row with an id of its own in the same transaction, so a
transaction sees the row exactly where it sees the change. Older rows go in the statement that adds one, so no set of
rows comes back with other skills. A row that another transaction is taking away is passed over: nobody waits.
"""

from django.db import migrations

_VERSION = """
    CREATE TABLE skills_version (id uuid PRIMARY KEY DEFAULT gen_random_uuid());
    CREATE FUNCTION skills_new_version() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        DELETE FROM skills_version WHERE id IN (SELECT id FROM skills_version FOR UPDATE SKIP LOCKED);
        INSERT INTO skills_version DEFAULT VALUES;
        RETURN NULL;
    END $$;
    CREATE TRIGGER skills_new_version AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON skills_skill
    FOR EACH STATEMENT EXECUTE FUNCTION skills_new_version();
    CREATE TRIGGER skills_new_version AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON skills_skillalias
    FOR EACH STATEMENT EXECUTE FUNCTION skills_new_version();
"""


class Migration(migrations.Migration):
    dependencies = [("skills", "0001_initial")]
    operations = [
        migrations.RunSQL(_VERSION, "DROP FUNCTION skills_new_version() CASCADE; DROP TABLE skills_version;")
    ]
