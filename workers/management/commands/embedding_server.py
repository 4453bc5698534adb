"""The command that runs the embedding server."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from apps.rpc.credentials import check_protected
from apps.rpc.server import wait_for_signal


class Command(BaseCommand):
    """Runs the embedding server until a signal."""

    help = "Run the embedding gRPC server, which turns search texts into vectors, until SIGTERM or Ctrl-C."
    requires_system_checks = ()  # they would import the whole web tier

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--bind", default=settings.EMBEDDING_BIND, help="host:port (default: %(default)s)"
        )

    def handle(self, *args: Any, bind: str, **options: Any) -> None:
        try:
            check_protected(bind)
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        from workers import embedding_server  # imports torch, which takes seconds: only after the check
        from workers.encoding.errors import ModelLoadError

        try:
            running = embedding_server.start(bind)
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        except RuntimeError as error:
            raise CommandError(
                f"Cannot listen on {bind}: {error}. Choose a free address with --bind."
            ) from error
        except ModelLoadError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"embedding server listens on {bind}")
        wait_for_signal()
        running.stop()
