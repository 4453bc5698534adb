"""Compare jobrec's encoder with the backends of sentence-transformers, on a CPU in float32.

The backends are torch, ONNX Runtime and OpenVINO, each through the library's `encode`; one that is not
installed is skipped. `adapted` is jobrec's encoder with the shipped adapter, which must be as fast. Texts are
searches, in one call and in small calls as of an embedding server, and descriptions of postings. The encoders
take turns in random order; figures are medians of the rounds. On a busy machine, CPU time is steadier than
throughput.
"""

import os
import random
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from bench import report

if TYPE_CHECKING:
    from apps.embeddings.adapters import Adapter

Encode = Callable[[list[str]], np.ndarray]
Calls = list[list[str]]
CALL_TEXTS = 16
MODEL = "all-MiniLM-L6-v2"
MIN_COSINE = 0.999
MIN_ADAPTED_SPEED = 0.98


def main() -> None:
    """Run the benchmark."""
    parser = report.arguments(__doc__)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    result = report.start("Encoders")
    encoders: dict[str, Encode] = {}
    for make in (torch, onnx, openvino, jobrec, adapted):
        try:
            encoders[make.__name__] = make(options.threads)
        except ImportError as error:
            result.figure(f"{make.__name__}: skipped, {error}")
    cosine, ratios = 1.0, []
    for kind, calls in texts(searches=64 if options.quick else 192).items():
        vectors = [
            np.concatenate([encode(call) for call in calls])
            for name, encode in encoders.items()
            if name != adapted.__name__  # another model
        ]
        vectors = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in vectors]
        cosine = min(cosine, *(float((each * vectors[0]).sum(axis=1).min()) for each in vectors))
        spent = measure(encoders, calls, rounds=3 if options.quick else 9)
        ratios.append(spent[jobrec.__name__][1] / spent[adapted.__name__][1])
        count, (best_wall, best_cpu) = sum(map(len, calls)), np.min(list(spent.values()), axis=0)
        result.figure(f"{kind}, {count} texts, {options.threads} threads:")
        for name, (wall, cpu) in spent.items():
            result.figure(
                f"  {name:8} {count / wall:7.1f} texts/s, {wall / best_wall:.2f} times the shortest time; "
                f"CPU {1000 * cpu / count:6.2f} ms a text, {cpu / best_cpu:.2f} times the least"
            )
    result.at_least("encoders_lowest_cosine", cosine, MIN_COSINE)
    # Texts per CPU second; the median over the kinds of text
    result.at_least("encoders_speed_with_adapter_to_without", float(np.median(ratios)), MIN_ADAPTED_SPEED)
    report.end(result)


def texts(*, searches: int) -> dict[str, Calls]:
    """Return the calls of each kind of text, with an eighth as many descriptions as searches."""
    from apps.sample.corpus import postings

    rows = list(postings(searches, seed=7))
    random.Random(7).shuffle(rows)
    short = [f"{row['title']} {' '.join(row.get('skills', [])[:8])}" for row in rows]
    return {
        "searches in one call": [short],
        f"searches in calls of {CALL_TEXTS}": [
            short[start : start + CALL_TEXTS] for start in range(0, len(short), CALL_TEXTS)
        ],
        "descriptions in one call": [[row["description"] for row in rows[: searches // 8]]],
    }


def torch(threads: int, **options: Any) -> Encode:
    """Return the library's `encode`; further options choose another backend."""
    from sentence_transformers import SentenceTransformer
    from torch import set_num_threads

    from workers.encoding.encoder import location_of

    options = options or {"model_kwargs": {"attn_implementation": "sdpa"}}
    model = SentenceTransformer(location_of(MODEL), device="cpu", **options)

    def encode(call: list[str]) -> np.ndarray:
        set_num_threads(threads)
        return np.asarray(model.encode(call, show_progress_bar=False))

    return encode


def onnx(threads: int) -> Encode:
    """Return the library's `encode` with ONNX Runtime; the model is exported in memory."""
    session = import_module("onnxruntime").SessionOptions()
    session.intra_op_num_threads = threads
    settings = {"provider": "CPUExecutionProvider", "session_options": session, "export": True}
    return torch(threads, backend="onnx", model_kwargs=settings)


def openvino(threads: int) -> Encode:
    """Return the library's `encode` with OpenVINO; the model is exported in memory."""
    import_module("openvino")
    config = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    return torch(threads, backend="openvino", model_kwargs={"export": True, "ov_config": config})


def adapted(threads: int) -> Encode:
    """Return jobrec's encoder with the adapter that is shipped for the model."""
    from apps.embeddings.adapters import DEFAULT, find_adapter

    return jobrec(threads, find_adapter(DEFAULT, MODEL))


def jobrec(threads: int, adapter: "Adapter | None" = None) -> Encode:
    """Return jobrec's encoder with a slot of one thread for each thread, as its processes run on a CPU."""
    from torch import float32, set_num_threads

    from workers.encoding.encoder import Encoder, ModelVersion
    from workers.encoding.hardware import Hardware

    hardware = Hardware("cpu", float32, slots=threads, threads=1, batch_tokens=4_096)
    encoder = Encoder(ModelVersion(MODEL, "main", windows=1, dimensions=384, adapter=adapter), hardware)
    pool = ThreadPoolExecutor(threads, initializer=set_num_threads, initargs=(1,))

    def encode(call: list[str]) -> np.ndarray:
        set_num_threads(1)
        vectors = np.empty((len(call), 384), np.float32)
        for slot, part in enumerate(
            pool.map(encoder.encode, [call[slot::threads] for slot in range(threads)])
        ):
            vectors[slot::threads] = part
        return vectors

    return encode


def measure(encoders: dict[str, Encode], calls: Calls, *, rounds: int) -> dict[str, tuple[float, float]]:
    """Return the median (wall time, CPU time) of all calls, in seconds, by encoder."""
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in encoders}
    for _ in range(rounds):
        for name, encode in random.sample(list(encoders.items()), len(encoders)):
            wall, cpu = time.perf_counter(), time.process_time()
            for call in calls:
                encode(call)
            spent[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return {name: tuple(np.median(times, axis=0)) for name, times in spent.items()}


if __name__ == "__main__":
    main()
