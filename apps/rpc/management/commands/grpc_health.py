"""The command that checks the health of a gRPC server."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.rpc.client import is_serving


class Command(BaseCommand):
    """Check the health of a gRPC server."""

    help = "Check the health of a gRPC server of jobrec: exit status 0 if it serves, otherwise 1."
    requires_system_checks = ()  # the checks import everything that serves HTTP

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("address", help="host:port")
        parser.add_argument("--timeout", type=float, default=3.0, help="seconds (default: %(default)s)")

    def handle(self, *args: Any, address: str, timeout: float, **options: Any) -> None:
        if not is_serving(address, timeout=timeout):
            raise CommandError(
                f"{address} does not serve: is the server running, and is RPC_TLS_… the same on both sides?"
            )
        self.stdout.write(f"{address} serves")
