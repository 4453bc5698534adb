"""Check the project's language: identifiers, phrases and the length of Markdown lines.

    python -m tools.language

Single words are codespell's part (`tools/dialect.txt`). This command checks what a list of words cannot:
ordinary words that are only forbidden as identifiers, and phrases. docs/glossary.md has the words to use.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MAX_MARKDOWN_LINE = 140
# Generated, quoted, or made of the forbidden words themselves
NOT_CHECKED = (
    "proto/jobrec/",
    "apps/sample/words/",
    "apps/api/static/",
    "LICENSE",
    "requirements/",
    "docs/reference/commands.md",
    "tools/dialect.txt",
    "tools/language.py",
    "tests/unit/tools/",
)
PUBLIC_NAMES = {"MOST_EXPERIENCED"}  # values of the GraphQL schema

# A class is named by a noun, a bound by MAX_ or MIN_, a function by what it does.
PARTICIPLE = re.compile(
    r"(Asked|Embedded|Found|Gone|Indexed|Kept|Keyed|Pruned|Refusal|Replayed|Said|Served|Spoken|Told|Unusable"
    r"|Upcoming|Upserted|Warmed)\Z"
)
BOUND_PREFIX = "most|least|longest|largest|smallest|shortest|deepest|greatest"
BOUND_CONSTANT = re.compile(rf"_?({BOUND_PREFIX.upper()})(_[A-Z_]+)?\Z")
BOUND_PARAMETER = re.compile(rf"({BOUND_PREFIX})(_\w+)?\Z")
NAME = re.compile(r"_?(asked_of|give_up_for_now|octets?|raise_tags|spoken|told|words_(of|by|in)_\w+)\Z")

PHRASES = {
    r"\bsuch a one\b": "one",
    r"\bfor want of\b": "because … is missing",
    r"\bis said\b": "is reported",
    r"\bprocess apart\b": "subprocess",
    r"\b(by|in) halves\b": "by bisection",
    r"\brais(e|es|ed|ing) (a|the|its|each) generations?\b": "increment a generation",
    r"\bgiv(e|es|en|ing) up for now\b": "pause",
}


def findings() -> Iterator[str]:
    """Yield one line `path:line: fault. Remedy.` for each finding."""
    for path in _tracked_files():
        name = str(path.relative_to(ROOT))
        if name.startswith(NOT_CHECKED):
            continue
        text = path.read_text()
        if path.suffix == ".py":
            yield from (f"{name}:{found}" for found in identifier_findings(ast.parse(text)))
        for number, line in enumerate(text.splitlines(), 1):
            yield from (f"{name}:{number}: {found}" for found in phrase_findings(line))
            is_table_row = line.startswith("|")  # a row of a table cannot be broken
            if path.suffix == ".md" and len(line) > MAX_MARKDOWN_LINE and not is_table_row:
                yield f"{name}:{number}: {len(line)} characters. Break the line at {MAX_MARKDOWN_LINE}."


def _tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True)
    suffixes = {".py", ".md", ".sql", ".html", ".proto", ".graphql", ".toml", ".yml", ".txt", ".example"}
    paths = (ROOT / line for line in listed.stdout.splitlines())
    return [path for path in paths if path.suffix in suffixes and path.exists()]


def identifier_findings(tree: ast.AST) -> Iterator[str]:
    """Yield one line `line: fault. Remedy.` for each forbidden identifier of a module."""
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.ClassDef) and PARTICIPLE.match(node.name):
            yield f"{line}: the class {node.name} is named by a participle. Name it by a noun."
        for name in _defined_names(node):
            bound = BOUND_CONSTANT if isinstance(node, ast.Name) else BOUND_PARAMETER
            if bound.match(name) and name not in PUBLIC_NAMES:
                yield f"{line}: {name} is a bound. Begin it with max or min."
            elif NAME.match(name):
                yield f"{line}: {name} is no word of this project. See docs/glossary.md."


def _defined_names(node: ast.AST) -> Iterator[str]:
    """Yield the names that a node defines, or passes as keywords."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield node.name
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, ast.arg) or (isinstance(node, ast.keyword) and node.arg):
        yield str(node.arg)


def phrase_findings(line: str) -> Iterator[str]:
    """Yield each forbidden phrase of a line, with its replacement."""
    for pattern, remedy in PHRASES.items():
        if found := re.search(pattern, line, re.IGNORECASE):
            yield f'the phrase "{found[0]}". Write: {remedy}.'


def main() -> int:
    """Print every finding. Return 1 where there is one."""
    found = list(findings())
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
