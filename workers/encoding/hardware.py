"""What this machine can compute with."""

import math
import os
from dataclasses import dataclass
from pathlib import Path

from workers.encoding.libraries import torch


@dataclass(frozen=True)
class Hardware:
    """Where and how the model runs.

    `slots` texts batches are computed at a time, each with `threads` threads: on a CPU together never more threads
    than cores. Several slots of few threads beat one of many, since a batch then waits for no other thread; beyond
    four the interpreter lock takes it back.
    """

    device: str
    dtype: torch.dtype
    slots: int
    threads: int
    batch_tokens: int


MOST_SLOTS = 4
CPU_INFO = Path("/proc/cpuinfo")  # of Linux


def detect(*, device: str = "auto", dtype: str = "auto", batch_tokens: int = 0, cores: int = 0) -> Hardware:
    """The hardware for settings as in `EMBEDDING_…`; `cores` bounds those of a CPU, 0: all that may be used.

    Raises ValueError for a device or dtype that torch lacks.
    """
    if device == "auto":
        device = (
            "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        )
    on_cpu = _kind(device) == "cpu"
    usable = usable_cores()
    cores = min(usable, cores or usable)
    slots = min(cores, MOST_SLOTS) if on_cpu else 1
    return Hardware(
        device=device,
        dtype=_dtype(dtype, device),
        slots=slots,
        threads=max(cores // slots, 1),
        batch_tokens=batch_tokens or (4_096 if on_cpu else 65_536),
    )


def usable_cores() -> int:
    """Cores this process may use: its affinity, and the quota of its container where there is one."""
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
            f"EMBEDDING_DEVICE={device}: one of auto, cpu, cuda, cuda:1, mps is needed"
        ) from error


def _dtype(name: str, device: str) -> torch.dtype:
    if name != "auto":
        found = getattr(torch, name, None)
        if not isinstance(found, torch.dtype):
            raise ValueError(f"EMBEDDING_DTYPE={name}: one of auto, float32, bfloat16, float16 is needed")
        return found
    if torch.device(device).type == "cuda":
        return torch.float16
    if torch.device(device).type == "cpu" and _cpu_has_bfloat16():
        return torch.bfloat16
    return torch.float32


def _cpu_has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 in hardware; without it bfloat16 is slower than float32."""
    if not CPU_INFO.exists():
        return False
    flags = set(CPU_INFO.read_text().split())
    return bool(flags & {"avx512_bf16", "amx_bf16", "bf16"})
