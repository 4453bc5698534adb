"""Numbers, bars and durations as the admin pages show them."""

from datetime import timedelta

from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from apps.embeddings.models import EmbeddingRun
from apps.embeddings.registry import Coverage

NBSP = "\N{NO-BREAK SPACE}"
STATE_LABELS = {
    EmbeddingRun.State.PLANNED: "default",
    EmbeddingRun.State.RUNNING: "info",
    EmbeddingRun.State.PAUSED: "warning",
    EmbeddingRun.State.FINISHED: "success",
    EmbeddingRun.State.CANCELLED: "danger",
}


def bar(percent: float, text: str) -> SafeString:
    """A bar filled to `percent`, with a text."""
    return render_to_string("embeddings/bar.html", {"percent": f"{percent:.1f}", "text": text})


def coverage_bar(coverage: Coverage) -> SafeString:
    """The share of rows with a current vector."""
    parts = [f"{coverage.current:,} of {coverage.rows:,} current"]
    if coverage.pending:
        parts.append(f"{coverage.pending:,} pending")
    if coverage.dead:
        parts.append(f"{coverage.dead:,} dead")
    return bar(coverage.percent, ", ".join(parts))


def run_bar(run: EmbeddingRun) -> SafeString:
    """The share of its text that a run has embedded."""
    if run.state == EmbeddingRun.State.PLANNED:
        return bar(0, "not planned yet")
    progress = run.progress()
    return bar(progress.percent, f"{progress.embedded:,} of {progress.total:,} rows")


def nonzero_counts(counts: dict[str, int]) -> str:
    """The counts other than zero, with their names."""
    return ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)


def duration_text(duration: timedelta) -> str:
    """A duration such as 1 h 02 min, 3 min 05 s or 4.2 s, without line breaks."""
    seconds = duration.total_seconds()
    if seconds < 60:
        return f"{seconds:.1f}{NBSP}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"
    return text.replace(" ", NBSP)


def rate_text(rows: int, duration: timedelta) -> str:
    """Rows per second; empty for no duration."""
    seconds = duration.total_seconds()
    return f"{rows / seconds:,.0f}{NBSP}rows/s" if seconds > 0 else ""
