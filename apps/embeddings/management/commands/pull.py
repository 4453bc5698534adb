"""The command that pulls vectors from another embedding server."""

import sys
import time
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from apps.embeddings import planning, registry, runs
from apps.embeddings.client import EmbeddingClient
from apps.embeddings.models import EmbeddingModel, EmbeddingRun, Kind
from apps.embeddings.pulling import POLL, PullError, pull_run
from apps.embeddings.vector_stream import check_server
from apps.rpc.addresses import is_address
from apps.rpc.client import Client
from apps.rpc.errors import RpcError
from proto import embedding_pb2_grpc

SILENCE = 30  # seconds without progress until a warning


class Command(BaseCommand):
    help = (
        "Pull the vectors of pending rows from another embedding server, instead of embedding with the local "
        "workers. The server must serve the same model version. An interrupted pull continues when it "
        "is started again, or with the local workers by `embed --resume`."
    )
    requires_system_checks = ()  # they load all that serves HTTP

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "address", help="host:port of the other server; PULL_TOKEN holds the token for it"
        )
        parser.add_argument("--kind", choices=Kind.values, action="append", help="default: both")
        parser.add_argument(
            "--model", metavar="NAME[@REVISION]", help="default: the active one, else the newest"
        )

    def handle(self, *args: Any, address: str, kind: list[str] | None, **options: Any) -> None:
        if not is_address(address):
            raise CommandError(
                f"address {address!r} is not of the form host:port, such as embedding.example:50051"
            )
        model = self._model(options["model"])
        client: EmbeddingClient = Client(address, embedding_pb2_grpc.EmbeddingServiceStub)
        try:
            check_server(client, model, deadline=settings.EMBEDDING_LEASE)
            failed = sum(self._pull(each, model, client) for each in kind or Kind.values)
        except (RpcError, PullError) as error:
            raise CommandError(str(error)) from error
        finally:
            client.close()
        if failed:
            raise CommandError(f"{failed:,} rows have no current vector. See the dead letters.")

    def _model(self, name: str | None) -> EmbeddingModel:
        filled = EmbeddingModel.objects.filled()
        if name is None:
            return EmbeddingModel.objects.active() or filled.first() or registry.default_model()
        wanted, _, revision = name.partition("@")
        found = filled.filter(name=wanted, **({"revision": revision} if revision else {})).first()
        if found is None:
            known = ", ".join(str(each) for each in filled) or "none"
            raise CommandError(f"--model {name}: no such model is filled or active. Models: {known}.")
        return found

    def _pull(self, kind: str, model: EmbeddingModel, client: EmbeddingClient) -> int:
        """Pull the vectors of a kind; returns the number of rows that have none afterwards."""
        run = EmbeddingRun.objects.unfinished().filter(kind=kind, model=model).first()
        if run is None and planning.has_pending(kind, model):
            run, _ = runs.request_run(kind, model, reason=f"pull from {client.address}")
        if run is None:
            self.stdout.write(f"{Kind(kind).label}: nothing is pending.")
            return 0
        started, progress = time.monotonic(), Progress(run)
        pull_run(run, client, on_chunk=progress.show)
        self._wait_for_writer(run, progress)
        done = run.progress()
        self.stdout.write(
            f"{run}: {run.get_state_display().lower()}: {done.written:,} rows written, "
            f"{done.dead:,} dead letters, {done.skipped:,} edited or deleted in the meantime "
            f"in {time.monotonic() - started:,.1f} s"
        )
        return done.dead + done.failed

    def _wait_for_writer(self, run: EmbeddingRun, progress: "Progress") -> None:
        patience = time.monotonic() + SILENCE
        while run.is_open or not runs.is_published(run):
            if run.state == EmbeddingRun.State.PAUSED:
                raise PullError(f"{run} is paused: {run.paused_because}")
            if time.monotonic() > patience:
                patience = float("inf")
                self.stderr.write(
                    f"{run} is pulled, but not written or not invalidated. "
                    "Check that a write worker and the sidecar run."
                )
            time.sleep(POLL)
            progress.show()
            run.refresh_from_db()
        progress.close()


class Progress:
    """A progress bar, only on a terminal."""

    def __init__(self, run: EmbeddingRun) -> None:
        self._run = run
        self._bar: tqdm[Any] = tqdm(
            unit="rows", desc=f"Pulling {run}", leave=False, disable=not sys.stderr.isatty()
        )

    def show(self) -> None:
        """Update the bar from the ledger."""
        if self._bar.disable:
            return
        done = self._run.progress()
        self._bar.total = done.total
        self._bar.update(done.embedded - self._bar.n)

    def close(self) -> None:
        """Remove the bar."""
        self._bar.close()
