"""The addresses of the embedded servers, and the three URLs that jobrec derives from one Redis URL.

Pure functions, shared by the settings, the local stack and the tests.
"""

import hashlib
import tempfile
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

# A UNIX socket path may have 107 characters on Linux (unix(7)); PostgreSQL appends `/.s.PGSQL.5432`.
MAX_SOCKET_FOLDER_CHARACTERS = 107 - len("/.s.PGSQL.5432") - 1


def socket_folder(data_folder: Path) -> Path:
    """The folder of the embedded servers' sockets: in `data_folder`, or in /tmp if that path is too long."""
    folder = data_folder / "run"
    if len(str(folder)) <= MAX_SOCKET_FOLDER_CHARACTERS:
        return folder
    digest = hashlib.sha256(str(data_folder).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"jobrec-{digest}"


def embedded_database_url(data_folder: Path, *, name: str = "jobrec") -> str:
    """The URL of a database on the embedded PostgreSQL server."""
    return f"postgresql://postgres@/{name}?host={quote(str(socket_folder(data_folder)))}"


def embedded_redis_url(data_folder: Path) -> str:
    """The URL of the embedded Valkey server."""
    return f"unix://{socket_folder(data_folder)}/valkey.sock"


def embedded_addresses(data_folder: Path) -> dict[str, str]:
    """Environment variables that put all data under `data_folder`, overriding the environment and .env."""
    redis = embedded_redis_url(data_folder)
    return {
        "JOBREC_DATA_DIR": str(data_folder),
        "DATABASE_URL": embedded_database_url(data_folder),
        "REDIS_URL": redis,
        "REDIS_BROKER_URL": redis_database(redis, 0),
        "REDIS_RESULT_URL": redis_database(redis, 1),
        "REDIS_CACHE_URL": redis_database(redis, 2),
    }


def redis_database(url: str, number: int) -> str:
    """`url` (redis://, rediss:// or unix://) with logical database `number`, in the form of redis-py."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return f"unix://{parts.path}?db={number}"
    return urlunsplit(parts._replace(path=f"/{number}"))


def celery_url(url: str) -> str:
    """`url` of redis-py in the form of Celery's broker and result backend: they differ for UNIX sockets."""
    parts = urlsplit(url)
    if parts.scheme != "unix":
        return url
    number = parts.query.removeprefix("db=") or "0"
    return f"redis+socket://{parts.path}?virtual_host={number}"
