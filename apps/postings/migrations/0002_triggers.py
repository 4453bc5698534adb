from django.db import migrations

from apps.records.foreign_keys import cascading_key
from apps.skills.triggers import skills_text_triggers


class Migration(migrations.Migration):
    dependencies = [("postings", "0001_initial")]
    operations = [
        cascading_key(table="postings_postingskill", column="posting_id", references="postings_posting"),
        skills_text_triggers(record="postings_posting", use="postings_postingskill", key="posting_id"),
    ]
