"""What must be true before anything starts, each with what to do where it is not."""

import fcntl
import os
import shutil
import socket
from pathlib import Path
from typing import IO

from jobrec_site.local.programs import Ports

LEAST_DISK = 2 * 1024**3  # octets


class PreflightError(Exception):
    """Something is in the way; the message says what to do."""


def lock_data_folder(data: Path) -> IO[str]:
    """Holds `data` for this process until the returned file is closed. Raises PreflightError where it is held."""
    try:
        data.mkdir(parents=True, exist_ok=True)
        lock = (data / "lock").open("w")
    except OSError as error:
        raise PreflightError(
            f"cannot write to {data}: {error.strerror}. It may belong to another user (was jobrec run as root "
            f"before?): give it to {os.environ.get('USER', 'this user')}, or set JOBREC_DATA_DIR"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise PreflightError(
            f"jobrec already runs on {data}: stop it first, or set JOBREC_DATA_DIR to another folder"
        ) from error
    return lock


def check_ports(ports: Ports) -> None:
    """Raises PreflightError for a port that something else listens on."""
    for variable, port in (
        ("WEB_PORT", ports.web),
        ("EMBEDDING_BIND and EMBEDDING_ADDRESS", ports.embedding),
        ("INVALIDATION_BIND and INVALIDATION_ADDRESSES", ports.invalidation),
        ("FLOWER_PORT", ports.flower),
    ):
        if not _is_free(port):
            raise PreflightError(
                f"port {port} is taken by another program: stop it, or choose another port with {variable} "
                "in the environment or in .env (see .env.example)"
            )


def check_disk(data: Path) -> None:
    free = shutil.disk_usage(data).free
    if free < LEAST_DISK:
        raise PreflightError(
            f"only {free / 1024**3:.1f} GiB are free for {data}: make room for at least 2 GiB"
        )


def free_ports() -> Ports:
    """Ports that were free a moment ago."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(4)]
    numbers = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return Ports(*numbers)


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
