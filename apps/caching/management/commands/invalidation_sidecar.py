"""The command that runs the invalidation sidecar."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from apps.caching import sidecar
from apps.rpc.server import wait_for_signal


class Command(BaseCommand):
    """Run the invalidation sidecar."""

    help = "Run the invalidation sidecar, one per web host, until SIGTERM or Ctrl-C."
    requires_system_checks = ()  # the checks import everything that serves HTTP

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--bind", default=settings.INVALIDATION_BIND, help="host:port (default: %(default)s)"
        )

    def handle(self, *args: Any, bind: str, **options: Any) -> None:
        try:
            running = sidecar.start(bind)
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        except RuntimeError as error:
            raise CommandError(
                f"Cannot listen on {bind}: {error}. Is another program using the port?"
            ) from error
        self.stdout.write(f"Invalidation sidecar listens on {bind}")
        wait_for_signal()
        running.stop()
