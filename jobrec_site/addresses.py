"""Where the embedded servers listen, and how one Redis URL becomes the three that jobrec uses.

Pure functions: the settings, the local stack and the tests all ask here, so they cannot disagree.
"""

import hashlib
import tempfile
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

# A UNIX socket path may have 107 characters on Linux (unix(7)); PostgreSQL appends `/.s.PGSQL.5432`.
LONGEST_SOCKET_FOLDER = 107 - len("/.s.PGSQL.5432") - 1


def socket_folder(data_folder: Path) -> Path:
    """Folder of the embedded servers' sockets: inside `data_folder`, or in /tmp where that path is too long."""
    folder = data_folder / "run"
    if len(str(folder)) <= LONGEST_SOCKET_FOLDER:
        return folder
    digest = hashlib.sha256(str(data_folder).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"jobrec-{digest}"


def embedded_database_url(data_folder: Path, *, name: str = "jobrec") -> str:
    return f"postgresql://postgres@/{name}?host={quote(str(socket_folder(data_folder)))}"


def embedded_redis_url(data_folder: Path) -> str:
    return f"unix://{socket_folder(data_folder)}/valkey.sock"


def embedded_addresses(data_folder: Path) -> dict[str, str]:
    """The environment in which all data lies under `data_folder`, whatever the environment or .env said before."""
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
    """`url` (redis://, rediss:// or unix://) pointing at logical database `number`, in redis-py's form."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return f"unix://{parts.path}?db={number}"
    return urlunsplit(parts._replace(path=f"/{number}"))


def celery_url(url: str) -> str:
    """redis-py's `unix://PATH?db=N` in the form Celery's broker and result backend take."""
    parts = urlsplit(url)
    if parts.scheme != "unix":
        return url
    number = parts.query.removeprefix("db=") or "0"
    return f"redis+socket://{parts.path}?virtual_host={number}"
