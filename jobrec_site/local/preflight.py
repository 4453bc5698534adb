"""Checks before anything starts. Each error says what to do."""

import fcntl
import os
import shutil
import socket
from pathlib import Path
from typing import IO

from jobrec_site.local.programs import Ports

MIN_DISK_BYTES = 2 * 1024**3


class PreflightError(Exception):
    """jobrec cannot start. The message says what to do."""


def lock_data_folder(data: Path) -> IO[str]:
    """Lock `data` for this process until the returned file is closed.

    Raises PreflightError if another process holds the lock, or the folder cannot be written.
    """
    try:
        data.mkdir(parents=True, exist_ok=True)
        lock = (data / "lock").open("w")
    except OSError as error:
        raise PreflightError(
            f"Cannot write to {data}: {error.strerror}. Was jobrec run as root before? "
            f"Give the folder to {os.environ.get('USER', 'this user')}, or set JOBREC_DATA_DIR."
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise PreflightError(
            f"jobrec already runs on {data}: stop it first, or set JOBREC_DATA_DIR to another folder"
        ) from error
    return lock


def check_ports(ports: Ports) -> None:
    """Raise PreflightError if another program listens on one of the ports."""
    for variable, port in (
        ("WEB_PORT", ports.web),
        ("EMBEDDING_BIND and EMBEDDING_ADDRESS", ports.embedding),
        ("INVALIDATION_BIND and INVALIDATION_ADDRESSES", ports.invalidation),
        ("FLOWER_PORT", ports.flower),
    ):
        if not _is_free(port):
            raise PreflightError(
                f"Port {port} is in use by another program: stop it, or choose another port with {variable} "
                "in the environment or in .env (see .env.example)"
            )


def check_disk(data: Path) -> None:
    """Raise PreflightError if the disk is nearly full."""
    free = shutil.disk_usage(data).free
    if free < MIN_DISK_BYTES:
        raise PreflightError(
            f"The disk is nearly full: {free / 1024**3:.1f} GiB are free for {data}, 2 GiB are needed"
        )


def free_ports() -> Ports:
    """Ports that are free at this moment."""
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
