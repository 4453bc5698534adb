from django.db import migrations

from apps.records.foreign_keys import cascading_key
from apps.skills.triggers import skills_text_triggers


class Migration(migrations.Migration):
    dependencies = [("candidates", "0001_initial")]
    operations = [
        cascading_key(
            table="candidates_candidateskill", column="candidate_id", references="candidates_candidate"
        ),
        skills_text_triggers(
            record="candidates_candidate", use="candidates_candidateskill", key="candidate_id"
        ),
    ]
