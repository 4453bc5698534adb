"""The command that trains an adapter of the embedding model."""

import gzip
import json
import os
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from workers.training import pairs, postings
from workers.training.batches import Source, plan

DATABASE = "database"
SOURCES = ("occupations", "skills", "postings")
TRAINING_LIBRARIES = ("accelerate", "datasets", "torch")


class Command(BaseCommand):
    help = (
        "Train an adapter of the embedding model on names of occupations, skills and postings. "
        "Continues from its last checkpoint if it is called again."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--occupations", type=Path, help="JSON Lines, .gz or not, with name, preferred and esco_code"
        )
        parser.add_argument(
            "--skills", type=Path, help="JSON Lines with skill_name, aliases (by commas) and description"
        )
        parser.add_argument(
            "--postings",
            help="JSON Lines with title, tasks, and if known requirements and statement; "
            "or `database` for the postings of this site",
        )
        parser.add_argument(
            "--output",
            type=Path,
            required=True,
            help="folder for checkpoints, adapter.safetensors and its card",
        )
        parser.add_argument("--model", default=settings.EMBEDDING_MODEL, help="(%(default)s)")
        parser.add_argument("--steps", type=int, default=1_000, help="batches (%(default)s)")
        parser.add_argument(
            "--batches",
            default="4:2:3",
            help="batches of occupations, skills and postings in each round (%(default)s)",
        )
        parser.add_argument("--learning-rate", type=float, default=1e-4, help="falls to 0 (%(default)s)")
        parser.add_argument(
            "--scale",
            type=float,
            default=20.0,
            help="of the cosines in the loss; 40 for a model of the family E5 (%(default)s)",
        )
        parser.add_argument(
            "--frozen-layers", type=int, default=2, help="first layers that stay as they are (%(default)s)"
        )
        parser.add_argument(
            "--dimensions",
            default="384,256,128",
            help="lengths to which vectors may be cut, the whole one first (%(default)s)",
        )
        parser.add_argument(
            "--guided",
            action="store_true",
            help="leave out wrong answers that the untrained model prefers to the right one (a third slower)",
        )
        parser.add_argument(
            "--held-out",
            type=float,
            default=0.03,
            help="share of the occupations that is only evaluated on (%(default)s)",
        )
        parser.add_argument(
            "--evaluate-every",
            type=int,
            default=100,
            help="steps between two evaluations and checkpoints (%(default)s)",
        )
        parser.add_argument(
            "--credit",
            action="append",
            default=[],
            help="a source of the data with its licence, for the card; can be repeated",
        )
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (%(default)s)")

    def handle(self, *args: Any, **options: Any) -> None:
        missing = [name for name in TRAINING_LIBRARIES if find_spec(name) is None]
        if missing:
            raise CommandError(
                f"Cannot train without {', '.join(missing)}. Install it with: pip install 'jobrec[train]'"
            )
        # Hardly two batches have the same shape. Torch would keep a prepared multiplication for each of them.
        for cache in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
            os.environ.setdefault(cache, "64")
        from workers.training import trainer  # imports torch, which takes seconds
        from workers.training.product import Training, write_product

        names = pairs.occupations(_rows(options["occupations"])) if options["occupations"] else {}
        held_out = {key: names.pop(key) for key in list(names) if pairs.is_held_out(key, options["held_out"])}
        recipe = trainer.Recipe(
            model=options["model"],
            learning_rate=options["learning_rate"],
            scale=options["scale"],
            frozen_layers=options["frozen_layers"],
            dimensions=tuple(_integers("--dimensions", options["dimensions"], ",")),
            guided=options["guided"],
            evaluate_every=options["evaluate_every"],
            seed=options["seed"],
            device=_device(options["device"]),
        )
        try:
            batches = plan(_sources(names, options), steps=options["steps"], seed=options["seed"])
            model = trainer.load(recipe)
            self.stdout.write(
                f"Training on {sum(len(batch.pairs) for batch in batches):,} pairs in {len(batches):,} steps "
                f"on {recipe.device}; {len(held_out):,} occupations are held out."
            )
            evaluator = trainer.held_out_evaluator(model, held_out, names) if held_out else None
            log = trainer.train(model, batches, evaluator, recipe, options["output"])
        except (ValueError, trainer.TrainingError) as error:
            raise CommandError(str(error)) from error
        files = [Path(options[name]) for name in SOURCES if options[name] and options[name] != DATABASE]
        training = Training(recipe, batches, log, files, options["credit"])
        file = write_product(model, training, options["output"])
        self.stdout.write(f"Wrote {file} and its card. Use it with EMBEDDING_ADAPTER={file.resolve()}")


def _sources(names: dict[str, list[str]], options: dict[str, Any]) -> list[Source]:
    """Return the sources of which a file is given. The sizes make a batch of each take about as long."""
    weights = _integers("--batches", options["batches"], ":")
    if len(weights) != 3:
        raise CommandError(f"--batches {options['batches']} is not three numbers such as 4:2:3.")
    sources = []
    if names:
        sources.append(
            Source("occupations", 256, 24, weights[0], lambda random: pairs.name_pairs(names, random))
        )
    if options["skills"]:
        skills = list(_rows(options["skills"]))
        sources.append(
            Source("skills", 128, 48, weights[1], lambda random: pairs.skill_pairs(skills, random))
        )
    if options["postings"]:
        rows = list(_postings(options["postings"]))
        sources.append(
            Source("postings", 48, 128, weights[2], lambda random: pairs.posting_pairs(rows, random))
        )
    sources = [source for source in sources if source.weight]
    if not sources:
        raise CommandError("Nothing to train on. Give --occupations, --skills or --postings.")
    return sources


def _postings(where: str) -> Iterable[pairs.Row]:
    return postings.from_database() if where == DATABASE else _rows(Path(where))


def _rows(file: Path) -> Iterator[pairs.Row]:
    """Read JSON Lines. Raises CommandError with the line of the first fault."""
    read = 0
    try:
        with (
            gzip.open(file, "rt", encoding="utf-8")
            if file.suffix == ".gz"
            else file.open(encoding="utf-8") as lines
        ):
            for line in lines:
                read += 1
                if line.strip():
                    yield json.loads(line)
    except (OSError, ValueError) as error:
        raise CommandError(f"Cannot read {file}, line {read}: {error}. Give a file of JSON Lines.") from error


def _integers(option: str, text: str, separator: str) -> list[int]:
    try:
        return [int(each) for each in text.split(separator)]
    except ValueError as error:
        raise CommandError(f"{option} {text} is not numbers separated by {separator!r}.") from error


def _device(name: str) -> str:
    from workers.encoding.hardware import detect

    try:
        return detect(device=name).device
    except ValueError as error:
        raise CommandError(str(error).replace("EMBEDDING_DEVICE=", "--device ")) from error
