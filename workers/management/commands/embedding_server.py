from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from apps.rpc.credentials import check_protected
from apps.rpc.server import wait_for_signal


class Command(BaseCommand):
    help = "Runs the embedding gRPC server, which turns search text into vectors, until SIGTERM or Ctrl-C."
    requires_system_checks = ()  # they load all that serves HTTP

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--bind", default=settings.EMBEDDING_BIND, help="host:port (default: %(default)s)"
        )

    def handle(self, *args: Any, bind: str, **options: Any) -> None:
        try:
            check_protected(bind)
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        from workers import embedding_server  # seconds: not for a server that is refused
        from workers.encoding.errors import ModelLoadError

        try:
            running = embedding_server.start(bind)
        except ImproperlyConfigured as error:  # where the metrics are served
            raise CommandError(str(error)) from error
        except RuntimeError as error:
            raise CommandError(f"cannot listen on {bind}: is it taken? ({error})") from error
        except ModelLoadError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"embedding server listens on {bind}")
        wait_for_signal()
        running.stop()
