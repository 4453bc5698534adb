"""Split cells that hold several things, above all skills."""

import ast
import json
import re
from collections.abc import Sequence

from apps.records.normalizing.markup import is_html, to_markdown
from apps.records.normalizing.unknown import is_unknown

MAX_LITERAL = 100_000  # characters of a list written as JSON or as Python writes it

# Bullets and line breaks part everything; so do semicolons and bars, which no name of a skill holds.
_ALWAYS = re.compile(
    r"\s*(?:[;|\n\r\t•·▪●◦‣※、，；｜✓✔➢➤►▶❖◆■]|\\[nrt](?![a-z]))\s*|\s+[–—]\s+|^\s*[-*+]\s+|(?<=\n)\s*[-*+]\s+"
)
_COMMA = re.compile(r"\s*,\s*(?![^()]*\))")
_SLASH = re.compile(r"\s+/\s+")
_NUMBERED = re.compile(r"^(?:\(?\d{1,2}[.)]\s+|[-*+•·]\s*)")
# A full stop ends a sentence, not a name, unless the name is one such as ".NET" or "Node.js".
_NUMBERED_INLINE = re.compile(r"(?:^|\s+)\d{1,2}[.)]\s+")  # "1. Python 2. SQL"
_DASHES = re.compile(r"\s+-\s+")
# What a cell says around a name: a heading, "e.g.", how many years or how well.
_BEFORE = re.compile(
    r"^(?:(?:skills?|technologies|(?:tech )?stack|kenntnisse|기술)\s*:|e\.g\.|z\.\s?b\.|such as)\s*",
    re.IGNORECASE,
)
_AFTER = re.compile(
    r"\s*\((?:\d[^()]*(?:years?|yrs?|jahre?|년)\+?|basic|beginner|intermediate|advanced|expert|fluent|required|preferred|must|optional)\)$",
    re.IGNORECASE,
)
_NO_NAMES = frozenset({"etc", "etc.", "usw.", "usw", "u.a.", "and more", "others", "등"})
_EDGE = re.compile(r"^[\s\"'“”„`\[\]{}*]+|[\s\"'“”„`\[\]{}*:]+$")
_SENTENCE_END = re.compile(r"(?<=[^\W_])\.$|(?<=[+#)])\.$")


def split_skills(value: object) -> list[str]:
    """Return the names in a cell, in their order, without repetitions.

    Understands lists, JSON and Python lists in a string, commas, semicolons, bars, bullets, line breaks, and
    a slash between spaces ("Excel / SAP"). Names that hold such signs themselves stay whole: C++, C#, .NET,
    AI/ML, CI/CD, TCP/IP.
    """
    names: dict[str, str] = {}
    for cell in _cells(value):
        for entry in _entries(cell):
            name = _clean(entry)
            if name and not is_unknown(name):
                names.setdefault(name.casefold(), name)
    return list(names.values())


def _cells(value: object) -> list[str]:
    """The texts in a value: each member of a list, the name of an object."""
    if isinstance(value, str):
        if "<" in value and is_html(value):
            value = to_markdown(value)
        literal = _literal(value)
        return [value] if literal is None else _cells(literal)
    if isinstance(value, Sequence):
        return [text for each in value for text in _cells(each)]
    if isinstance(value, dict):
        if isinstance(value.get("keywords"), list) and value["keywords"]:  # of JSON Résumé
            return _cells(value["keywords"])
        for key in ("name", "label", "skill", "title", "value"):
            if isinstance(value.get(key), str):
                return [value[key]]
        return [text for each in value.values() if isinstance(each, list) for text in _cells(each)]
    return []


def _literal(text: str) -> object | None:
    """The list in a text such as `["a", "b"]` or `['a', 'b']`; None where it is no such text."""
    stripped = text.strip()
    if not (stripped.startswith("[") and stripped.endswith("]")) or len(stripped) > MAX_LITERAL:
        return None
    for parse in (json.loads, ast.literal_eval):
        try:
            found = parse(stripped)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        return found if isinstance(found, list) else None
    return None


def _entries(cell: str) -> list[str]:
    entries = []
    if cell.lstrip().startswith(("1.", "1)")):
        cell = _NUMBERED_INLINE.sub("\n", cell)
    for line in _ALWAYS.split(cell):
        if len(parts := _DASHES.split(line)) > 2:
            entries += parts
            continue
        for part in _COMMA.split(line):
            entries += _SLASH.split(part)
    return entries


def _clean(entry: str) -> str:
    entry = _NUMBERED.sub("", entry.strip())
    entry = _AFTER.sub("", _BEFORE.sub("", _EDGE.sub("", entry)))
    if entry.casefold() in _NO_NAMES:
        return ""
    if not entry.casefold().endswith(("inc.", "etc.")):
        entry = _SENTENCE_END.sub("", entry)
    entry = re.sub(r"^(?:and|und|et|및)\s+", "", " ".join(entry.split()), flags=re.IGNORECASE)
    return entry if any(each.isalnum() for each in entry) else ""
