"""Print the size of the project: lines by folder, and the files on the way of a search and an invalidation.

A line of code has a token other than a comment and belongs to no docstring. --checkout counts the lines of
another checkout, to compare. The traced part sends one `searchPostings` request that no cache answers, and
delivers one invalidation from a run to the cache of a web process, in a temporary database; it counts the
files of this project in which a function runs, in the calling process and in the sidecar.
"""

import argparse
import ast
import io
import sys
import threading
import tokenize
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from bench import scratch, web_client

FOLDERS = ("apps", "workers", "jobrec_site", "bench", "tests")
NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}
ON_THE_WAY = {"apps", "jobrec_site", "proto", "workers"}
QUERY = """query Search($text: String) {
  searchPostings(text: $text, first: 10) {
    degraded
    edges { score node { title } explanation { matchedSkills { name } parts { name value } } }
  }
}"""


@dataclass(frozen=True)
class Size:
    """Python files with at least one line of code, all lines, and lines of code."""

    modules: int
    lines: int
    code: int

    @classmethod
    def of(cls, files: Iterable[Path]) -> "Size":
        """The total of some Python files."""
        sources = [file.read_text(encoding="utf-8") for file in files]
        code = [code_lines(source) for source in sources]
        return cls(sum(map(bool, code)), sum(len(source.splitlines()) for source in sources), sum(code))


def code_lines(source: str) -> int:
    """The number of lines of code in a Python source."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and (
            ast.get_docstring(node, clean=False) is not None
        ):
            docstring = node.body[0]
            lines.difference_update(range(docstring.lineno, (docstring.end_lineno or docstring.lineno) + 1))
    return len(lines)


def print_sizes(checkout: Path) -> None:
    """Print one line for each folder of a checkout, and the total."""
    print(f"{'folder':12} {'modules':>8} {'lines':>8} {'code':>8}")
    files = {name: sorted((checkout / name).rglob("*.py")) for name in FOLDERS}
    everything = [file for folder in files.values() for file in folder]
    for name, folder in {**files, "total": everything}.items():
        size = Size.of(folder)
        print(f"{name:12} {size.modules:8,} {size.lines:8,} {size.code:8,}")


class Tracer:
    """Notes the project's files in which a function runs, in this thread and in those that start later."""

    def __init__(self) -> None:
        self._files: set[str] = set()
        threading.settrace(self._note)

    def _note(self, frame: FrameType, _event: str, _argument: Any) -> None:
        self._files.add(frame.f_code.co_filename)

    def files_of(self, action: Callable[[], Any]) -> list[str]:
        """The files that run for an action."""
        self._files.clear()
        sys.settrace(self._note)
        try:
            action()
        finally:
            sys.settrace(None)
        parts = [
            Path(name).relative_to(scratch.ROOT).parts
            for name in self._files
            if name.startswith(f"{scratch.ROOT}/")
        ]
        return sorted("/".join(each) for each in parts if each[0] in ON_THE_WAY)


def print_traced() -> None:
    """Print the files that run for one search and for one invalidation."""
    with (
        scratch.servers(None, **scratch.free_addresses()) as data,
        scratch.processes(data, "embedding-server"),
    ):
        from django.conf import settings
        from django.test import Client

        from apps.caching import sidecar
        from apps.embeddings.invalidation import deliver
        from apps.embeddings.lifecycle import activate
        from apps.embeddings.registry import default_model

        file = data / "postings.jsonl"
        scratch.manage("generate_sample", "postings", "--count=50", f"--out={file}")
        scratch.manage("import_postings", str(file))
        run = scratch.embed_in_process("posting", default_model())
        activate(default_model(), force=True)
        tracer = Tracer()
        running, client = sidecar.start(settings.INVALIDATION_BIND), Client(SERVER_NAME="localhost")

        def search(text: str) -> None:
            content = {"query": QUERY, "variables": {"text": text}}
            response = client.post("/graphql", content, content_type="application/json")
            web_client.check_full(response.content, status=response.status_code)

        try:
            search("the first request imports modules")
            ways = {
                "search": tracer.files_of(lambda: search("nurse in intensive care")),
                "invalidation": tracer.files_of(lambda: deliver(run.pk)),
            }
        finally:
            running.stop()
    for name, files in ways.items():
        print(f"\n{len(files)} files on the way of a{'n' * (name[0] in 'aeiou')} {name}")
        print("\n".join(f"  {each}" for each in files))


def main() -> None:
    """Print the sizes, and the traced files of this checkout."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--checkout", type=Path, default=scratch.ROOT, help="count the lines of this checkout only"
    )
    options = parser.parse_args()
    print_sizes(options.checkout)
    if options.checkout == scratch.ROOT:
        print_traced()


if __name__ == "__main__":
    main()
