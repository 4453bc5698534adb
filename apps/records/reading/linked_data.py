"""schema.org objects in a page: JSON-LD in <script type="application/ld+json">."""

from collections.abc import Iterator
from typing import IO, Any

import orjson
from lxml import html

from apps.records.reading.rows import ImportFileError, Reading, Rows, SourceRow, UnreadableRow

TYPES = {"JobPosting", "Person", "Occupation"}
MAX_PAGE = 64 * 1024 * 1024  # bytes
MAX_NESTING = 20


def read_linked_data(binary: IO[bytes], reading: Reading) -> Rows:
    """Yield each JobPosting (or Person) of a page, at any depth.

    Raises ImportFileError for a page without one, or over MAX_PAGE.
    """
    page = binary.read(MAX_PAGE + 1)
    if len(page) > MAX_PAGE:
        raise ImportFileError(f"a page of at most {MAX_PAGE:,} bytes is possible")
    tree = html.fromstring(page.decode(reading.encoding, errors="replace"))
    number = 0
    for script in tree.iterfind('.//script[@type="application/ld+json"]'):
        try:
            document = orjson.loads((script.text or "").strip().rstrip(";"))
        except orjson.JSONDecodeError as error:
            number += 1
            yield UnreadableRow(
                number, f"the JSON-LD cannot be read: {error.msg}", (script.text or "")[:10_000]
            )
            continue
        for each in objects_in(document):
            number += 1
            yield SourceRow(number, each)
    if not number:
        raise ImportFileError("the page holds no JSON-LD of a JobPosting")


def objects_in(document: Any, depth: int = 0) -> Iterator[dict[str, Any]]:
    """Yield all objects of TYPES in a JSON-LD document."""
    if depth > MAX_NESTING:
        return
    if isinstance(document, list):
        for each in document:
            yield from objects_in(each, depth + 1)
    elif isinstance(document, dict):
        kinds = document.get("@type")
        if TYPES & set(kinds if isinstance(kinds, list) else [kinds]):
            yield document
        else:
            for value in document.values():
                if isinstance(value, dict | list):
                    yield from objects_in(value, depth + 1)
