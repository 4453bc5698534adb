"""The command `import_candidates`."""

from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from django.db.models import QuerySet

from apps.candidates.inputs import CandidateRow
from apps.candidates.models import Candidate
from apps.candidates.resumes import is_resume, open_resumes
from apps.candidates.services import upsert_candidates
from apps.records.importing.command import ImportCommand, as_source, source_of
from apps.records.importing.loader import Write
from apps.records.importing.mapping import Mapping, identity_mapping
from apps.records.importing.mapping_choice import Choice
from apps.records.importing.report import PREVIEWED_ROWS
from apps.records.inputs import field_names
from apps.records.reading.opening import Open, open_rows
from apps.records.reading.rows import ReadingOptions, SourceRow


class Command(ImportCommand):
    """Import candidates."""

    help = (
        "Imports candidates from files, addresses, standard input, or folders of résumés (PDF, Word, "
        "Markdown, text)."
    )
    kind = "candidate"
    form = CandidateRow
    presets = Path(__file__).parents[2] / "presets"

    def write(self) -> Write:
        return upsert_candidates

    def open_of(self, path: Path | str, options: dict[str, Any]) -> Open:
        return open_resumes if _is_resume(path, options) else open_rows

    def choice_of(
        self, path: Path | str, named: Mapping | None, options: dict[str, Any], reading: ReadingOptions
    ) -> Choice:
        if not _is_resume(path, options):
            return super().choice_of(path, named, options, reading)
        mapping = identity_mapping(field_names(self.form))
        if named is not None:
            mapping = replace(mapping, defaults=named.defaults, options=named.options)
        sample = []
        with open_resumes(path, reading) as (rows, found):
            if options["preview"]:  # to read documents takes time
                sample = [row.values for row in islice(rows, PREVIEWED_ROWS) if isinstance(row, SourceRow)]
        origin = "fixed: the text, and what can be read in it"
        return Choice(mapping, origin, reading=found, sample=sample, is_fixed=True)

    def source_of(self, name: str) -> str:
        path = Path(name).resolve()
        if path.is_dir():
            return as_source(path.name)
        return as_source(path.parent.name) if is_resume(path) else source_of(name)

    def open_rows_of(self, source: str) -> QuerySet[Any]:
        return Candidate.objects.filter(source=source)


def _is_resume(path: Path | str, options: dict[str, Any]) -> bool:
    is_table = options["file_format"] or options["delimiter"]
    return isinstance(path, Path) and not is_table and is_resume(path)
