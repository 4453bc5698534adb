"""The default roles, as groups of permissions.

Recruiters read candidates, interactions and imports, and write postings, companies and candidates. Operators
see runs, chunks, dead letters and models. They start, pause, resume and cancel runs, replay and discard dead
letters, activate models, and edit schedules. They cannot read candidates.

`migrate` creates a group that is missing. It never changes an existing one, so edits in the admin stay. Users
need the flag "staff" as well to sign in to the admin.
"""

from django.apps import apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission
from django.db import transaction

WRITE = ("view", "add", "change")

# Permissions of each group, by model
ROLES: dict[str, dict[str, tuple[str, ...]]] = {
    "Recruiters": {
        "postings.posting": WRITE,
        "postings.postingskill": (*WRITE, "delete"),
        "postings.company": WRITE,
        "candidates.candidate": WRITE,
        "candidates.candidateskill": (*WRITE, "delete"),
        "records.import": ("view",),
        "records.importnote": ("view",),
        "recommendations.interaction": ("view",),
        "recommendations.postingcopy": ("view", "change"),
        "skills.skill": ("view",),
        "skills.skillalias": ("view",),
        "skills.skillcategory": ("view",),
    },
    "Operators": {
        "embeddings.embeddingmodel": ("view", "change"),
        "embeddings.embeddingrun": WRITE,
        "embeddings.embeddingchunk": ("view",),
        "embeddings.deadletter": ("view", "change"),
        "embeddings.invalidation": ("view",),
        "django_celery_beat.periodictask": (*WRITE, "delete"),
        "django_celery_beat.intervalschedule": (*WRITE, "delete"),
        "django_celery_beat.crontabschedule": (*WRITE, "delete"),
        "django_celery_beat.solarschedule": (*WRITE, "delete"),
        "django_celery_beat.clockedschedule": (*WRITE, "delete"),
    },
}


@transaction.atomic
def create_missing_roles() -> None:
    """Create the groups whose names do not exist yet. Idempotent."""
    for name, allowed in ROLES.items():
        group, created = Group.objects.get_or_create(name=name)
        if created:
            group.permissions.set(
                _permission(model, verb) for model, verbs in allowed.items() for verb in verbs
            )


def _permission(model: str, verb: str) -> Permission:
    app, name = model.split(".")
    permissions = Permission.objects.filter(
        content_type__app_label=app, content_type__model=name, codename=f"{verb}_{name}"
    )
    if not permissions.exists():
        # Django may create the permissions of that app later in the same `migrate`.
        create_permissions(apps.get_app_config(app), verbosity=0)
    return permissions.get()
