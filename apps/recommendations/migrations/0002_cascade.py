from django.db import migrations

from apps.records.foreign_keys import cascading_key


class Migration(migrations.Migration):
    dependencies = [("recommendations", "0001_initial")]
    operations = [
        cascading_key(
            table="recommendations_interaction", column="posting_id", references="postings_posting"
        ),
        cascading_key(
            table="recommendations_interaction", column="candidate_id", references="candidates_candidate"
        ),
    ]
