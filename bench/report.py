"""What every benchmark prints: the machine, its figures, and one TARGET line for each promise."""

import argparse
import platform
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil


class Report:
    """Prints figures and targets. `status` is the exit status: 1 once a target falls short."""

    def __init__(self) -> None:
        self.status = 0

    def figure(self, text: str) -> None:
        """Print a figure that no promise depends on."""
        print(text, flush=True)

    def at_least(self, name: str, value: float, minimum: float) -> None:
        """Print a target that is met by `value` >= `minimum`."""
        self._target(name, value, minimum, met=value >= minimum)

    def at_most(self, name: str, value: float, maximum: float) -> None:
        """Print a target that is met by `value` <= `maximum`."""
        self._target(name, value, maximum, met=value <= maximum)

    def _target(self, name: str, value: float, bound: float, *, met: bool) -> None:
        print(f"TARGET {name} {_plain(value)} {_plain(bound)} {'ok' if met else 'short'}", flush=True)
        if not met:
            self.status = 1


def arguments(description: str | None) -> argparse.ArgumentParser:
    """The argument parser of a benchmark, with --quick."""
    parser = argparse.ArgumentParser(
        description=description, epilog="Exit status 1 when a target falls short.", formatter_class=_Help
    )
    parser.add_argument("--quick", action="store_true", help="a small form that takes about a minute")
    return parser


class _Help(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    pass


def machine() -> str:
    """One line with the processor, its cores, the memory and the Python version."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    memory = psutil.virtual_memory().total / 1024**3
    return (
        f"{names[0] if names else platform.processor()}, {psutil.cpu_count()} cores, {memory:.0f} GiB, "
        f"Python {platform.python_version()}, {platform.system()}"
    )


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of `values` lie, by nearest rank."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def percentiles(seconds: Sequence[float]) -> str:
    """Median and 95th percentile of `seconds`, in milliseconds."""
    p50, p95 = (1000 * percentile(seconds, share) for share in (0.5, 0.95))
    return f"p50 {p50:.1f} ms, p95 {p95:.1f} ms"


def spread(values: Sequence[float]) -> str:
    """Median and range of a few repetitions."""
    return f"{statistics.median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def start(title: str) -> Report:
    """Print the title, the machine and its load."""
    print(f"{title}\n{machine()}\n{_load('at the start')}", flush=True)
    return Report()


def end(report: Report) -> None:
    """Print the load again and exit with the report's status."""
    print(_load("at the end"), flush=True)
    sys.exit(report.status)


def _load(when: str) -> str:
    """The load average: without it no reader can tell a slow program from a busy machine."""
    return "load average {}: {:.1f} over 1 minute, {:.1f} over 5".format(when, *psutil.getloadavg())


def _plain(value: float) -> str:
    return f"{value:.0f}" if value == int(value) or abs(value) >= 100 else f"{value:.3f}"
