"""From the text of a résumé to the fields of a candidate: what can be read there, and nothing else."""

import datetime as dt
import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.utils import timezone

from apps.records.normalizing.choices import parse_english_level, parse_experience
from apps.records.normalizing.errors import UnreadableCellError
from apps.records.normalizing.folding import fold
from apps.records.normalizing.gazetteer import cities_named
from apps.records.normalizing.places import parse_places
from apps.records.reading.documents import (
    SUFFIXES,
    UnreadableDocumentError,
    documents_in,
    other_files,
    read_document,
)
from apps.records.reading.rows import ImportFileError, Reading, ReadingOptions, Rows, SourceRow, UnreadableRow

HEAD_LINES = 12  # name, headline and contact stand in these
MAX_HEADLINE = 100  # characters
MAX_ID = 200

_HEADINGS = {
    "experience": (
        r"(?:work|professional|relevant)?\s*experience|employment(?: history)?|work history|career"
        r"|berufserfahrung|beruflicher werdegang|berufspraxis|experience professionnelle|experiencia"
        r"(?: laboral)?|경력(?:사항)?|職歴|職務経歴"
    ),
    "other": (
        r"education|ausbildung|studium|skills|kenntnisse|languages|sprachen|profile|profil|summary|about"
        r"(?: me)?|contact|kontakt|curriculum vitae|resume|lebenslauf|cv|references|projects|projekte"
        r"|certifications?|interests|hobbies|personal (?:data|details)|personliche daten"
        r"|학력|기술|보유기술|언어|자기소개|이력서|学歴|スキル|資格"
    ),
}
_HEADING = {name: re.compile(rf"(?:#+\s*)?(?:{words})\s*:?") for name, words in _HEADINGS.items()}
_CONTACT = re.compile(
    r"@|https?:|www\.|linkedin|github|\+?\d[\d\s()/-]{6,}|tel\b|phone|e-?mail|mobil|geboren|born"
    r"|date of birth|생년월일"
)
_LABEL = {
    "headline": re.compile(
        r"(?:title|headline|position|job title|profession|beruf|desired position|직무|희망직무)"
        r"\s*[:：]\s*(.+)",
        re.IGNORECASE,
    ),
    "location": re.compile(
        r"(?:location|place|city|address|residence|based in|wohnort|ort|adresse|anschrift|거주지|주소|住所)"
        r"\s*[:：]\s*(.+)",
        re.IGNORECASE,
    ),
}
_YEARS = re.compile(
    r"(\d{1,2}(?:[.,]\d)?\s*\+?\s*(?:years?|yrs?|jahren?|ans|años|년)(?:\s*차)?)"
    r"\W{0,3}(?:of\s+|d['’]\s*|de\s+)?(?:\w+\s+){0,4}?"
    r"(?:experience|erfahrung|berufserfahrung|expérience|experiencia|경력)"
    r"|(?:경력|experience|erfahrung)\s*[:：]?\s*(\d{1,2}(?:[.,]\d)?\s*\+?\s*(?:years?|jahre?n?|년))",
    re.IGNORECASE,
)
_MONTH = (
    r"(?:(?P<m{n}>\d{{1,2}})\s*[./-]\s*|(?P<w{n}>[^\W\d_]{{3,12}})\.?\s+)?(?P<y{n}>(?:19|20)\d{{2}})"
    r"(?:\s*[.년年]\s*(?P<k{n}>\d{{1,2}})\s*[월月]?)?"
)
_PERIOD = re.compile(
    _MONTH.format(n=1) + r"\s*(?:[-–—~〜]|to|bis|until)\s*(?:" + _MONTH.format(n=2)
    + r"|(?P<now>present|now|today|current|heute|aktuell|jetzt|aujourd.hui|actualidad|현재|재직|現在))",
    re.IGNORECASE,
)  # fmt: skip
_ENGLISH = re.compile(
    r"(?:english|englisch|anglais|inglés|영어|英語)\s*[:：(\-–—,]*\s*([^\n,;|)]{1,40})", re.IGNORECASE
)
_MONTHS = {
    "jan": 1, "feb": 2, "fev": 2, "mar": 3, "mär": 3, "mrz": 3, "apr": 4, "avr": 4, "abr": 4, "may": 5,
    "mai": 5, "jun": 6, "juin": 6, "jul": 7, "juil": 7, "aug": 8, "ago": 8, "aoû": 8, "sep": 9, "oct": 10,
    "okt": 10, "nov": 11, "dec": 12, "dez": 12, "déc": 12, "dic": 12,
}  # fmt: skip


