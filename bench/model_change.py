"""A model change from 384 to other dimensions while people search: failed queries, mixed results, p95 before and during.

Real processes; the queries go to the web server over HTTP, each about another posting or text, so that no cache answers.
"""

import json
import random
import sys
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import other_model, report, scratch

DIMENSIONS = 128
FIELDS = "degraded edges { node { id externalId } explanation { vectorScore } }"
SIMILAR = f"query($id: ID!) {{ similarPostings(postingId: $id, first: 10) {{ {FIELDS} }} }}"
SEARCH = f"query($text: String!) {{ searchPostings(text: $text, first: 10) {{ {FIELDS} }} }}"
PROCESSES = ("sidecar", "embedding-server", "embed-worker", "write-worker", "beat", "web")
WORDS = [
    "nurse",
    "welder",
    "teacher",
    "analyst",
    "driver",
    "engineer",
    "clerk",
    "cook",
    "planner",
    "tester",
    "designer",
    "porter",
]


@dataclass
class Answer:
    """One query: when it was asked (monotonic), how long it took (seconds), what was asked and answered."""

    at: float
    seconds: float
    posting: int | None
    scores: dict[str, float | None]
    error: str = ""


@dataclass
class Searcher(threading.Thread):
    """Somebody who asks one query after the other, half of them about a posting, half by words."""

    url: str
    postings: list[int]
    answers: list[Answer] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        chance = random.Random(1)
        while not self.stopped.is_set():
            posting = chance.choice(self.postings) if chance.random() < 0.5 else None
            if posting is None:
                text = f"{' '.join(chance.choices(WORDS, k=3))} {chance.randrange(10**9)}"
                body = {"query": SEARCH, "variables": {"text": text}}
            else:
                body = {"query": SIMILAR, "variables": {"id": str(posting)}}
            self.answers.append(self._ask(posting, body))
            time.sleep(0.05)

    def _ask(self, posting: int | None, body: dict[str, Any]) -> Answer:
        started = time.monotonic()
        request = urllib.request.Request(
            self.url, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                data = json.load(response)
        except OSError as failure:
            return Answer(started, time.monotonic() - started, posting, {}, str(failure))
        seconds = time.monotonic() - started
        if "errors" in data:
            return Answer(started, seconds, posting, {}, json.dumps(data["errors"])[:300])
        [found] = data["data"].values()
        scores = {edge["node"]["externalId"]: edge["explanation"]["vectorScore"] for edge in found["edges"]}
        error = "degraded" if found["degraded"] else "" if scores else "no result"
        return Answer(started, seconds, posting, scores, error)


def main() -> None:
    parser = report.arguments(__doc__ or "")
    parser.add_argument("--rows", type=int, default=3_000)
    parser.add_argument("--before", type=float, default=30.0, help="seconds of queries before the change")
    options = parser.parse_args()
    if options.quick:
        options.rows, options.before = 100, 4.0
    result = report.start("Model change during queries")
    addresses = scratch.free_addresses()
    with scratch.servers(None, **addresses, CACHE_L1_TTL="1", CACHE_L2_TTL="1") as data:
        with scratch.processes(data, *PROCESSES):
            sample = data / "postings.jsonl"
            scratch.manage("generate_sample", "postings", f"--count={options.rows}", f"--out={sample}")
            scratch.manage("import_postings", str(sample))
            folder = other_model.make(data / "other-model", dimensions=DIMENSIONS)
            scratch.manage("embed", "--wait")
            from apps.postings.models import Posting

            url = f"http://127.0.0.1:{addresses['WEB_PORT']}/graphql"
            searcher = Searcher(url, list(Posting.objects.values_list("pk", flat=True)))
            searcher.start()
            time.sleep(options.before)
            marks = change(folder)
            time.sleep(options.before / 2)
            searcher.stopped.set()
            searcher.join(60)
        judge(result, searcher.answers, marks)
    report.end(result)


def change(folder: str) -> dict[str, float]:
    """Adds, fills, activates, rolls back and activates again; when each began (monotonic)."""
    marks = {"fill": time.monotonic()}
    scratch.manage("models", "add", folder, f"--dimensions={DIMENSIONS}", "--windows=8")
    scratch.manage("embed", "--model", folder, "--wait")
    marks["filled"] = time.monotonic()
    for step in (["activate", folder], ["rollback"], ["activate", folder]):
        scratch.manage("models", *step)
        time.sleep(2)
    return marks


def judge(result: report.Report, answers: list[Answer], marks: dict[str, float]) -> None:
    before = [each.seconds for each in answers if each.at < marks["fill"] and not each.error][5:]
    during = [
        each.seconds for each in answers if marks["fill"] <= each.at < marks["filled"] and not each.error
    ]
    failed = [each.error for each in answers if each.error]
    mixed = sum(is_mixed(each) for each in answers if each.posting is not None)
    compared = sum(each.posting is not None for each in answers)
    result.figure(
        f"{len(answers):,} queries, {len(before)} before and {len(during)} during the fill of "
        f"{marks['filled'] - marks['fill']:.0f} s; {compared} answers compared with both models' vectors; "
        f"p50 {report.percentile(before, 0.5) * 1e3:.0f} ms before, {report.percentile(during, 0.5) * 1e3:.0f} ms during"
    )
    for error in sorted(set(failed))[:5]:
        result.figure(f"failed: {error}")
    result.at_most("failed_queries", len(failed), 0)
    result.at_most("mixed_results", mixed, 0)
    result.at_most(
        "p95_during_by_before", report.percentile(during, 0.95) / report.percentile(before, 0.95), 1.5
    )


def is_mixed(answer: Answer) -> bool:
    """Whether the scores of an answer are not all the cosines of one and the same model."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT other.model_id, p.external_id, 1 - (own.vector <=> other.vector) "
            "FROM embeddings_postingembedding own JOIN embeddings_postingembedding other USING (model_id) "
            "JOIN postings_posting p ON p.id = other.posting_id "
            "WHERE own.posting_id = %s AND p.external_id = ANY (%s)",
            [answer.posting, list(answer.scores)],
        )
        cosines: dict[int, dict[str, float]] = {}
        for model, name, cosine in cursor.fetchall():
            cosines.setdefault(model, {})[name] = max(0.0, min(1.0, cosine))
    return not any(
        all(
            score is not None and abs(score - of_model.get(name, 9)) < 2e-3
            for name, score in answer.scores.items()
        )
        for of_model in cosines.values()
    )


if __name__ == "__main__":
    main()
