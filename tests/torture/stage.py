"""The processes of the torture test, under supervisord as in `make run`, and the ways to kill them."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault

import psycopg
import redis

from jobrec_site.addresses import embedded_database_url, embedded_redis_url
from jobrec_site.local import embedded
from jobrec_site.local.programs import Ports, Program, application, servers
from jobrec_site.local.supervision import Supervisor

PROCESSES = ("sidecar", "embed-worker", "write-worker", "beat")
VICTIMS = ("embed-worker", "write-worker", "beat", "postgres", "valkey", "FLUSHALL")


class Stage:
    """The processes, from `up` until it ends."""

    def __init__(self, data: Path, ports: Ports) -> None:
        self.data, self._ports = data, ports
        programs = [*servers(data), *(self._with_failing_encoder(each) for each in application(ports))]
        self.supervisor = Supervisor(data, programs)

    @staticmethod
    def _with_failing_encoder(program: Program) -> Program:
        if program.name != "embed-worker":
            return program
        return replace(program, arguments=[sys.executable, "-m", "tests.torture.embed_worker"])

    @contextmanager
    def up(self) -> Iterator[None]:
        """Run supervisord and the servers in a `with` block."""
        self.supervisor.start()
        try:
            self.supervisor.run(["postgres", "valkey"])
            embedded.wait_for_postgres(self.data)
            embedded.wait_for_valkey(self.data)
            embedded.create_database(self.data)
            yield
        finally:
            self.supervisor.stop()

    def start(self) -> None:
        """Start the processes of jobrec."""
        self.supervisor.run(PROCESSES)

    def kill(self, victim: str) -> str:
        """Kill a process or empty the broker; returns a description, or "" if the victim does not run."""
        if victim == "FLUSHALL":
            try:
                redis.Redis.from_url(embedded_redis_url(self.data)).flushall()
            except redis.RedisError:
                return ""
            return "FLUSHALL"
        try:
            pid = self.supervisor.pid(victim)
        except (OSError, Fault):
            return ""
        if not pid:
            return ""
        os.kill(pid, signal.SIGKILL)
        return f"SIGKILL {victim} ({pid})"

    def connect(self, *, timeout: float = 60) -> psycopg.Connection[Any]:
        """A connection of the test, as soon as PostgreSQL accepts one."""
        until = time.monotonic() + timeout
        while True:
            try:
                return psycopg.connect(embedded_database_url(self.data), autocommit=True, connect_timeout=2)
            except psycopg.OperationalError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)

    def logs(self, name: str, lines: int = 25) -> str:
        """The last lines of a process's log."""
        return self.supervisor.log_end(name, lines)
