"""A complete jobrec of real processes, with its own database on the embedded servers of the test run."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psycopg
import redis
from psycopg.rows import dict_row

from apps.rpc.client import is_serving
from apps.sample import corpus
from apps.sample.writers import write_file
from jobrec_site.addresses import embedded_database_url, embedded_redis_url, redis_database
from jobrec_site.local import embedded
from jobrec_site.local.preflight import free_ports
from jobrec_site.local.programs import ROOT, Program, application
from jobrec_site.local.supervision import Supervisor

DATABASE = "jobrec_stack"
TEMPLATE = "jobrec_stack_template"
SAMPLES = {
    "postings": (corpus.postings, corpus.POSTING_FIELDS),
    "candidates": (corpus.candidates, corpus.CANDIDATE_FIELDS),
}


class Stack:
    """Runs processes of jobrec_site.local.programs, by name, under supervisord."""

    def __init__(self, servers: Path, folder: Path, **settings: str) -> None:
        self.ports = free_ports()
        self.database_url = embedded_database_url(servers, name=DATABASE)
        redis_url = embedded_redis_url(servers)
        # Logical databases that the test process itself does not use
        self.redis_urls = [redis_database(redis_url, number) for number in (3, 4, 5)]
        self.environment = {
            "DJANGO_SETTINGS_MODULE": "jobrec_site.settings",
            "DATABASE_URL": self.database_url,
            "REDIS_URL": redis_url,
            "REDIS_BROKER_URL": self.redis_urls[0],
            "REDIS_RESULT_URL": self.redis_urls[1],
            "REDIS_CACHE_URL": self.redis_urls[2],
            "EMBEDDING_ADDRESS": f"127.0.0.1:{self.ports.embedding}",
            "EMBEDDING_BIND": f"127.0.0.1:{self.ports.embedding}",
            "INVALIDATION_ADDRESSES": f"127.0.0.1:{self.ports.invalidation}",
            "INVALIDATION_BIND": f"127.0.0.1:{self.ports.invalidation}",
            "SWEEP_EVERY": "2",
            "SWEEP_PATIENCE": "2",
            "REEMBED_EVERY": "3600",
            "EMBEDDING_LEASE": "10",
            "EMBEDDING_NICE": "0",  # other tests run at the same time
            "WEB_STATEMENT_TIMEOUT": "3",
            **settings,
        }
        self._servers = servers
        self.programs = {program.name: program for program in application(self.ports)}
        self._folder = folder
        self.supervisor: Supervisor | None = None
        self._connection: psycopg.Connection[dict[str, Any]] | None = None
        self.notes: dict[str, Any] = {}  # from a fixture to its tests

    def create(self, *extra: Program) -> None:
        """Create the database and start supervisord, without any process."""
        self._create_database()
        for url in self.redis_urls:
            redis.Redis.from_url(url).flushdb()
        programs = [*self.programs.values(), *extra]
        with_environment = [
            Program(**(vars(each) | {"environment": self.environment | each.environment}))
            for each in programs
        ]
        self.supervisor = Supervisor(self._folder, with_environment)
        self.supervisor.start()

    def _create_database(self) -> None:
        """Copy a template that is migrated once per test run."""
        if embedded.create_database(self._servers, TEMPLATE):
            template = {"DATABASE_URL": embedded_database_url(self._servers, name=TEMPLATE)}
            self.manage("migrate", "--verbosity=0", environment=template)
        postgres = embedded_database_url(self._servers, name="postgres")
        with psycopg.connect(postgres, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
            connection.execute(f"CREATE DATABASE {DATABASE} TEMPLATE {TEMPLATE}")

    def start(self, *names: str) -> None:
        """Start processes and wait until the servers among them serve."""
        assert self.supervisor is not None
        self.supervisor.run(names)
        served = {"sidecar": self.ports.invalidation, "embedding-server": self.ports.embedding}
        for name in names:
            if name in served:
                wait_until(partial(is_serving, f"127.0.0.1:{served[name]}"), f"{name} serves")
            if name == "web":
                self.wait_for_web()

    def halt(self, *names: str) -> None:
        """Stop processes and wait for their end."""
        assert self.supervisor is not None
        for name in names:
            self.supervisor.halt(name)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a process."""
        assert self.supervisor is not None
        pid = self.supervisor.pid(name)
        assert pid, f"{name} does not run"  # 0 would signal the whole process group
        os.kill(pid, number)

    def close(self) -> None:
        """Stop everything."""
        if self._connection is not None:
            self._connection.close()
        if self.supervisor is not None:
            self.supervisor.stop()

    def log(self, name: str) -> str:
        """The log of a process."""
        return (self._folder / "log" / f"{name}.log").read_text(errors="replace")

    def manage(
        self, *arguments: str, status: int = 0, environment: Mapping[str, str] = MappingProxyType({})
    ) -> str:
        """Run a management command, check its exit status, and return its output."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=os.environ | self.environment | dict(environment),
            capture_output=True,
            text=True,
            timeout=250,
            check=False,
        )
        assert done.returncode == status, (
            f"{arguments}: status {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        return done.stdout + done.stderr

    def import_sample(self, kind: str, count: int, *more: dict[str, Any]) -> None:
        """Import the first `count` postings or candidates of the sample, and the `more` rows."""
        make, fields = SAMPLES[kind]
        file = self._folder / f"{kind}.jsonl"
        write_file([*make(count), *more], file, "jsonl", fields)
        self.manage(f"import_{kind}", str(file))

    def sql(self, query: str, parameters: Any = None) -> list[dict[str, Any]]:
        """Run a statement and return its rows."""
        if self._connection is None:
            self._connection = psycopg.connect(self.database_url, autocommit=True, row_factory=dict_row)
        cursor = self._connection.execute(query, parameters)
        return cursor.fetchall() if cursor.description else []

    def embed_every_two_seconds(self) -> None:
        """Change the schedule of embedding in the database, from where beat reads it."""
        self.sql(
            "UPDATE django_celery_beat_periodictask SET interval_id = "
            "(SELECT id FROM django_celery_beat_intervalschedule WHERE every = 2) "
            "WHERE task = 'workers.tasks.start_runs'"
        )
        self.sql("UPDATE django_celery_beat_periodictasks SET last_update = now()")

    def graphql(self, query: str, *, port: int | None = None, **variables: Any) -> Any:
        """The data of a response that must have no errors."""
        answer = self.answer(query, port=port, **variables)
        assert "errors" not in answer, answer
        return answer["data"]

    def answer(self, query: str, *, port: int | None = None, **variables: Any) -> Any:
        """The response of the web server, errors included."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{port or self.ports.web}/graphql",
            json.dumps({"query": query, "variables": variables}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)

    def wait_for_web(self, port: int | None = None) -> None:
        """Wait until the web server is ready."""

        def ready() -> bool:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port or self.ports.web}/readyz", timeout=5).close()
            except (urllib.error.URLError, OSError):
                return False
            return True

        wait_until(ready, "the web server answers")


def wait_until(condition: Callable[[], Any], what: str, *, timeout: float = 120) -> Any:
    """The first true value of `condition`. Fails the test with `what` after `timeout` seconds."""
    until = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < until, f"not within {timeout} s: {what}"
        time.sleep(0.1)
    return value
