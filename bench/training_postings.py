"""Choose the postings to train an encoder on, so that no answer of an evaluation set is among them.

    python -m bench.training_postings OUT.jsonl.gz

Input: ../shared/data (see its README). A posting is taken if its agency has a published statement of
experience, and if neither the posting nor its text nor its statement stands in the set usajobs_experience.
Other postings of the same agencies, and so of similar jobs, are taken. Nothing of the set hahu is read.
Prints how many are left out, and why.
"""

import argparse
import gzip
import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
FIRST_CHARACTERS = 80  # two statements that share them are one statement
MIN_REQUIREMENT = 40  # characters; shorter lines are answers such as "Yes"
# Answers to a questionnaire that say what somebody is not
NOT_A_REQUIREMENT = re.compile(
    r"none of the above|not reflected|no longer wish|"
    r"\bI (?:do|have|am|possess) no\b|\b(?:do|does|did|have|am) not\b",
    re.IGNORECASE,
)


def main() -> None:
    """Write the file and print the counts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("output", type=Path)
    output = parser.parse_args().output
    postings = list(_rows("postings/usajobs.jsonl.gz"))
    statements = list(_rows("candidates/experience_statements.jsonl.gz"))
    evaluated = {statement["posting_id"] for statement in statements}
    agencies = {posting["agency"] for posting in postings if posting["id"] in evaluated}
    texts = {_content(posting) for posting in postings if posting["id"] in evaluated}
    queries = ({_folded(statement["text"]) for statement in statements} | set(_queries())) - {""}
    beginnings = {query[:FIRST_CHARACTERS] for query in queries if len(query) >= FIRST_CHARACTERS}
    counts: Counter[str] = Counter()
    # Without the time, so that equal postings give an equal file
    with gzip.GzipFile(output, "wb", mtime=0) as packed, io.TextIOWrapper(packed, encoding="utf-8") as file:
        for posting in postings:
            row = _row(posting)
            reason = (
                "agency without a statement"
                if posting["agency"] not in agencies
                else "posting of the set"
                if posting["id"] in evaluated
                else "same text as one of the set"
                if _content(posting) in texts
                else "statement of the set"
                if any(
                    _is_known(text, queries, beginnings) for text in [row["statement"], *row["requirements"]]
                )
                else "neither tasks nor a statement"
                if not (row["tasks"] or row["statement"])
                else "taken"
            )
            counts[reason] += 1
            if reason == "taken":
                counts["taken, with a statement"] += bool(row["statement"])
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
    for reason, number in counts.most_common():
        print(f"{number:7,} {reason}")


def _rows(path: str) -> Iterator[dict[str, Any]]:
    with gzip.open(DATA / path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _queries() -> Iterator[str]:
    """Return the statements as the set has them, without the formula that they begin with."""
    with gzip.open(DATA / "eval/usajobs_experience/queries.tsv.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            yield _folded(line.partition("\t")[2])


def _row(posting: dict[str, Any]) -> dict[str, Any]:
    requirements = [
        line
        for line in posting.get("requirements", [])
        if len(line) >= MIN_REQUIREMENT and not NOT_A_REQUIREMENT.search(line)
    ]
    return {
        "title": posting["title"],
        "tasks": posting.get("tasks", []),
        "requirements": requirements,
        "statement": posting.get("qualification") or "",
    }


def _is_known(text: str, queries: set[str], beginnings: set[str]) -> bool:
    """Return whether a text is a statement of the set, or holds the beginning of one."""
    folded = _folded(text)
    return folded in queries or any(
        folded[start : start + FIRST_CHARACTERS] in beginnings
        for start in range(len(folded) - FIRST_CHARACTERS + 1)
    )


def _content(posting: dict[str, Any]) -> tuple[str, ...]:
    return (_folded(posting["title"]), *sorted(map(_folded, posting.get("tasks", []))))


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()


if __name__ == "__main__":
    main()
