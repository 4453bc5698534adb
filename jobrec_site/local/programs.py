"""The processes of jobrec, for the process manager. The compose file starts the same ones."""

import sys
from dataclasses import dataclass, field
from pathlib import Path

from jobrec_site.local.embedded import Command, prepare_postgres, prepare_valkey

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Program:
    """One process. It is killed if it has not ended `stop_seconds` after the stop signal.

    With `others_need_it` it is stopped after the processes that may be using it.
    """

    name: str
    arguments: list[str]
    user: str | None = None
    stop_signal: str = "TERM"
    stop_seconds: int = 10
    others_need_it: bool = False
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ports:
    """The ports of the processes, all on the loopback interface."""

    web: int = 8080
    embedding: int = 50051
    invalidation: int = 50052
    flower: int = 5555


SERVERS = ("postgres", "valkey")
# The processes that embed, write and invalidate
MAIN_JOB = ("sidecar", "embed-worker", "write-worker", "beat")
APPLICATION = (
    "sidecar",
    "embedding-server",
    "embed-worker",
    "write-worker",
    "beat",
    "web",
    "cache-warmer",
    "flower",
)


def servers(data: Path, *, postgres: bool = True, valkey: bool = True, fast: bool = False) -> list[Program]:
    """The embedded servers that are wanted, initialized."""
    wanted = []
    if postgres:
        # SIGINT is PostgreSQL's fast shutdown: open transactions are rolled back, nothing is lost.
        wanted.append(_server(prepare_postgres(data, fast=fast), stop_signal="INT"))
    if valkey:
        wanted.append(_server(prepare_valkey(data, fast=fast)))
    return wanted


def application(ports: Ports, *, web_workers: int = 2) -> list[Program]:
    """The processes of jobrec itself, in the order in which to start them."""
    manage = [sys.executable, str(ROOT / "manage.py")]
    celery = [sys.executable, "-m", "celery", "--app", "workers.app"]
    return [
        Program("sidecar", [*manage, "invalidation_sidecar"]),
        Program("embedding-server", [*manage, "embedding_server"], stop_seconds=20),
        Program("embed-worker", [*manage, "run_worker", "embed"], stop_seconds=30),
        Program("write-worker", [*manage, "run_worker", "write"], stop_seconds=30),
        Program("beat", [*celery, "beat", "--loglevel=WARNING", "--pidfile="]),
        Program("web", web_command(ports.web, workers=web_workers), stop_seconds=15),
        Program("cache-warmer", [*manage, "warm_caches"], stop_seconds=15),
        Program(
            "flower",
            [*celery, "flower", "--address=127.0.0.1", f"--port={ports.flower}", "--loglevel=WARNING"],
        ),
    ]


def web_command(port: int, *, host: str = "127.0.0.1", workers: int = 2) -> list[str]:
    """The command of the web server."""
    granian = [str(Path(sys.executable).with_name("granian")), "--interface", "wsgi"]
    return [
        *granian,
        "--host",
        host,
        "--port",
        str(port),
        "--workers",
        str(workers),
        # Each thread has a database connection, and more than the cores can serve only wait for each other.
        "--blocking-threads",
        "16",
        # A client that sends its body slowly would keep a worker from ending.
        "--workers-kill-timeout",
        "10",
        "jobrec_site.wsgi:application",
    ]


def _server(command: Command, *, stop_signal: str = "TERM") -> Program:
    return Program(
        command.name,
        command.arguments,
        user=command.user,
        stop_signal=stop_signal,
        stop_seconds=20,
        others_need_it=True,
    )
