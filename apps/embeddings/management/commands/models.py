"""Changing the model without downtime, step by step."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.embeddings import hints, lifecycle, registry
from apps.embeddings.errors import ModelStateError
from apps.embeddings.index import build_index, index_exists
from apps.embeddings.models import EmbeddingModel, Kind


class Command(BaseCommand):
    help = "Lists model versions, and changes the one that answers: add, wait until it is filled, activate, retire the old."
    requires_system_checks = ()  # they load all that serves HTTP

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        verbs.add_parser("list", help="all versions, with how many rows each has embedded")
        add = verbs.add_parser("add", help="registers a version and fills it while the active one answers")
        add.add_argument("name", help="a model hub's name, or a local folder")
        add.add_argument("--dimensions", type=int, required=True)
        add.add_argument("--weights", default="main", help="the hub's branch, tag or commit (%(default)s)")
        add.add_argument(
            "--windows",
            type=int,
            default=settings.EMBEDDING_WINDOWS,
            help="longest text in model windows; 1 truncates (%(default)s)",
        )
        activate = verbs.add_parser("activate", help="lets a filled version answer, in one transaction")
        activate.add_argument("model", metavar="NAME[@REVISION]")
        activate.add_argument("--force", action="store_true", help="although vectors or an index are missing")
        verbs.add_parser("rollback", help="lets the version that answered before answer again, at once")
        retire = verbs.add_parser("retire", help="drops a version's vectors and indexes")
        retire.add_argument("model", metavar="NAME[@REVISION]")

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        try:
            getattr(self, f"_{verb}")(options)
        except ModelStateError as error:
            raise CommandError(str(error)) from error

    def _list(self, _options: dict[str, Any]) -> None:
        models = EmbeddingModel.objects.all()
        if not models:
            self.stdout.write("no model is registered yet: the first run registers that of the settings")
        for model in models:
            self.stdout.write(f"{model}  {model.dimensions} dimensions  {model.get_state_display().lower()}")
            if model.state == EmbeddingModel.State.RETIRED:
                continue
            for kind in Kind.values:
                counts = registry.coverage(model, kind)
                index = "index built" if index_exists(model, kind) else "no index yet"
                self.stdout.write(
                    f"    {kind + 's:':12} {counts.current:,} of {counts.rows:,} rows ({counts.percent:.1f} %), "
                    f"{counts.pending:,} pending, {counts.dead:,} dead letters, {index}"
                )

    def _add(self, options: dict[str, Any]) -> None:
        for name in ("name", "weights"):
            if not options[name].strip():
                raise CommandError(f"{name}: is empty")
        if not 1 <= options["dimensions"] <= 4000:
            raise CommandError(
                f"--dimensions {options['dimensions']}: an HNSW index on halfvec takes 1 to 4000 (pgvector 0.8)"
            )
        if options["windows"] < 1:
            raise CommandError(f"--windows {options['windows']}: at least 1")
        model, runs = lifecycle.add_model(
            options["name"],
            dimensions=options["dimensions"],
            weights=options["weights"],
            windows=options["windows"],
        )
        hints.plan_soon(run.pk for run in runs)
        self.stdout.write(
            f"{model} is being filled by {', '.join(f'run {run.pk}' for run in runs)}; "
            f"watch it with `models list` or `embed --wait`, then `models activate {model}`"
        )

    def _activate(self, options: dict[str, Any]) -> None:
        model = self._model(options["model"])
        if model.state == EmbeddingModel.State.FILLING:
            for kind in Kind.values:
                if registry.coverage(model, kind).is_sufficient and build_index(model, kind):
                    self.stdout.write(f"built its index over {kind}s")
        if lifecycle.activate(model, force=options["force"]):
            self.stdout.write(
                f"{model} answers from now on; `models rollback` takes that back, `models retire` drops the former one"
            )
        else:
            self.stdout.write(f"{model} answers already")

    def _rollback(self, _options: dict[str, Any]) -> None:
        self.stdout.write(f"{lifecycle.rollback()} answers again")

    def _retire(self, options: dict[str, Any]) -> None:
        model = self._model(options["model"])
        deleted = lifecycle.retire(model)
        self.stdout.write(f"{model} is retired: {deleted:,} vectors and its indexes were dropped")

    @staticmethod
    def _model(name: str) -> EmbeddingModel:
        try:
            return registry.find_model(name)
        except ModelStateError as error:
            raise CommandError(str(error)) from error
