"""Compare the whole pipeline with a bare SentenceTransformer.encode over the same texts, in rows/s.

Pipeline: from the request of a run until its last chunk is written, with a real embed worker, write worker
and sidecar. Baseline: one call over the same distinct texts, in the same number format, with as many threads
and as many tokens per batch as all slots of the worker together. Both compute one window per text
(EMBEDDING_WINDOWS=1), because `encode` reads no further. The model is loaded and warm on both sides. The two
alternate: the ratio of a round is taken to the mean of the baselines before and after it.
"""

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import report, scratch

if TYPE_CHECKING:
    from apps.embeddings.models import EmbeddingModel, EmbeddingRun
    from jobrec_site.local.supervision import Supervisor

WARM_UP = 24  # texts


@dataclass(frozen=True)
class Pass:
    """One pass over all texts. `processor` is the CPU time, in seconds, of the process with the model."""

    rows: int
    seconds: float
    processor: float

    @property
    def rate(self) -> float:
        """Return rows per second."""
        return self.rows / self.seconds


def main() -> None:
    """Run the benchmark."""
    parser = report.arguments(__doc__)
    parser.add_argument("--rows", type=int, help="distinct texts, instead of 1,000 (quick: 120)")
    parser.add_argument("--rounds", type=int, help="instead of 3 (quick: 1)")
    options = parser.parse_args()
    result = report.start("Pipeline")
    with scratch.servers(None, EMBEDDING_WINDOWS="1", **scratch.free_addresses()) as data:
        load(data, rows=options.rows or (120 if options.quick else 1_000))
        with scratch.processes(data, "sidecar", "embed-worker", "write-worker") as supervisor:
            compare(result, supervisor, rounds=options.rounds or (1 if options.quick else 3))
    report.end(result)


def load(data: Path, *, rows: int) -> None:
    """Import postings with distinct texts from the whole corpus, and candidates that warm the worker up."""
    from apps.candidates.models import Candidate
    from apps.postings.models import Posting

    file, arguments = scratch.rows_file(data, "postings", rows=2 * rows)
    scratch.manage("import_postings", str(file), *arguments)
    distinct = Posting.objects.order_by("content_hash", "pk").distinct("content_hash")
    chosen = list(distinct.values_list("pk", flat=True)[:rows])
    if len(chosen) < rows:
        raise SystemExit(f"--rows {rows} is too many: the corpus has {len(chosen)} distinct texts")
    Posting.objects.exclude(pk__in=chosen).delete()
    descriptions = Posting.objects.exclude(description="").values_list("description", flat=True)
    Candidate.objects.bulk_create(Candidate(resume=text) for text in descriptions[:WARM_UP])


def compare(result: report.Report, supervisor: "Supervisor", *, rounds: int) -> None:
    """Alternate baseline and pipeline, and report their ratios."""
    import torch

    from apps.embeddings.registry import default_model
    from workers.encoding.loaded import hardware

    model, machine = default_model(), hardware()
    scratch.embed("candidate", model, supervisor)
    encode, batch = bare_encode(model, dtype=machine.dtype)
    plain = None if machine.dtype == torch.float32 else bare_encode(model, dtype=torch.float32, batch=32)[0]
    bare, plain_bare, piped = [encode()], [], []
    for number in range(rounds):
        run, done = run_pipeline(model, supervisor)
        piped.append(done)
        bare.append(encode())
        if plain:
            plain_bare.append(plain())
        result.figure(f"round {number + 1}: {describe(run, done, bare[-2], bare[-1])}")
    result.figure(
        f"{piped[0].rows:,} texts, {str(machine.dtype).removeprefix('torch.')} on {machine.device}. "
        f"Pipeline: "
        f"{machine.slots} slots with {machine.threads} threads, {machine.batch_tokens:,} tokens a batch. "
        f"Baseline: batches of {batch} texts with {machine.slots * machine.threads} threads"
    )
    ratios = [
        done.rate / statistics.mean((before.rate, after.rate))
        for done, before, after in zip(piped, bare, bare[1:], strict=False)
    ]
    result.figure(f"pipeline ÷ bare encode: {report.spread(ratios)}")
    result.at_least("pipeline_to_bare_encode", statistics.median(ratios), 0.95)
    if plain_bare:
        ratios = [done.rate / other.rate for done, other in zip(piped, plain_bare, strict=True)]
        result.figure(f"pipeline ÷ plain fp32 encode with its defaults: {report.spread(ratios)}")
    else:
        result.figure("this processor has no bfloat16: the baseline above is plain fp32 encode")
    if machine.dtype == torch.bfloat16:
        result.at_least("pipeline_to_plain_fp32_encode", statistics.median(ratios), 1.7)


