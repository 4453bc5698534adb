"""Detection of the device, its number format and its degree of parallelism."""

import math
import os
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True)
class Hardware:
    """Where and how the model runs.

    `slots` batches are computed at the same time, each with `threads` threads; on a CPU, slots × threads is
    at most the number of cores. Several slots with one thread each are faster than one slot with several
    threads, whose threads wait for each other; beyond MAX_SLOTS, slots wait for Python's interpreter lock
    instead. `batch_tokens` is the maximum of tokens in a batch, padding included.
    """

    device: str
    dtype: torch.dtype
    slots: int
    threads: int
    batch_tokens: int


MAX_SLOTS = 4
CPU_INFO = Path("/proc/cpuinfo")  # Linux only


def detect(*, device: str = "auto", dtype: str = "auto", batch_tokens: int = 0, cores: int = 0) -> Hardware:
    """Return the hardware for settings as in `EMBEDDING_…`.

    `cores` is the maximum number of CPU cores, or 0 for all usable ones. `batch_tokens` 0 means the default
    of the device. Raises ValueError for a device or dtype that torch lacks.
    """
    if device == "auto":
        device = (
            "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        )
    on_cpu = _kind(device) == "cpu"
    usable = usable_cores()
    cores = min(usable, cores or usable)
    slots = min(cores, MAX_SLOTS) if on_cpu else 1
    return Hardware(
        device=device,
        dtype=_dtype(dtype, device),
        slots=slots,
        threads=max(cores // slots, 1),
        batch_tokens=batch_tokens or (4_096 if on_cpu else 65_536),
    )


def usable_cores() -> int:
    """Return the number of cores this process may use: its affinity, limited by its container's CPU quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota_file = Path("/sys/fs/cgroup/cpu.max")
    if quota_file.exists():
        quota, _, period = quota_file.read_text().partition(" ")
        if quota.strip() != "max":
            cores = min(cores, max(math.ceil(int(quota) / int(period)), 1))
    return cores


def _kind(device: str) -> str:
    try:
        return torch.device(device).type
    except RuntimeError as error:
        raise ValueError(
            f"Unknown device in EMBEDDING_DEVICE={device}. Set auto, cpu, cuda, cuda:1 or mps."
        ) from error


def _dtype(name: str, device: str) -> torch.dtype:
    if name != "auto":
        found = getattr(torch, name, None)
        if not isinstance(found, torch.dtype):
            raise ValueError(
                f"Unknown number format in EMBEDDING_DTYPE={name}. Set auto, float32, bfloat16 or float16."
            )
        return found
    if torch.device(device).type == "cuda":
        return torch.float16
    if torch.device(device).type == "cpu" and _cpu_has_bfloat16():
        return torch.bfloat16
    return torch.float32


def _cpu_has_bfloat16() -> bool:
    """Return whether the processor multiplies bfloat16 itself; if not, float32 is faster."""
    if not CPU_INFO.exists():
        return False
    flags = set(CPU_INFO.read_text().split())
    return bool(flags & {"avx512_bf16", "amx_bf16", "bf16"})
