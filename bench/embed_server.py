"""Compare the embedding server under 32 clients, one text per call, with a bare batched encode, in texts/s.

Both encode the same search texts with the same model, in alternating rounds. The machine should be idle
otherwise.
"""

import asyncio
import os
import random
import re
import statistics
import sys
import time
import urllib.request
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import psutil

from bench import report, scratch
from jobrec_site.local.preflight import free_ports

CLIENTS = 32
SINGLE_CALLS = 100


def main() -> None:
    """Run the benchmark."""
    options = report.arguments(__doc__).parse_args()
    rounds, count = (3, 600) if options.quick else (9, 2_000)
    result = report.start("Embedding server")
    addresses = scratch.free_addresses()
    metrics = f"127.0.0.1:{free_ports().flower}"
    with scratch.servers(None, **addresses, EMBED_METRICS_BIND=metrics) as data:
        from apps.embeddings.registry import default_model
        from apps.rpc.client import is_serving

        model = default_model()
        texts = search_texts(count)
        encode = bare_encoder(model.name)
        with scratch.processes(data, "embedding-server"):
            while not is_serving(addresses["EMBEDDING_ADDRESS"]):
                time.sleep(0.2)
            calls = Calls(addresses["EMBEDDING_ADDRESS"], model)
            calls.run(texts[:200], clients=CLIENTS)  # warm
            encode(texts[:200])
            bare, served, latencies = [], [], []
            before = batch_sizes(metrics)
            for _ in range(rounds):
                bare.append(
                    len(texts) / min(timed(partial(encode, texts, threads)) for threads in thread_counts())
                )
                seconds, each = calls.run(texts, clients=CLIENTS)
                served.append(len(texts) / seconds)
                latencies += each
            after = batch_sizes(metrics)
            single, bare_single = single_call_latency(calls, encode, texts)
    ratios = [one / other for one, other in zip(served, bare, strict=True)]
    result.figure(
        f"{count:,} search texts, {rounds} rounds: bare encode {report.spread(bare)} texts/s; "
        f"{CLIENTS} clients {report.spread(served)} texts/s, {report.spread(ratios)} of it"
    )
    result.figure(
        f"one call: p50 {1000 * report.percentile(latencies, 0.5):.0f} ms, "
        f"p95 {1000 * report.percentile(latencies, 0.95):.0f} ms; the bare encode needs "
        f"{1000 * CLIENTS / statistics.median(bare):.0f} ms for {CLIENTS} texts"
    )
    result.figure(
        f"a single caller: p50 {1000 * single:.1f} ms; bare encode of one text {1000 * bare_single:.1f} ms"
    )
    result.figure(histogram(before, after))
    result.at_least("embed_server_share_of_bare_encode", statistics.median(ratios), 0.8)
    report.end(result)


def search_texts(count: int) -> list[str]:
    """Return texts as people type them: a title and a few skills, about twelve words."""
    from apps.sample.corpus import postings

    texts = [
        f"{posting['title']} {' '.join(posting.get('skills', [])[:4])}" for posting in postings(count, seed=7)
    ]
    random.Random(7).shuffle(texts)
    return texts


def bare_encoder(name: str):
    """Return the library's encode with the weights, device and number format of the server."""
    import torch
    from sentence_transformers import SentenceTransformer

    from workers.encoding.encoder import location_of
    from workers.encoding.loaded import hardware

    machine = hardware()
    model = SentenceTransformer(
        location_of(name), device=machine.device, model_kwargs={"dtype": machine.dtype}
    )

    def encode(texts: list[str], threads: int = torch.get_num_threads()):
        torch.set_num_threads(threads)
        return model.encode(texts, batch_size=64, show_progress_bar=False)

    return encode


def thread_counts() -> set[int]:
    """Return the thread counts of the bare encode, of which the faster one counts: 1 and all cores.

    On a busy machine, threads that wait for each other can be slower than a single one.
    """
    return {1, psutil.cpu_count() or 1}


def timed(work) -> float:
    """Return the seconds that a call takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


class Calls:
    """Clients of the server. Each sends one text and, after its answer, the next."""

    def __init__(self, address: str, model) -> None:
        self._address, self._model = address, model

    def run(self, texts: list[str], *, clients: int) -> tuple[float, list[float]]:
        """Return (seconds for all texts, seconds of each call)."""
        return asyncio.run(self._run(texts, clients))

    async def _run(self, texts: list[str], clients: int) -> tuple[float, list[float]]:
        import grpc

        from proto import embedding_pb2, embedding_pb2_grpc

        version = embedding_pb2.ModelVersion(name=self._model.name, revision=self._model.revision)
        waiting, latencies = iter(texts), []

        async def client(stub) -> None:
            for text in waiting:
                started = time.perf_counter()
                await stub.Embed(embedding_pb2.EmbedRequest(texts=[text], model=version), timeout=60)
                latencies.append(time.perf_counter() - started)

        async with grpc.aio.insecure_channel(self._address) as channel:
            stub = embedding_pb2_grpc.EmbeddingServiceStub(channel)
            await stub.Embed(embedding_pb2.EmbedRequest(texts=["connect"], model=version), timeout=60)
            started = time.perf_counter()
            await asyncio.gather(*(client(stub) for _ in range(clients)))
            return time.perf_counter() - started, latencies


def single_call_latency(calls: Calls, encode, texts: list[str]) -> tuple[float, float]:
    """Return the median seconds of a call without concurrent calls, and of the bare encode of one text."""
    _, each = calls.run(texts[:SINGLE_CALLS], clients=1)
    bare = [timed(lambda text=text: encode([text])) for text in texts[:SINGLE_CALLS]]
    return statistics.median(each), statistics.median(bare)


def batch_sizes(metrics: str) -> dict[float, float]:
    """Return the cumulative histogram since the start of the server: batches with at most so many texts."""
    with urllib.request.urlopen(f"http://{metrics}/metrics", timeout=10) as response:
        text = response.read().decode()
    found = re.findall(r'jobrec_embed_batch_texts_bucket{le="([^"]+)",role="query"} (\S+)', text)
    return {float(bound): float(value) for bound, value in found}


def histogram(before: dict[float, float], after: dict[float, float]) -> str:
    """Draw the batch sizes between two readings."""
    lines, below, lower = [], 0.0, 0
    total = max(after.values()) - max(before.values(), default=0.0)
    for bound, value in sorted(after.items()):
        upto = value - before.get(bound, 0.0)
        if upto > below:
            label = f"{lower + 1}" if bound == lower + 1 else f"{lower + 1} to {bound:.0f}"
            share = (upto - below) / total
            lines.append(f"  {label:>10} texts: {upto - below:6,.0f} batches {'#' * round(40 * share)}")
        below, lower = upto, int(bound) if bound != float("inf") else lower
    return "batch sizes:\n" + "\n".join(lines)


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    main()
