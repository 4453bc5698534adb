"""The command that starts, watches and controls runs."""

import sys
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import QuerySet
from tqdm import tqdm

from apps.embeddings import hints, planning, registry, runs
from apps.embeddings.errors import ModelStateError
from apps.embeddings.models import EmbeddingChunk, EmbeddingModel, EmbeddingRun, Invalidation, Kind
from apps.embeddings.models.ledger import RunProgress

POLL = 0.5  # seconds
SILENCE = 60  # seconds without progress until a warning


class Command(BaseCommand):
    help = (
        "Embed pending rows: start a run for each kind and model that has no open run, and watch the runs "
        "with --wait. A run that somebody paused stays paused without --resume."
    )
    requires_system_checks = ()  # they load all that serves HTTP

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--kind", choices=Kind.values, action="append", help="default: both")
        parser.add_argument(
            "--model", metavar="NAME[@REVISION]", help="default: every model that is not retired"
        )
        instead = parser.add_mutually_exclusive_group()
        instead.add_argument(
            "--resume",
            action="store_true",
            help="resume paused runs and start no new ones",
        )
        instead.add_argument("--pause", action="store_true", help="pause open runs until they are resumed")
        instead.add_argument(
            "--cancel",
            action="store_true",
            help="cancel open runs; written vectors stay, other rows are pending again",
        )
        parser.add_argument(
            "--wait", action="store_true", help="wait until done; exit status 1 if rows failed"
        )
        parser.add_argument(
            "--timeout", type=float, default=0, help="seconds to wait at most (default: no limit)"
        )

    def handle(self, *args: Any, kind: list[str] | None, **options: Any) -> None:
        kinds = kind or Kind.values
        models = [self._model(options["model"])] if options["model"] else registry.models_to_fill()
        open_runs = EmbeddingRun.objects.unfinished().filter(kind__in=kinds, model__in=models)
        if options["pause"] or options["cancel"]:
            self._stop(open_runs, cancel=options["cancel"])
            return
        started = self._resume(open_runs, by_hand=options["resume"])
        if not options["resume"]:
            started += self._start(kinds, models, started)
        hints.plan_soon(run.pk for run in started)
        if not started:
            self.stdout.write(
                "No run is open."
                if options["resume"]
                else "Nothing is pending: every row has a current vector or a dead letter."
            )
        if not options["wait"]:
            for run in started:
                if run.is_paused_by_hand:
                    self.stdout.write(_paused(run))
                else:
                    self.stdout.write(f"{run} is under way. Watch it with `embed --wait` or in the admin.")
            return
        until = time.monotonic() + options["timeout"] if options["timeout"] else float("inf")
        failed = sum(self._watch(run, until, started) for run in started)
        if failed:
            raise CommandError(
                f"{failed:,} rows have no current vector. See the dead letters and the chunks of the run."
            )

    def _stop(self, open_runs: QuerySet[EmbeddingRun], *, cancel: bool) -> None:
        for run in open_runs:
            if cancel and runs.cancel_run(run.pk):
                self.stdout.write(f"{run} is cancelled.")
            elif not cancel and runs.pause_run(run.pk, reason="command line"):
                self.stdout.write(f"{run} is paused. Resume it with `embed --resume`.")
        if not open_runs:
            self.stdout.write("No run is open.")

    def _resume(self, open_runs: QuerySet[EmbeddingRun], *, by_hand: bool) -> list[EmbeddingRun]:
        """Resume paused runs, those paused by hand only with `by_hand`; returns all open runs."""
        found = list(open_runs)
        for run in found:
            if (by_hand or not run.is_paused_by_hand) and runs.resume_run(run.pk):
                self.stdout.write(f"{run} is resumed. It was paused: {run.paused_because}")
                run.refresh_from_db()
        return found

    @staticmethod
    def _start(
        kinds: list[str], models: list[EmbeddingModel], open_runs: list[EmbeddingRun]
    ) -> list[EmbeddingRun]:
        covered = {(run.kind, run.model_id) for run in open_runs}
        return [
            runs.request_run(kind, model, reason="command line")[0]
            for kind in kinds
            for model in models
            if (kind, model.pk) not in covered and planning.has_pending(kind, model)
        ]

    def _model(self, name: str) -> EmbeddingModel:
        try:
            model = registry.find_model(name)
        except ModelStateError as error:
            raise CommandError(f"--model: {error}") from error
        if model.state == EmbeddingModel.State.RETIRED:
            raise CommandError(f"--model: {model} is retired. Add it again with `models add`.")
        return model

    def _watch(self, run: EmbeddingRun, until: float, all_runs: list[EmbeddingRun]) -> int:
        """Show the run until it is done; returns the number of rows that it could not embed.

        Warns if neither the run nor another one, which the workers may be busy with, makes progress.
        """
        bar: tqdm[Any] = tqdm(total=0, disable=not sys.stderr.isatty(), bar_format=_BAR, leave=False)
        started, last_change, seen, warned = time.monotonic(), time.monotonic(), -1, False
        before: RunProgress | None = None
        others = _embedded(all_runs)
        while True:
            run.refresh_from_db()
            progress = run.progress()
            before = before or progress
            _draw(bar, run, progress, before, time.monotonic() - started)
            if progress.embedded != seen:
                seen, last_change = progress.embedded, time.monotonic()
            if not run.is_open and runs.is_published(run):
                break
            if run.is_paused_by_hand:
                bar.close()
                raise CommandError(_paused(run))
            if time.monotonic() > until:
                bar.close()
                left = f"{progress.percent:.0f} % is embedded" if run.is_open else _left_to_do(run)
                raise CommandError(
                    f"{run} is not done in time: {left}. It continues without this command.{_trouble(run)}"
                )
            if not warned and time.monotonic() - last_change > SILENCE:
                others, others_before = _embedded(all_runs), others
                last_change, warned = time.monotonic(), others == others_before
                if warned:
                    self.stderr.write(
                        f"{run} made no progress for {SILENCE} s. "
                        f"Check that an embed and a write worker run.{_trouble(run)}"
                    )
            time.sleep(POLL)
        bar.close()
        if run.state == EmbeddingRun.State.CANCELLED:
            raise CommandError(f"{run} was cancelled. Written vectors stay, other rows are pending again.")
        self.stdout.write(_summary(run, progress))
        return progress.dead + progress.failed


