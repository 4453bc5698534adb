"""A model change from 384 to 128 dimensions while people search: failed queries, mixed results, p95 before
and during.

Real processes; the queries go to the web server over HTTP, each with another posting or text, so that no
cache answers.
"""

import json
import random
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import report, scratch, web_client

DIMENSIONS = 128
FIELDS = "degraded edges { node { id externalId } explanation { vectorScore } }"
SIMILAR = f"query($id: ID!) {{ similarPostings(postingId: $id, first: 10) {{ {FIELDS} }} }}"
SEARCH = f"query($text: String!) {{ searchPostings(text: $text, first: 10) {{ {FIELDS} }} }}"
PROCESSES = ("sidecar", "embedding-server", "embed-worker", "write-worker", "beat", "web")
TERMS = ("nurse", "welder", "teacher", "analyst", "driver", "engineer", "clerk", "cook")
TOLERANCE = 2e-3  # of a cosine, which the API rounds
WARM_UP = 5  # queries


@dataclass
class Answer:
    """One query: when it was sent (monotonic), how long it took (seconds), its posting, and the scores
    answered."""

    at: float
    seconds: float
    posting: int | None
    scores: dict[str, float | None]
    error: str = ""


@dataclass(eq=False)
class Searcher(threading.Thread):
    """Sends one query after the other, half of them for a posting, half by text."""

    port: int
    postings: list[int]
    answers: list[Answer] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def run(self) -> None:
        """Search until `stopped` is set."""
        chance = random.Random(1)
        while not self.stopped.is_set():
            posting = chance.choice(self.postings) if chance.random() < 0.5 else None
            if posting is None:
                text = f"{' '.join(chance.choices(TERMS, k=3))} {chance.randrange(10**9)}"
                content = {"query": SEARCH, "variables": {"text": text}}
            else:
                content = {"query": SIMILAR, "variables": {"id": str(posting)}}
            self.answers.append(self._answer(posting, content))
            time.sleep(0.05)

    def _answer(self, posting: int | None, content: dict[str, Any]) -> Answer:
        started = time.monotonic()
        try:
            body = json.loads(web_client.post(self.port, content))
        except OSError as failure:
            return Answer(started, time.monotonic() - started, posting, {}, str(failure))
        seconds = time.monotonic() - started
        if "errors" in body:
            return Answer(started, seconds, posting, {}, json.dumps(body["errors"])[:300])
        [found] = body["data"].values()
        scores = {edge["node"]["externalId"]: edge["explanation"]["vectorScore"] for edge in found["edges"]}
        error = "degraded" if found["degraded"] else "" if scores else "no result"
        return Answer(started, seconds, posting, scores, error)


def main() -> None:
    """Change the model while a searcher runs, and judge its answers."""
    parser = report.arguments(__doc__)
    parser.add_argument("--rows", type=int, default=3_000, help="postings")
    parser.add_argument("--before", type=float, default=30.0, help="seconds of queries before the change")
    options = parser.parse_args()
    if options.quick:
        options.rows, options.before = 100, 4.0
    result = report.start("Model change during queries")
    with scratch.servers(None, **scratch.free_addresses(), CACHE_L1_TTL="1", CACHE_L2_TTL="1") as data:
        from django.conf import settings

        with scratch.processes(data, *PROCESSES):
            sample = data / "postings.jsonl"
            scratch.manage("generate_sample", "postings", f"--count={options.rows}", f"--out={sample}")
            scratch.manage("import_postings", str(sample))
            folder = save_other_model(data / "other-model")
            scratch.manage("embed", "--wait")
            from apps.postings.models import Posting

            searcher = Searcher(settings.WEB_PORT, list(Posting.objects.values_list("pk", flat=True)))
            searcher.start()
            time.sleep(options.before)
            fill = change(folder)
            time.sleep(options.before / 2)
            searcher.stopped.set()
            searcher.join(60)
        judge(result, searcher.answers, fill)
    report.end(result)


def save_other_model(folder: Path) -> str:
    """Save the bundled model with a random projection to DIMENSIONS behind it; no hub is needed."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Dense

    from workers.encoding.encoder import location_of

    model = SentenceTransformer(location_of("all-MiniLM-L6-v2"), device="cpu")
    model.append(Dense(model.get_embedding_dimension() or 0, DIMENSIONS))
    model.save(str(folder))
    return str(folder)


def change(folder: str) -> tuple[float, float]:
    """Add, fill, activate, roll back and activate again; return when the fill began and ended (monotonic)."""
    began = time.monotonic()
    scratch.manage("models", "add", folder, f"--dimensions={DIMENSIONS}", "--windows=8")
    scratch.manage("embed", "--model", folder, "--wait")
    ended = time.monotonic()
    for step in (["activate", folder], ["rollback"], ["activate", folder]):
        scratch.manage("models", *step)
        time.sleep(2)
    return began, ended


def judge(result: report.Report, answers: list[Answer], fill: tuple[float, float]) -> None:
    """Print the figures and targets. `fill`: when it began and ended."""
    began, ended = fill
    good = [each for each in answers if not each.error]
    before = [each.seconds for each in good if each.at < began][WARM_UP:]
    during = [each.seconds for each in good if began <= each.at < ended]
    failed = [each.error for each in answers if each.error]
    similar = [each for each in good if each.posting is not None]
    result.figure(
        f"{len(answers):,} queries, {len(before)} before and {len(during)} during the fill "
        f"of {ended - began:.0f} s; {len(similar)} answers compared with both models' vectors"
    )
    result.figure(f"before: {report.percentiles(before)}; during: {report.percentiles(during)}")
    for error in sorted(set(failed))[:5]:
        result.figure(f"failed: {error}")
    result.at_most("failed_queries", len(failed), 0)
    result.at_most("mixed_results", sum(is_mixed(each) for each in similar), 0)
    result.at_most(
        "p95_during_by_before", report.percentile(during, 0.95) / report.percentile(before, 0.95), 1.5
    )


def is_mixed(answer: Answer) -> bool:
    """True where the scores of an answer are not all cosines of one and the same model."""
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

    def is_of(model: dict[str, float]) -> bool:
        return all(
            score is not None and name in model and abs(score - model[name]) < TOLERANCE
            for name, score in answer.scores.items()
        )

    return not any(map(is_of, cosines.values()))


if __name__ == "__main__":
    main()
