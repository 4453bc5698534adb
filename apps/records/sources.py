"""Sources of records: which there are, and how to rename or delete one."""

from dataclasses import dataclass

from django.apps import apps
from django.db import IntegrityError, connection, models, transaction
from django.db.models import Count
from psycopg import sql

from apps.caching.services import invalidate_on_commit
from apps.records.importing.history import note_interrupted
from apps.records.models import Import, Record, Sighting

MAX_SOURCE_CHARACTERS = 64
BATCH_ROWS = 1_000  # that one transaction deletes
MAX_NAMED_CLASHES = 5  # in a message

# Model and cache namespace by kind; this package lies below those of the models.
_KINDS = {"posting": ("postings.Posting", "postings"), "candidate": ("candidates.Candidate", "candidates")}


class SourceError(Exception):
    """The source cannot be renamed or deleted; the message says why and what to do."""


@dataclass
class Source:
    """A source with its number of rows and its last import."""

    name: str
    postings: int = 0
    candidates: int = 0
    last_import: Import | None = None


def list_sources() -> list[Source]:
    """Return every source that has rows or imports, by name."""
    found: dict[str, Source] = {}
    for kind, (_, namespace) in _KINDS.items():
        counted = _rows(kind).values("source").order_by("source").annotate(count=Count("pk"))
        for name, count in counted.values_list("source", "count"):
            setattr(found.setdefault(name, Source(name)), namespace, count)
    last = Import.objects.order_by("source", "-pk").distinct("source").defer("mapping", "reasons")
    for each in last:
        found.setdefault(each.source, Source(each.source)).last_import = each
    return [found[name] for name in sorted(found)]


@transaction.atomic
def rename_source(old: str, new: str) -> int:
    """Give all rows and imports of a source another name; return the number of rows. Idempotent.

    The caches are invalidated after the commit. Raises SourceError where a row of the new name has the same
    external id.
    """
    if not new.strip() or len(new) > MAX_SOURCE_CHARACTERS or not new.isprintable():
        raise SourceError(
            f"{new[:80]!r} is no name of a source: write 1 to {MAX_SOURCE_CHARACTERS} characters"
        )
    _refuse_running(old, new)
    total = 0
    for kind, (_, namespace) in _KINDS.items():
        rows = _rows(kind).filter(source=old)
        taken = _rows(kind).filter(source=new, external_id__in=rows.values("external_id"))
        if clashes := list(
            taken.order_by("external_id").values_list("external_id", flat=True)[: MAX_NAMED_CLASHES + 1]
        ):
            raise SourceError(_clash(kind, new, clashes))
        try:
            with transaction.atomic():
                changed = rows.update(source=new)
        except IntegrityError as error:
            raise SourceError(f"{new} got a {kind} of the same id just now. Try again.") from error
        if changed:
            invalidate_on_commit([namespace])
        total += changed
    if not total and not Import.objects.filter(source=old).exists():
        raise SourceError(f"Unknown source {old!r}: `sources list` prints all")
    Import.objects.filter(source=old).update(source=new)
    return total


def _clash(kind: str, new: str, ids: list[str]) -> str:
    named = ", ".join(ids[:MAX_NAMED_CLASHES]) + (" and others" if len(ids) > MAX_NAMED_CLASHES else "")
    return (
        f"{new} already has a {kind} of the same id: {named}. Choose another name, or delete those rows "
        "first."
    )


def delete_source(name: str) -> int:
    """Delete all rows of a source, where they were seen, and its imports; return the number of rows.

    Rows go in batches, each in a transaction of its own; interrupted, it can be run again. The caches are
    invalidated. Raises SourceError for an unknown source, or one with a running import.
    """
    _refuse_running(name)
    total = 0
    for kind, (_, namespace) in _KINDS.items():
        while ids := _delete_batch(kind, name, namespace):
            total += len(ids)
    imports = Import.objects.filter(source=name)
    if not total and not imports.exists():
        raise SourceError(f"Unknown source {name!r}: `sources list` prints all")
    imports.delete()
    return total


@transaction.atomic
def _delete_batch(kind: str, source: str, namespace: str) -> list[int]:
    # Plain SQL: the database itself deletes what belongs to a row, and Django would read all of it before.
    statement = sql.SQL(
        # ARRAY: the limit counts once, where a join would look again for each row.
        "DELETE FROM {table} WHERE id = ANY (ARRAY("
        "SELECT id FROM {table} WHERE source = %s ORDER BY external_id LIMIT %s FOR UPDATE)) RETURNING id"
    ).format(table=sql.Identifier(_rows(kind).model._meta.db_table))
    with connection.cursor() as cursor:
        cursor.execute(statement, [source, BATCH_ROWS])
        ids = [row[0] for row in cursor.fetchall()]
    if ids:
        Sighting.objects.filter(kind=kind, row_id__in=ids).delete()
        invalidate_on_commit([namespace], ids)
    return ids


def _rows(kind: str) -> "models.QuerySet[Record]":
    model: type[Record] = apps.get_model(_KINDS[kind][0])
    return model._default_manager.all()


def _refuse_running(*names: str) -> None:
    note_interrupted(*names)
    running = Import.objects.filter(source__in=names, state=Import.State.RUNNING).first()
    if running is not None:
        raise SourceError(f"Import {running.pk} of {running.source} is running. Wait until it has finished.")
