"""`fit_ranking`: fit the weights of the ranking to a site's own interactions."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from tqdm import tqdm

from apps.embeddings.models import EmbeddingModel
from apps.recommendations.active_ranking import file_ranking
from apps.recommendations.observed import observed_lists


class Command(BaseCommand):
    """Fit the weights and report on held-out candidates; nothing is switched on."""

    help = (
        "Fit the weights of the ranking to what candidates saved, applied for, opened and dismissed, and "
        "report how held-out candidates fare. Writes a file that RANKING_FILE can name; nothing changes by "
        "itself."
    )
    requires_system_checks = ()  # the checks import everything that serves HTTP

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--out", type=Path, default=Path("weights.json"), help="file to write")
        parser.add_argument("--force", action="store_true", help="overwrite the file")
        parser.add_argument("--no-progress", action="store_true", help="no progress bar")

    def handle(self, *args: Any, out: Path, force: bool, no_progress: bool, **options: Any) -> None:
        try:
            from apps.recommendations.fitting import fit
        except ImportError as error:
            raise CommandError(f"SciPy is missing: {error}. Install the extra `worker`.") from error
        if out.exists() and not force:
            raise CommandError(f"{out} exists. Choose another file with --out, or overwrite it with --force.")
        model, in_use = EmbeddingModel.objects.active(), file_ranking()
        if model is None:
            raise CommandError("No model is active, so nothing has a vector. Run `embed --wait`.")
        lists = list(tqdm(observed_lists(model, in_use), unit=" candidates", disable=no_progress or None))
        try:
            fitted = fit(lists, in_use, version=f"{timezone.localdate():%Y-%m-%d}")
        except ValueError as error:
            raise CommandError(f"There are too few interactions to learn from: {error}.") from error
        self.stdout.write(f"{'part':12} {'in use':>8} {'fitted':>8}")
        for name, weight in fitted.ranking.weights.items():
            self.stdout.write(f"{name:12} {in_use.weights[name]:8.3f} {weight:8.3f}")
        for group in fitted.groups:
            self.stdout.write(
                f"nDCG@10 on held-out candidates: {group.in_use:.3f} in use, {group.fitted:.3f} fitted, "
                f"difference {group.low:+.3f} to {group.high:+.3f} ({group.lists:,} lists)"
            )
        if not fitted.passes:
            raise CommandError(
                "The fitted weights are significantly worse than those in use: none were written."
            )
        out.write_text(fitted.ranking.model_dump_json(indent=2) + "\n")
        self.stdout.write(f"Wrote {out}. To use it, set RANKING_FILE={out.resolve()} and restart.")