def bare_encode(model: "EmbeddingModel", *, dtype: object, batch: int = 0) -> tuple[Callable[[], Pass], int]:
    """Return (a function that encodes all texts once, its batch size), with the model loaded and warm."""
    import torch
    from sentence_transformers import SentenceTransformer

    from apps.embeddings.reading import row_text
    from apps.postings.models import Posting
    from workers.encoding.encoder import location_of
    from workers.encoding.loaded import hardware

    machine = hardware()
    torch.set_num_threads(machine.slots * machine.threads)
    transformer = SentenceTransformer(
        location_of(model.name), device=machine.device, model_kwargs={"dtype": dtype}
    )
    size = batch or machine.slots * machine.batch_tokens // int(transformer.max_seq_length or 512)
    ids = Posting.objects.order_by("pk").values_list("pk", flat=True)
    texts = [row_text("posting", row_id, model) for row_id in ids]
    transformer.encode(texts[:WARM_UP], batch_size=size)

    def encode() -> Pass:
        started, before = time.perf_counter(), processor_time(psutil.Process())
        transformer.encode(texts, batch_size=size)
        return Pass(len(texts), time.perf_counter() - started, processor_time(psutil.Process()) - before)

    return encode, size


def run_pipeline(model: "EmbeddingModel", supervisor: "Supervisor") -> tuple["EmbeddingRun", Pass]:
    """Embed all postings, with an empty table and no index."""
    from django.db import connection
    from django.db.models import Max

    from apps.embeddings.index import drop_index
    from apps.embeddings.models import PostingEmbedding

    drop_index(model, "posting")
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {PostingEmbedding._meta.db_table}")
    worker = psutil.Process(supervisor.pid("embed-worker"))
    before = processor_time(worker)
    run = scratch.embed("posting", model, supervisor)
    written_at = run.chunks.aggregate(last=Max("written_at"))["last"]
    return run, Pass(run.rows, (written_at - run.created_at).total_seconds(), processor_time(worker) - before)


def processor_time(process: psutil.Process) -> float:
    """Return the processor time of a process so far, in seconds."""
    times = process.cpu_times()
    return float(times.user + times.system)


def describe(run: "EmbeddingRun", done: Pass, before: Pass, after: Pass) -> str:
    """Describe where the time of a run went."""
    from django.db.models import Max, Min

    assert run.started_at is not None  # a finished run
    times = run.chunks.aggregate(first=Min("embedded_at"), last=Max("embedded_at"), written=Max("written_at"))
    per_row = statistics.mean((before.processor, after.processor)) / done.rows
    return (
        f"encode {before.rate:.1f} and {after.rate:.1f} rows/s, pipeline {done.rate:.1f}; "
        f"{run.chunks.count()} chunks, "
        f"planned after {(run.started_at - run.created_at).total_seconds():.2f} s, "
        f"first embedded after {(times['first'] - run.created_at).total_seconds():.2f} s, "
        f"last written {(times['written'] - times['last']).total_seconds():.2f} s after it was embedded; "
        f"CPU time per row {1000 * done.processor / done.rows:.1f} ms in the worker, "
        f"{1000 * per_row:.1f} ms in encode"
    )


if __name__ == "__main__":
    main()
