from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.rpc.client import is_serving


class Command(BaseCommand):
    help = "Asks a gRPC server of jobrec whether it serves: exit status 0 where it does, else 1."
    requires_system_checks = ()  # they load all that serves HTTP

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("address", help="host:port")
        parser.add_argument("--timeout", type=float, default=3.0, help="seconds (default: %(default)s)")

    def handle(self, *args: Any, address: str, timeout: float, **options: Any) -> None:
        if not is_serving(address, timeout=timeout):
            raise CommandError(f"{address} does not serve")
        self.stdout.write(f"{address} serves")