def is_resume(path: Path) -> bool:
    """Return whether `path` is a folder, or a document rather than a table of candidates."""
    if path.is_dir():
        return True
    if path.suffix.lower() not in SUFFIXES or not path.is_file():
        return False
    return path.suffix.lower() != ".txt" or not _is_table(path)


def _is_table(path: Path) -> bool:
    """Whether the first lines of a text have the same number of one delimiter, as those of a table have."""
    with path.open("rb") as file:
        lines = [line for line in file.read(20_000).splitlines()[:-1] if line.strip()][:5]
    return len(lines) > 1 and any(
        0 < lines[0].count(sign) == lines[1].count(sign) == lines[-1].count(sign)
        for sign in (b"\t", b";", b"|", b",")
    )


@contextmanager
def open_resumes(
    path: Path | str, _options: ReadingOptions, *, progress: Callable[[int], object] = lambda _: None
) -> Iterator[tuple[Rows, Reading]]:
    """Yield the candidates of the documents in `path`, as `open_rows` yields the rows of a file.

    Raises ImportFileError where the path cannot be read or holds no document.
    """
    path = Path(path)
    try:
        others = other_files(path)
        documents = documents_in(path)
    except OSError as error:
        raise ImportFileError(f"{path}: {error.strerror}") from error
    if not documents:
        raise ImportFileError(f"{path}: the folder holds no document ({', '.join(sorted(SUFFIXES))})")
    reading = Reading("documents")
    if others:
        named = ", ".join(others[:3]) + (" and others" if len(others) > 3 else "")
        reading.notes.append(f"{len(others):,} files are no documents that can be read: {named}")
    yield read_resumes(path, progress=progress), reading


def read_resumes(
    path: Path, *, progress: Callable[[int], object] = lambda _: None
) -> Iterator[SourceRow | UnreadableRow]:
    """Yield a candidate's fields for each document in `path`, a file or a folder.

    The name of the document is the candidate's external id. `progress` is given the bytes of each document
    that was read.
    """
    for number, document in enumerate(documents_in(path), 1):
        name = document.relative_to(path).as_posix() if path.is_dir() else document.name
        try:
            text = read_document(document)
            progress(document.stat().st_size)
        except (UnreadableDocumentError, OSError) as error:
            reason = str(getattr(error, "strerror", None) or error)
            yield UnreadableRow(number, reason, name, _identity(name))
            continue
        yield SourceRow(
            number, {"external_id": _identity(name)} | fields_of(text, today=timezone.localdate())
        )


def _identity(name: str) -> str:
    if len(name) <= MAX_ID:
        return name
    return f"{name[:150]}#{hashlib.blake2b(name.encode(), digest_size=16).hexdigest()}"


def fields_of(text: str, *, today: dt.date) -> dict[str, Any]:
    """Return the fields that the text of a résumé states; skills are found in the text when it is stored.

    `headline` is a labelled title or the line under the name; `experience_years` what the text says, else the
    time covered by the periods under its heading of experience; `location` a labelled or a known place at its
    beginning.
    """
    lines = [line.strip(" \t|•·") for line in text.splitlines()]
    head = [line for line in lines if line][:HEAD_LINES]
    found: dict[str, Any] = {
        "headline": _headline(head),
        "location": _location(head),
        "experience_years": _experience(text, lines, today),
        "english_level": _english(text),
    }
    return {"resume": text} | {name: value for name, value in found.items() if value not in (None, "")}


