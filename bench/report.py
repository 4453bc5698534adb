"""What every benchmark prints: the machine, figures, and whether each promise was kept."""

import argparse
import platform
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil


class Report:
    """Collects targets; `status` is the exit status."""

    def __init__(self) -> None:
        self.status = 0

    def figure(self, text: str) -> None:
        print(text, flush=True)

    def at_least(self, name: str, value: float, bound: float) -> None:
        self._target(name, value, bound, kept=value >= bound)

    def at_most(self, name: str, value: float, bound: float) -> None:
        self._target(name, value, bound, kept=value <= bound)

    def _target(self, name: str, value: float, bound: float, *, kept: bool) -> None:
        print(f"TARGET {name} {_plain(value)} {_plain(bound)} {'ok' if kept else 'short'}", flush=True)
        if not kept:
            self.status = 1


def arguments(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=description, epilog="Exit status 1 when a target falls short.", formatter_class=_Help
    )
    parser.add_argument("--quick", action="store_true", help="a small form of about a minute")
    return parser


class _Help(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    pass


def machine() -> str:
    """The processor, its cores and the memory, in a line."""
    cpuinfo = Path("/proc/cpuinfo")
    names = [
        line.partition(":")[2].strip()
        for line in (cpuinfo.read_text().splitlines() if cpuinfo.exists() else [])
        if line.startswith("model name")
    ]
    memory = psutil.virtual_memory().total / 1024**3
    return (
        f"{names[0] if names else platform.processor()}, {psutil.cpu_count()} cores, {memory:.0f} GiB, "
        f"Python {platform.python_version()}, {platform.system()}"
    )


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def spread(values: Sequence[float]) -> str:
    """Median with the range, of a few repetitions."""
    return f"{statistics.median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def start(title: str) -> Report:
    print(f"{title}\n{machine()}\n{_load('at the start')}", flush=True)
    return Report()


def end(report: Report) -> None:
    print(_load("at the end"), flush=True)
    sys.exit(report.status)


def _load(when: str) -> str:
    """Who else computed meanwhile: without it no reader can tell a slow program from a busy machine."""
    return "load average {}: {:.1f} over 1 minute, {:.1f} over 5".format(when, *psutil.getloadavg())


def _plain(value: float) -> str:
    return f"{value:.0f}" if value == int(value) or abs(value) >= 100 else f"{value:.3f}"
