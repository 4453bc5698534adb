"""Bring the places of stored rows to the form that imports write: codes of countries, and coordinates."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from apps.caching.services import invalidate_on_commit
from apps.records.models import Record
from apps.records.normalizing.coordinates import coordinates_of
from apps.records.normalizing.places import Place, normal_place

BATCH = 1_000
PARTS = ("city", "region", "country")


@dataclass
class PlacesResult:
    """Counts of rows: those that name a place, those that changed, and those that have coordinates now."""

    read: int = 0
    converted: int = 0
    located: int = 0


def convert_stored_places(model: type[Record], *, namespace: str, dry_run: bool = False) -> PlacesResult:
    """Bring the places of all rows to today's form, writing only rows that change; return counts. Idempotent.

    The name of a country becomes its code, a region or country that stands as the city goes where it belongs,
    and the coordinates are looked up. Edits by hand remain edits. Each batch is one transaction, so that a
    stopped conversion can be started again; the caches of `namespace` that show a changed row are
    invalidated. With `dry_run`, rows are only counted.
    """
    result = PlacesResult()
    for ids in _batches(model):
        with transaction.atomic():
            # The order in which imports lock rows, so that neither can block the other for good.
            rows = model._default_manager.filter(pk__in=ids).order_by("source", "external_id")
            rows = rows.only("source", "external_id", *PARTS, "places", "coordinates", "hand_edits")
            locked = list(rows if dry_run else rows.select_for_update(no_key=True, of=("self",)))
            changed = [row for row in locked if _convert(row)]
            result.read += len(locked)
            result.converted += len(changed)
            result.located += sum(bool(row.coordinates) for row in locked)
            if changed and not dry_run:
                _write(model, changed)
                invalidate_on_commit([namespace], [row.pk for row in changed])
    return result


def _batches(model: type[Record]) -> Iterator[list[int]]:
    has_place = ~Q(city="", region="", country="", places=[])
    keys = model._default_manager.filter(has_place).order_by("pk").values_list("pk", flat=True)
    last = 0
    while ids := list(keys.filter(pk__gt=last)[:BATCH]):
        yield ids
        last = ids[-1]


def _convert(row: Record) -> bool:
    """Convert the places of a row in memory, and what its source said of those that a person edited."""
    own = {name: getattr(row, name) for name in PARTS}
    said = own | {name: row.hand_edits[name]["source"] for name in PARTS if name in row.hand_edits}
    new = _normal(own)
    edits = dict(row.hand_edits)
    for name, value in _normal(said).items():
        if name in edits:
            edits[name] = edits[name] | {"source": value}
    if "places" in edits:
        listed = sorted(map(_normal, edits["places"]["source"] or []), key=str)
        edits["places"] = edits["places"] | {"source": listed}
    places = [_normal(place) for place in row.places]
    coordinates = coordinates_of(**new, places=places)
    before = (own, row.places, row.coordinates, row.hand_edits)
    row.places, row.coordinates, row.hand_edits = places, coordinates, edits
    for name, value in new.items():
        setattr(row, name, value)
    return (new, places, coordinates, edits) != before


def _normal(place: Mapping[str, Any]) -> dict[str, str]:
    return asdict(normal_place(Place(*(str(place.get(name) or "") for name in PARTS))))


def _write(model: type[Record], rows: list[Record]) -> None:
    now = timezone.now()
    for row in rows:
        row.updated_at = now
    manager: Any = model._default_manager
    manager.bulk_update(rows, [*PARTS, "places", "coordinates", "hand_edits", "updated_at"])
