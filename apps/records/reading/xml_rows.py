"""Stream XML feeds (Indeed, RSS, Atom, HR-XML) with lxml, without entities and without the network."""

import re
from typing import IO, Any

from lxml import etree

from apps.records.reading.rows import ImportFileError, Reading, ReadingOptions, Rows, SourceRow

# Tags of one row, in the order in which they are looked for.
ROW_TAGS = (
    "job", "item", "entry", "jobposting", "position", "vacancy", "offer", "posting", "listing", "candidate",
    "resume", "row", "record",
)  # fmt: skip
# Rows of documents in which one of ROW_TAGS is a part of the row: a tag that tells the document, and that
# of the row.
ROW_TAG_OF_SHAPE = {
    "skillspassport": "learnerinfo",  # Europass before 2020
    "structuredxmlresume": "resume",  # HR-XML 2
    "candidateprofile": "candidate",  # HR-XML 3, and Europass since 2020
}
MAX_NESTING = 100
LOOKED_AT = 512 * 1024  # bytes of the beginning in which the tag of a row is looked for
_MARKUP_WITHIN = {
    "xhtml", "html", "div", "p", "ul", "ol", "br", "b", "strong", "span", "li", "h1", "h2", "h3", "h4",
}  # fmt: skip


def read_xml(binary: IO[bytes], options: ReadingOptions, reading: Reading, sample: bytes) -> Rows:
    """Yield one row for each element of the row's tag, with its children as columns.

    A child without children is its text, one with children an object, a repeated one a list; an attribute is
    "@name". Raises ImportFileError for a document type with entities, and where the document is damaged,
    after the rows before it.
    """
    if re.search(rb"<!ENTITY", sample[:LOOKED_AT].replace(b"\x00", b""), re.IGNORECASE):
        raise ImportFileError("the file declares entities, which are not read; remove its <!DOCTYPE … [ … ]>")
    tag = options.rows_at or _row_tag(sample)
    if not tag:
        raise ImportFileError(
            "no element of a row was found; name its tag with --rows-at, such as one of "
            f"{', '.join(ROW_TAGS[:6])}"
        )
    reading.rows_at = tag
    number = 0
    try:
        events = etree.iterparse(
            binary,
            events=("end",),
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
            recover=False,
        )
        for _, element in events:
            if _local(element.tag).lower() != tag.lower() or _is_inside_row(element, tag):
                continue
            number += 1
            yield SourceRow(number, _columns(element))
            element.clear()
            parent = element.getparent()
            while parent is not None and element.getprevious() is not None:
                del parent[0]
    except etree.XMLSyntaxError as error:
        raise ImportFileError(f"not XML after row {number:,}: {error.msg}") from error
    if not number and options.rows_at:
        raise ImportFileError(f"no element <{tag}> is in the file")


def _local(tag: Any) -> str:
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def _is_inside_row(element: Any, tag: str) -> bool:
    """A row may hold an element of its own name ("position" of a position); the outer one is the row."""
    return any(_local(each.tag).lower() == tag.lower() for each in element.iterancestors())


def _row_tag(sample: bytes) -> str:
    """The first of ROW_TAGS at the file's beginning, else the tag that repeats directly under the root."""
    depth, children, seen = 0, dict[str, int](), set[str]()
    parser = etree.XMLPullParser(
        events=("start", "end"), resolve_entities=False, no_network=True, recover=True
    )
    parser.feed(sample[:LOOKED_AT])
    events: Any = parser.read_events()
    for event, element in events:
        depth += 1 if event == "start" else -1
        if depth > MAX_NESTING:
            break
        if event == "start":
            name = _local(element.tag)
            seen.add(name)
            if depth == 2:
                children[name] = children.get(name, 0) + 1
    by_lower = {name.lower(): name for name in sorted(seen)}
    shapes = (row for shape, row in ROW_TAG_OF_SHAPE.items() if shape in by_lower)
    for tag in (*shapes, *ROW_TAGS):
        if tag in by_lower:
            return by_lower[tag]
    return max(children, key=lambda name: children[name], default="")


def _columns(element: Any) -> dict[str, Any]:
    columns: dict[str, Any] = {f"@{_local(name)}": value for name, value in element.attrib.items()}
    for child in element:
        name = _local(child.tag)
        if not name:
            continue
        value = _value(child)
        if name in columns:
            before = columns[name]
            columns[name] = [*before, value] if isinstance(before, list) else [before, value]
        elif value not in ("", {}):
            columns[name] = value
    return columns


def _value(element: Any, depth: int = 0) -> Any:
    if depth > MAX_NESTING:
        return ""
    children = [child for child in element if _local(child.tag)]
    if not children:
        return (
            (element.text or "").strip()
            if not element.attrib or (element.text or "").strip()
            else _columns(element)
        )
    if all(_local(child.tag).lower() in _MARKUP_WITHIN for child in children):  # HTML that was not escaped
        inner = (element.text or "") + "".join(etree.tostring(child, encoding="unicode") for child in element)
        return inner.strip()
    return _columns(element)
