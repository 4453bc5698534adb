"""The command that lists and changes models, without downtime."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.embeddings import hints, lifecycle, registry
from apps.embeddings.adapters import DEFAULT, find_adapter
from apps.embeddings.errors import ModelStateError
from apps.embeddings.index import build_index, index_exists
from apps.embeddings.models import EmbeddingModel, Kind


class Command(BaseCommand):
    help = (
        "List model versions and change the active one: add, wait until filled, activate, retire the old one."
    )
    requires_system_checks = ()  # they load all that serves HTTP

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        verbs.add_parser("list", help="show all versions and how many rows each has embedded")
        add = verbs.add_parser("add", help="register a version and fill it while the active one answers")
        add.add_argument("name", help="a model hub's name, or a local folder")
        add.add_argument("--dimensions", type=int, required=True)
        add.add_argument("--weights", default="main", help="the hub's branch, tag or commit (%(default)s)")
        add.add_argument(
            "--windows",
            type=int,
            default=settings.EMBEDDING_WINDOWS,
            help="windows of the model that are read of a text; 1 truncates (%(default)s)",
        )
        add.add_argument(
            "--adapter",
            default=DEFAULT,
            help="file with a trained change of the weights; `default`: the one shipped for this model, "
            "if there is one; empty: none (%(default)s)",
        )
        activate = verbs.add_parser(
            "activate", help="let a filled version answer queries, in one transaction"
        )
        activate.add_argument("model", metavar="NAME[@REVISION]")
        activate.add_argument("--force", action="store_true", help="even if vectors or an index are missing")
        verbs.add_parser("rollback", help="let the version that answered before answer again, at once")
        retire = verbs.add_parser("retire", help="delete the vectors and indexes of a version")
        retire.add_argument("model", metavar="NAME[@REVISION]")

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        try:
            getattr(self, f"_{verb}")(options)
        except ModelStateError as error:
            raise CommandError(str(error)) from error

    def _list(self, _options: dict[str, Any]) -> None:
        models = EmbeddingModel.objects.all()
        if not models:
            self.stdout.write("No model is registered. The first run registers the model of the settings.")
        for model in models:
            self.stdout.write(f"{model}  {model.dimensions} dimensions  {model.get_state_display().lower()}")
            if model.state == EmbeddingModel.State.RETIRED:
                continue
            for kind in Kind.values:
                counts = registry.coverage(model, kind)
                index = "index built" if index_exists(model, kind) else "no index yet"
                self.stdout.write(
                    f"    {kind + 's:':12} {counts.current:,} of {counts.rows:,} rows "
                    f"({counts.percent:.1f} %), {counts.pending:,} pending, "
                    f"{counts.dead:,} dead letters, {index}"
                )

    def _add(self, options: dict[str, Any]) -> None:
        for name in ("name", "weights"):
            if not options[name].strip():
                raise CommandError(f"{name} is empty.")
        if not 1 <= options["dimensions"] <= 4000:
            raise CommandError(
                f"--dimensions {options['dimensions']} is not within 1 to 4000, the limits of an HNSW index."
            )
        if options["windows"] < 1:
            raise CommandError(f"--windows {options['windows']} is less than 1.")
        model, runs = lifecycle.add_model(
            options["name"],
            dimensions=options["dimensions"],
            weights=options["weights"],
            windows=options["windows"],
            adapter=find_adapter(options["adapter"], options["name"]),
        )
        hints.plan_soon(run.pk for run in runs)
        self.stdout.write(
            f"{model} is being filled by {', '.join(f'run {run.pk}' for run in runs)}. "
            f"Watch it with `models list` or `embed --wait`, then run `models activate {model}`."
        )

    def _activate(self, options: dict[str, Any]) -> None:
        model = self._model(options["model"])
        if model.state == EmbeddingModel.State.FILLING:
            for kind in Kind.values:
                if registry.coverage(model, kind).is_sufficient and build_index(model, kind):
                    self.stdout.write(f"Built its index over {kind}s.")
        if lifecycle.activate(model, force=options["force"]):
            self.stdout.write(
                f"{model} answers from now on. Undo that with `models rollback`, or delete the former "
                "model with `models retire`."
            )
        else:
            self.stdout.write(f"{model} answers already.")

    def _rollback(self, _options: dict[str, Any]) -> None:
        self.stdout.write(f"{lifecycle.rollback()} answers again.")

    def _retire(self, options: dict[str, Any]) -> None:
        model = self._model(options["model"])
        deleted = lifecycle.retire(model)
        self.stdout.write(f"{model} is retired: {deleted:,} vectors and its indexes were deleted.")

    @staticmethod
    def _model(name: str) -> EmbeddingModel:
        try:
            return registry.find_model(name)
        except ModelStateError as error:
            raise CommandError(str(error)) from error
