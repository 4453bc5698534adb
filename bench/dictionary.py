"""Time and memory of finding skills, with the shipped dictionary and with one that a taxonomy was added to.

Prints processor seconds for all texts, the best of three passes, the seconds that building the finder takes,
and the resident memory that it adds to a process.
"""

import argparse
import gzip
import json
import sys
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import report, scratch

PASSES = 3
FIELDS = ("title", "tasks", "requirements", "qualification")


def main() -> None:
    """Build both finders and search the texts with each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("taxonomy", type=Path, help="a file for `manage.py skills import`")
    parser.add_argument("postings", type=Path, help="announcements as compressed JSON Lines")
    parser.add_argument("--texts", type=int, default=2_000)
    options = parser.parse_args()
    result = report.start("Dictionary")
    texts = read_texts(options.postings, options.texts)
    with scratch.servers():
        from apps.skills.dictionary import dictionary_terms
        from apps.skills.taxonomy import import_taxonomy, read_taxonomy

        measure(result, "shipped dictionary", dictionary_terms(), texts)
        result.figure(str(import_taxonomy(read_taxonomy(options.taxonomy))))
        measure(result, "with the taxonomy", dictionary_terms(), texts)


def read_texts(path: Path, count: int) -> list[str]:
    """The first texts of the announcements that have tasks."""
    texts: list[str] = []
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            if row.get("tasks"):
                parts = (row.get(name, "") for name in FIELDS)
                texts.append("\n".join("\n".join(each) if isinstance(each, list) else each for each in parts))
            if len(texts) == count:
                break
    return texts


def measure(result: report.Report, name: str, terms: list, texts: list[str]) -> None:  # type: ignore[type-arg]
    """Print what one finder costs."""
    from apps.skills.finder import SkillFinder, Term

    memory, started = psutil.Process().memory_info().rss, time.perf_counter()
    finder = SkillFinder(terms)
    built, memory = time.perf_counter() - started, psutil.Process().memory_info().rss - memory
    started = time.perf_counter()
    finder.rebuilt([*terms, Term("a stated skill", 0, findable=False)])
    rebuilt = time.perf_counter() - started
    passes = []
    for _ in range(PASSES):
        started = time.process_time()
        found = [finder.find(text) for text in texts]
        passes.append(time.process_time() - started)
    result.figure(
        f"{name}: {len({term.skill_id for term in terms}):,} skills, {len(terms):,} names; "
        f"{len(texts):,} texts in {min(passes):.3f} s, {sum(map(len, found)) / len(texts):.1f} skills each; "
        f"built in {built:.2f} s, with one more stated skill in {rebuilt:.2f} s, {memory / 2**20:.0f} MiB"
    )


if __name__ == "__main__":
    main()
