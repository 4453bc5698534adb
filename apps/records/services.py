"""Write records: resolve their skills, and leave edits by hand and fields that a source lacks."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.db.models import Manager

from apps.records.hand_edits import SALARY_AMOUNTS, Conflict, comparable, mark, settle
from apps.records.inputs import RecordInput
from apps.records.models import Record
from apps.records.normalizing.coordinates import PLACE_FIELDS, coordinates_of
from apps.records.upsert import Key, RecordRow, RecordTable, UpsertResult
from apps.skills.finder import SkillFinder
from apps.skills.models import Skill, SkillUse
from apps.skills.services import add_unlisted, current_finder, find_skills, resolve_stated

MANUAL = "manual"  # source of rows that people or programs write one by one
MAX_TRIES = 5  # of a row that a person edits while it is written


@dataclass(frozen=True)
class Incomplete:
    """A row that cannot be new, because it lacks a field, and that is not there yet."""

    key: Key
    field: str
    reason: str


@dataclass(frozen=True)
class WriteResult:
    """What became of the rows, the conflicts with edits by hand, and the rows that lack a field to be new."""

    upserted: UpsertResult = field(default_factory=UpsertResult)
    conflicts: list[Conflict] = field(default_factory=list)
    incomplete: list[Incomplete] = field(default_factory=list)

    @property
    def inserted(self) -> list[int]:
        """Primary keys of new rows."""
        return self.upserted.inserted

    @property
    def updated(self) -> list[int]:
        """Primary keys of rows that were there and differed."""
        return self.upserted.updated

    @property
    def unchanged(self) -> list[int]:
        """Primary keys of rows that were not touched."""
        return self.upserted.unchanged

    @property
    def changed(self) -> list[int]:
        """Primary keys of the rows that were written."""
        return self.upserted.changed


@dataclass(frozen=True)
class RecordWriter:
    """Writes one kind of record.

    `to_columns` turns values by form field into values by column, in place, for many rows at once (companies
    become keys); `current` reads a stored row's value of a form field; `is_same` says whether a source means
    the same with two values.
    """

    table: RecordTable
    form: type[RecordInput]
    to_columns: Callable[[Sequence[dict[str, Any]]], None]
    current: Callable[[Record, str], Any]
    column_names: Mapping[str, str] = field(default_factory=dict)
    is_same: Callable[[str, Any, Any], bool] = lambda _, one, other: bool(one == other)
    _known_columns: dict[frozenset[str], frozenset[str]] = field(default_factory=dict, compare=False)

    def write(
        self,
        inputs: Sequence[RecordInput],
        *,
        found: Sequence[list[int]] | None = None,
        finder: SkillFinder | None = None,
        source_wins: Collection[str] = (),
        by: str = "",
    ) -> WriteResult:
        """Write rows by source and external id, in one transaction; equal rows are not touched.

        A field that an input does not set stays as it is. With `by`, a person or program edits the rows: each
        field that changes is kept against later imports. Without, a source writes them: what people edited
        stays, unless `source_wins` names the field. No key may occur twice in `inputs`. `found` holds the
        result of `find_skills` for each input's text; without it the texts are searched here.
        """
        total = WriteResult()
        finder = finder or current_finder()
        texts = (
            list(found) if found is not None else find_skills([form.text() for form in inputs], finder=finder)
        )
        pending = list(zip(inputs, texts, strict=True))
        with transaction.atomic(savepoint=False):  # the services of each kind have one
            for _ in range(MAX_TRIES):
                rows, conflicts, incomplete = self._rows(pending, finder, source_wins, by)
                upserted = self.table.upsert(rows)
                again = set(upserted.edited)
                total = WriteResult(
                    total.upserted + upserted,
                    [
                        *total.conflicts,
                        *(each for each in conflicts if (each.source, each.external_id) not in again),
                    ],
                    total.incomplete + incomplete,
                )
                pending = [(form, ids) for form, ids in pending if (form.source, form.external_id) in again]
                if not pending:
                    break
        return total

    def _rows(
        self,
        pending: Sequence[tuple[RecordInput, list[int]]],
        finder: SkillFinder,
        source_wins: Collection[str],
        by: str,
    ) -> tuple[list[RecordRow], list[Conflict], list[Incomplete]]:
        stored = self._stored([form for form, _ in pending], everything=bool(by))
        finder = _add_unknown_skills([form for form, _ in pending], finder)
        rows: list[RecordRow] = []
        conflicts: list[Conflict] = []
        incomplete: list[Incomplete] = []
        for form, ids in pending:
            record = stored.get((form.source, form.external_id))
            lacking = form.lacking() if record is None else None
            if lacking is not None:
                incomplete.append(Incomplete((form.source, form.external_id), *lacking))
                continue
            row, met = self._row(form, ids, record, finder, source_wins, by)
            rows.append(row)
            conflicts += met
        self.to_columns([row.values for row in rows])
        return rows, conflicts, incomplete

    def _stored(self, inputs: Sequence[RecordInput], *, everything: bool) -> dict[Key, Record]:
        """The stored rows that were edited by hand, or whose input gives only some fields."""
        texts, required = set(self.form.text_fields), {"title"} & set(self.form.model_fields)
        whole, partial = list[Key](), list[Key]()
        for form in inputs:
            is_partial = (
                everything or not form.model_fields_set >= texts | required or form.lacking() is not None
            )
            (partial if is_partial else whole).append((form.source, form.external_id))
        rows = self.table.read(partial) + self.table.read(whole, only_edited=True)
        return {(row.source, row.external_id): row for row in rows}

    def _row(
        self,
        form: RecordInput,
        ids: list[int],
        record: Record | None,
        finder: SkillFinder,
        source_wins: Collection[str],
        by: str,
    ) -> tuple[RecordRow, list[Conflict]]:
        given = set(form.model_fields_set)
        known: dict[str, Any] = record.hand_edits if record is not None else {}
        edits, conflicts = known, []
        changed: dict[str, Any] = {}
        if record is not None and by:
            changed = self._changed(form, record, given, finder)
            if changed and record.source != MANUAL:  # a row that no import wrote has no edits
                edits = mark(known, changed, by=by)
        elif record is not None and known:
            said = {name: self._given(form, name, finder) for name in given & known.keys()}
            current = {name: self.current(record, name) for name in known}
            settled = settle(record, said, current=current, source_wins=source_wins, is_same=self.is_same)
            given -= settled.held
            edits, conflicts = settled.edits, settled.conflicts
        if record is not None and not given >= set(form.text_fields):
            ids = finder.find(self._merged_text(form, record, given))
        stated = (
            resolve_stated(form.skills, finder=finder)[0] if "skills" in given or record is None else None
        )
        kept = self._stated_now(record) if stated is None else stated
        if kept:
            ids = [skill_id for skill_id in ids if skill_id not in kept]
        values = form.columns()
        if by and record is not None and record.places and given >= {"city", "region", "country"}:
            # The form of a person has one place, which is the first of several.
            values["places"] = [_first_place(form), *record.places[1:]]
            given.add("places")
        if not SALARY_AMOUNTS.isdisjoint(changed):
            values["salary_text"] = ""  # what the source wrote is not what the person says
            given.add("salary_text")
        if not PLACE_FIELDS.isdisjoint(given):
            # Of a row that was not read, the parts that are not given count as unknown.
            place = {
                name: values[name] if record is None or name in given else getattr(record, name)
                for name in PLACE_FIELDS
            }
            values["coordinates"] = coordinates_of(**place)
            given.add("coordinates")
        return RecordRow(values, stated, ids, self._columns(frozenset(given)), known, edits), conflicts

    def _columns(self, given: frozenset[str]) -> frozenset[str]:
        """The columns that a row with these fields gives; the rows of a feed give few different sets."""
        columns = self._known_columns.get(given)
        if columns is None:
            columns = frozenset(self.column_names.get(name, name) for name in given) | {"missing_since"}
            self._known_columns[given] = columns
        return columns

    def _changed(
        self, form: RecordInput, record: Record, given: set[str], finder: SkillFinder
    ) -> dict[str, Any]:
        """The stored values of the given fields that the form changes."""
        return {
            name: current
            for name in given - {"source", "external_id"}
            if not self.is_same(
                name,
                comparable(current := self.current(record, name)),
                comparable(self._given(form, name, finder)),
            )
        }

    def _given(self, form: RecordInput, name: str, finder: SkillFinder) -> Any:
        """The value that the input gives, skills by the names that the dictionary has for them."""
        if name != "skills" or not form.skills:
            return form.value(name)
        ids = resolve_stated(form.skills, finder=finder)[0]
        return list(Skill.objects.filter(pk__in=ids).values_list("name", flat=True))

    def _merged_text(self, form: RecordInput, record: Record, given: set[str]) -> str:
        return "\n".join(str(getattr(form if name in given else record, name)) for name in form.text_fields)

    def _stated_now(self, record: Record | None) -> list[int]:
        if record is None:
            return []
        uses: Any = record.skill_uses  # type: ignore[attr-defined]  # of every kind of record
        return list(uses.filter(origin=SkillUse.Origin.STATED).values_list("skill_id", flat=True))


def _first_place(form: RecordInput) -> dict[str, str]:
    return {name: getattr(form, name) for name in ("city", "region", "country")}


def whole(form: RecordInput) -> RecordInput:
    """Return the input with every field given: what it does not name has its default then. For GraphQL."""
    names = set(type(form).model_fields) - type(form).import_only
    return form.model_construct(_fields_set=names, **form.__dict__)


def _add_unknown_skills(inputs: Sequence[RecordInput], finder: SkillFinder) -> SkillFinder:
    """Create the stated skills that the dictionary lacks; return a finder that knows all stated skills."""
    unknown = {
        name for form in inputs if form.skills for name in resolve_stated(form.skills, finder=finder)[1]
    }
    if not unknown:
        return finder
    finder = current_finder()  # an earlier batch or another process may have added them
    _, unlisted = resolve_stated(sorted(unknown), finder=finder)
    if not unlisted:
        return finder
    add_unlisted(unlisted)
    return current_finder()


def stated_names(record: Record) -> list[str]:
    """Return the names of the skills that the row's source states."""
    uses: Any = record.skill_uses  # type: ignore[attr-defined]  # of every kind of record
    return list(uses.filter(origin=SkillUse.Origin.STATED).values_list("skill__name", flat=True))


def sync_found_skills(record: Record, uses: "Manager[Any]", *, text: str) -> None:
    """Replace the record's found skills by those that its text names now, after an edit by hand."""
    stated = set(uses.filter(origin=SkillUse.Origin.STATED).values_list("skill_id", flat=True))
    found = set(find_skills([text])[0]) - stated
    with transaction.atomic():
        uses.filter(origin=SkillUse.Origin.FOUND).exclude(skill_id__in=found).delete()
        known = set(uses.values_list("skill_id", flat=True))
        for skill_id in sorted(found - known):
            uses.create(skill_id=skill_id, origin=SkillUse.Origin.FOUND)
    record.refresh_from_db()  # the triggers wrote its skills_text and content_hash
