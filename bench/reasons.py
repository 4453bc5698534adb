"""Milliseconds that the sentences of a page of ten matches cost, with the default model in this process.

Processor time is that of all threads: where other work shares the cores, it tells what the page itself costs.

Each page compares an announcement's statement of experience with ten announcements. It prints the time of a
page that no cache answers, split into the encoder and the rest, and how the vectors of three sentences of
each announcement agree with those of all sentences.
"""

import argparse
import gzip
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from apps.recommendations import sentences as reasons
from bench import report
from workers.encoding.encoder import Encoder, ModelVersion
from workers.encoding.hardware import detect

PAGE = 10
FIELDS = ("tasks", "requirements", "qualification")


def main() -> None:
    """Measure the pages."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("statements", type=Path, help="JSON Lines with text and posting_id, compressed")
    parser.add_argument("postings", type=Path, help="JSON Lines with id, tasks and requirements, compressed")
    parser.add_argument("--pages", type=int, default=20)
    options = parser.parse_args()
    result = report.start("Reasons")
    encoder = Encoder(ModelVersion("all-MiniLM-L6-v2", "main", windows=8, dimensions=384), detect())
    pages = read_pages(options.statements, options.postings, options.pages)
    measure(pages[:2], encoder)  # warm up
    seconds, processor, encoding, texts, pairs = measure(pages, encoder)
    result.figure(
        f"{len(pages)} pages of {PAGE}, {statistics.median(texts):.0f} sentences each: "
        f"{report.percentiles(seconds)}; processor {report.percentiles(processor)}; without the encoder "
        f"p50 {1000 * statistics.median(np.subtract(seconds, encoding)):.1f} ms"
    )
    with patch.multiple(reasons, ROW_SENTENCES=reasons.MAX_SENTENCES, SEEKER_SENTENCES=reasons.MAX_SENTENCES):
        seconds, processor_of_all, _, texts, every = measure(pages, encoder)
    same = [pairs[key].row == pair.row for key, pair in every.items()]
    loss = [pair.similarity - pairs[key].similarity for key, pair in every.items()]
    result.figure(
        f"all {statistics.median(texts):.0f} sentences: {report.percentiles(seconds)}; processor "
        f"{report.percentiles(processor_of_all)}; the same sentence of "
        f"the announcement in {statistics.mean(same):.0%}, mean cosine higher by {statistics.mean(loss):.3f}"
    )


def read_pages(statements: Path, postings: Path, count: int) -> list[tuple[str, list[str]]]:
    """Statements, each with its announcement and the next ones."""
    texts = {row["id"]: _text(row) for row in _rows(postings)}
    own = [(row["text"], row["posting_id"]) for row in _rows(statements) if texts.get(row["posting_id"])]
    chosen = own[:: max(1, len(own) // (count * PAGE))][: count * PAGE]
    described = [texts[key] for _, key in chosen]
    return [(chosen[at][0], described[at : at + PAGE]) for at in range(0, len(chosen), PAGE)]


def measure(pages: list[tuple[str, list[str]]], encoder: Encoder) -> Any:
    """(seconds of each page, of the processor, in the encoder; texts of each page; pairs by page and row)."""
    seconds, processor, encoding, counts, found = [], [], [], [], {}

    def embed(texts: list[str]) -> Any:
        started = time.perf_counter()
        vectors = encoder.encode(texts, role="query")
        encoding.append(time.perf_counter() - started)
        counts.append(len(texts))
        return vectors

    for number, (statement, postings) in enumerate(pages):
        started, used = time.perf_counter(), time.process_time()
        rows = {key: reasons.sentences_of(text) for key, text in enumerate(postings)}
        pairs = reasons.nearest_sentences(rows, reasons.sentences_of(statement), embed)
        seconds.append(time.perf_counter() - started)
        processor.append(time.process_time() - used)
        found |= {(number, key): pair for key, pair in pairs.items()}
    return seconds, processor, encoding, counts, found


def _rows(path: Path) -> Any:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


def _text(row: dict[str, Any]) -> str:
    parts = [row.get(name) or [] for name in FIELDS]
    return "\n".join(
        "\n".join(f"- {item}" for item in each) if isinstance(each, list) else each for each in parts
    )


if __name__ == "__main__":
    main()