def _embedded(all_runs: list[EmbeddingRun]) -> int:
    return sum(run.progress().embedded for run in all_runs)


def _paused(run: EmbeddingRun) -> str:
    return f"{run} was paused ({run.paused_because}). Resume it with `embed --resume`."


def _trouble(run: EmbeddingRun) -> str:
    """The last error of the run in the ledger, in parentheses; empty if there is none."""
    left = run.chunks.exclude(error="").exclude(state__in=EmbeddingChunk.TERMINAL_STATES)
    error = run.paused_because or left.order_by("pk").values_list("error", flat=True).first()
    return f" ({error.strip().splitlines()[-1]})" if error else ""


_BAR = "{desc}: {percentage:3.0f}%|{bar}| {postfix}"


def _left_to_do(run: EmbeddingRun) -> str:
    unacknowledged = Invalidation.objects.filter(run=run, acknowledged_at=None).first()
    if unacknowledged is not None:
        error = unacknowledged.error or "not tried yet"
        return f"all rows are written, but the caches are not invalidated ({error})"
    return "all rows are written, but the first index is not built"


def _draw(
    bar: "tqdm[Any]", run: EmbeddingRun, progress: RunProgress, before: RunProgress, seconds: float
) -> None:
    """Draw the bar. `before`: the progress `seconds` ago, when this command began to watch."""
    bar.total, bar.n = max(progress.total_bytes, 1), progress.embedded_bytes
    bar.set_description_str(str(run), refresh=False)
    done = progress.embedded_bytes - before.embedded_bytes
    left = seconds * (progress.total_bytes - progress.embedded_bytes) / done if done > 0 else None
    if not run.is_open:
        tail = "building the index, invalidating the caches"
    elif run.state == EmbeddingRun.State.PAUSED:
        tail = f"paused, resumes by itself: {run.paused_because[:80]}"
    elif left is None:
        tail = "starting"
    else:
        tail = f"{tqdm.format_interval(left)} left"
    rate = max(progress.embedded - before.embedded, 0) / seconds if seconds else 0
    bar.set_postfix_str(f"{progress.embedded:,}/{progress.total:,} rows, {rate:,.0f} rows/s, {tail}")


def _summary(run: EmbeddingRun, progress: RunProgress) -> str:
    seconds = max(
        ((run.finished_at or run.created_at) - (run.started_at or run.created_at)).total_seconds(), 1e-9
    )
    parts = [f"{progress.written:,} rows written"]
    if progress.reused:
        parts.append(f"{progress.reused:,} of them with the vector of an equal text")
    if progress.skipped:
        parts.append(f"{progress.skipped:,} edited or deleted in the meantime")
    if progress.dead:
        parts.append(f"{progress.dead:,} dead letters")
    if progress.failed:
        parts.append(f"{progress.failed:,} abandoned")
    rate = progress.written / seconds
    state = run.get_state_display().lower()
    return f"{run}: {state}: {', '.join(parts)} in {seconds:,.1f} s ({rate:,.0f} rows/s)"