def _headline(head: list[str]) -> str:
    for line in head:
        if match := _LABEL["headline"].fullmatch(line):
            return match[1].strip()[:MAX_HEADLINE]
    named = [line.lstrip("# ") for line in head]
    named = [line for line in named if not _is_heading(line)]
    for number, line in enumerate(named[:2]):
        if _is_name(line) and number + 1 < len(named):
            after = named[number + 1]
            is_title = (
                3 <= len(after) <= MAX_HEADLINE
                and not _CONTACT.search(fold(after))
                and not after.endswith(".")
            )
            if is_title and not _is_place(after) and not _is_name_only(after):
                return after
    return ""


def _is_heading(line: str) -> bool:
    folded = fold(line)
    return any(pattern.fullmatch(folded) for pattern in _HEADING.values())


def _is_name(line: str) -> bool:
    """Whether the line is a person's name: two to four capitalized words, or two to four Hangul syllables."""
    words = line.split()
    if re.fullmatch(r"[가-힣]{2,4}", line):
        return True
    return 2 <= len(words) <= 4 and all(
        word[0].isupper() and word.replace("-", "").replace(".", "").replace("'", "").isalpha()
        for word in words
    )


def _is_name_only(line: str) -> bool:
    return ":" in line or bool(re.search(r"\d{3,}", line))


def _is_place(line: str) -> bool:
    return bool(_known_place(line))


def _location(head: list[str]) -> str:
    for line in head:
        if match := _LABEL["location"].match(line):
            return match[1].strip()
    for line in head[1:]:
        for part in re.split(r"\s*[|•·]\s*|\s{2,}", line):
            if not _CONTACT.search(fold(part)) and (place := _known_place(part)):
                return place
    return ""


def _known_place(text: str) -> str:
    """The text, where it is a short "City, Country" with a known city or country."""
    if not 3 <= len(text) <= 60 or not re.search(r"[,，]|[가-힣]", text):
        return ""
    places = parse_places(text).places
    if len(places) != 1 or not places[0].city:
        return ""
    place = places[0]
    return (
        text
        if place.country in {each.country for each in cities_named(place.city)} or place.country == "KR"
        else ""
    )


def _experience(text: str, lines: list[str], today: dt.date) -> Decimal | None:
    if match := _YEARS.search(text):
        try:
            return parse_experience(match[1] or match[2]).minimum
        except UnreadableCellError:
            return None
    months: set[int] = set()
    is_inside = False
    for line in lines:
        folded = fold(line)
        if _HEADING["experience"].fullmatch(folded):
            is_inside = True
        elif _HEADING["other"].fullmatch(folded):
            is_inside = False
        elif is_inside:
            for match in _PERIOD.finditer(line):
                months |= set(_months(match, today))
    return round(Decimal(len(months)) / 12, 1) if months else None


def _months(match: re.Match[str], today: dt.date) -> range:
    """The months of a period, counted since the year 0. A year without a month counts from its middle."""
    start = int(match["y1"]) * 12 + (_month(match, 1) or 6)
    end = today.year * 12 + today.month if match["now"] else int(match["y2"]) * 12 + (_month(match, 2) or 6)
    return range(start, min(end, today.year * 12 + today.month))


def _month(match: re.Match[str], n: int) -> int | None:
    number = match[f"m{n}"] or match[f"k{n}"]
    if number and 1 <= int(number) <= 12:
        return int(number)
    name = (match[f"w{n}"] or "").casefold()
    return _MONTHS.get(name[:4]) or _MONTHS.get(name[:3])


def _english(text: str) -> int | None:
    for match in _ENGLISH.finditer(text):
        try:
            return parse_english_level(match[1].strip(" ()-–—:"))
        except UnreadableCellError:
            continue
    return None
