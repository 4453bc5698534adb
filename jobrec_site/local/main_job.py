"""The main job on one machine: start the servers, load a sample, embed it, print recommendations."""

import os
import secrets
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import django
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection

from apps.caching.mirror import mirror
from apps.rpc.client import is_serving
from jobrec_site.addresses import embedded_addresses
from jobrec_site.local import embedded, programs
from jobrec_site.local.preflight import check_disk, check_ports, lock_data_folder
from jobrec_site.local.programs import Ports
from jobrec_site.local.supervision import ProgramError, Supervisor

ADMIN = "admin"
SAMPLE = "sample"
EXAMPLE = '{ searchPostings(text: "%s", first: 5) { edges { score node { title city } } } }'
EXAMPLES = {"en": "nurse in intensive care", "ko": "백엔드 개발자"}  # texts to search for, by language


class LocalJobrec:
    """A context in which all servers and the programs called `names` run on this machine.

    The environment must contain DJANGO_SETTINGS_MODULE and the addresses of `ports`. If it contains
    DATABASE_URL or REDIS_URL, that server is used instead of the embedded one.
    """

    def __init__(self, data: Path, ports: Ports, *, names: Collection[str] = programs.APPLICATION) -> None:
        """Check that jobrec can start here. Raises PreflightError."""
        self._data, self._ports, self._names = data, ports, names
        self._lock = lock_data_folder(data)
        check_disk(data)
        check_ports(ports)
        os.environ["JOBREC_DATA_DIR"] = str(data)
        django.setup()
        own = embedded_addresses(data)
        self._own_postgres = os.environ.get("DATABASE_URL", "") in ("", own["DATABASE_URL"])
        self._own_valkey = os.environ.get("REDIS_URL", "") in ("", own["REDIS_URL"])
        servers = programs.servers(data, postgres=self._own_postgres, valkey=self._own_valkey)
        self._servers = [program.name for program in servers]
        application = programs.application(ports, web_workers=settings.WEB_WORKERS)
        self._supervisor = Supervisor(data, [*servers, *application])

    def __enter__(self) -> Self:
        try:
            self._supervisor.start()
        except BaseException:
            self._supervisor.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not interrupt the stop
        with suppress(OSError):  # the terminal may be closed
            print("\nStopping …", flush=True)
        connection.close()
        mirror.close()
        self._supervisor.stop()
        self._lock.close()

    def main_job(
        self, *, postings: int, candidates: int, language: str = "en", tolerate_failures: bool = False
    ) -> None:
        """Start everything, load a sample into an empty database, embed it, and print recommendations.

        `language` is that of the sample.
        With `tolerate_failures` it goes on if a run is paused or cancelled, or a row cannot be embedded.
        Raises EmbeddedServerError, ProgramError or CommandError.
        """
        from apps.candidates.models import Candidate
        from apps.postings.models import Posting

        self._start_servers()
        _print("Migrating the database and collecting static files")
        call_command("migrate", verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
        self._ensure_admin()
        # Candidates are loaded last: if there are none, an earlier load may have been interrupted.
        if not (Candidate.objects.exists() or Posting.objects.exclude(source=SAMPLE).exists()):
            self._load_sample(postings, candidates, language)
        _print(f"Starting {', '.join(self._names)}")
        self._supervisor.run(self._names)
        _print("Embedding pending rows")
        try:
            call_command("embed", wait=True)
        except CommandError as error:
            if not tolerate_failures:
                raise
            _print(str(error))
        print(flush=True)
        first = Candidate.objects.order_by("pk").values_list("pk", flat=True).first()
        if first is not None:
            call_command("recommend", candidate=str(first), limit=5)
        self._wait_for_servers()

    def print_addresses(self, *, language: str = "en") -> None:
        """Print where everything can be reached, the password of the admin, and a search in `language`."""
        ports, example = self._ports, EXAMPLE % EXAMPLES[language]
        print(
            f"\njobrec is up\n"
            f"  admin       http://localhost:{ports.web}/admin/     "
            f"user {ADMIN}, password {self._admin_password()}\n"
            f"  GraphQL     http://localhost:{ports.web}/graphql\n"
            f"  try         http://localhost:{ports.web}/graphql#query={quote(example)}\n"
            f"  Flower      http://localhost:{ports.flower}\n"
            f"  gRPC        embedding 127.0.0.1:{ports.embedding}, "
            f"invalidation 127.0.0.1:{ports.invalidation}\n"
            f"  logs        {self._data / 'log'}\n"
            f"Ctrl-C stops everything.",
            flush=True,
        )

    def stay_up(self) -> None:
        """Run until Ctrl-C. Prints the log of a process that keeps dying."""
        reported: set[str] = set()
        while True:
            time.sleep(2)
            for name in set(self._supervisor.failed()) - reported:
                reported.add(name)
                _print(f"\n{name} keeps dying; the end of its log:\n{self._supervisor.log_end(name)}")

    def _start_servers(self) -> None:
        if self._servers:
            _print(f"Starting embedded {' and '.join(self._servers)}")
            self._supervisor.run(self._servers)
        if self._own_valkey:
            embedded.wait_for_valkey(self._data)
        if self._own_postgres:
            embedded.wait_for_postgres(self._data)
            embedded.create_database(self._data)

    def _wait_for_servers(self) -> None:
        """Wait until the programs that serve others do so. Raises ProgramError after 90 seconds."""
        ports = self._ports
        serving: dict[str, Callable[[], bool]] = {
            "web": lambda: _answers(f"http://127.0.0.1:{ports.web}/readyz"),
            "sidecar": lambda: is_serving(f"127.0.0.1:{ports.invalidation}"),
            "embedding-server": lambda: is_serving(f"127.0.0.1:{ports.embedding}"),
        }
        until = time.monotonic() + 90
        for name in serving.keys() & set(self._names):
            while not serving[name]():
                if time.monotonic() > until:
                    raise ProgramError(f"{name} does not answer:\n{self._supervisor.log_end(name)}")
                time.sleep(0.2)

    def _load_sample(self, postings: int, candidates: int, language: str) -> None:
        folder = self._data / "sample"
        folder.mkdir(exist_ok=True)
        for kind, count in (("postings", postings), ("candidates", candidates)):
            _print(f"The database has no rows of yours: loading {count:,} sample {kind}")
            file = folder / f"{kind}.jsonl"
            call_command(
                "generate_sample",
                kind,
                count=count,
                language=language,
                out=str(file),
                force=True,
                verbosity=0,
            )
            call_command(f"import_{kind}", str(file), source=SAMPLE)

    def _ensure_admin(self) -> None:
        from django.contrib.auth import get_user_model

        users = get_user_model()._default_manager
        if not users.filter(username=ADMIN).exists():
            users.create_superuser(username=ADMIN, password=self._admin_password())

    def _admin_password(self) -> str:
        file = self._data / "admin-password"
        if not file.exists():
            file.touch(mode=0o600)
            file.write_text(secrets.token_urlsafe(9))
        return file.read_text()


def _print(text: str) -> None:
    print(text, flush=True)


def _answers(address: str) -> bool:
    try:
        urllib.request.urlopen(address, timeout=5).close()  # noqa: S310  our own address
    except (urllib.error.URLError, OSError):
        return False
    return True
