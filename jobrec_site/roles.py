"""The roles that come with jobrec, as groups of permissions.

Recruiters read candidates and interactions, and write postings, companies and candidates.
Operators see runs, chunks, dead letters and models; they start, pause, resume and cancel runs, replay and discard
dead letters, activate models, and edit schedules. They read no candidate.

A group is created with its permissions after `migrate` where it is missing. Later it belongs to the people who run
this jobrec: what they change in the admin stays. Who shall sign in to the admin needs the flag "staff" besides.
"""

from django.apps import apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission
from django.db import transaction

WRITE = ("view", "add", "change")

# Group: model (app.name): what it may do.
ROLES: dict[str, dict[str, tuple[str, ...]]] = {
    "Recruiters": {
        "postings.posting": WRITE,
        "postings.postingskill": (*WRITE, "delete"),
        "postings.company": WRITE,
        "candidates.candidate": WRITE,
        "candidates.candidateskill": (*WRITE, "delete"),
        "recommendations.interaction": ("view",),
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
    """Adds the groups that are not there by name. Idempotent."""
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
        # Django creates an app's permissions when its turn comes after migrate, which may be later than now.
        create_permissions(apps.get_app_config(app), verbosity=0)
    return permissions.get()
