"""Fetch a feed from an http(s) address, bounded, and from a private network only if that is allowed."""

import http.client
import ipaddress
import socket
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urljoin, urlsplit

from apps.records.reading.rows import ImportFileError

MAX_REDIRECTS = 5
TIMEOUT = 30.0  # seconds without a byte
USER_AGENT = "jobrec"


@dataclass(frozen=True)
class Validators:
    """What a server gave with an answer, by which it tells whether there is a newer one."""

    etag: str = ""
    last_modified: str = ""


@dataclass(frozen=True)
class Fetched:
    """A response in a temporary file. `path` is None if nothing changed since `validators`."""

    path: Path | None
    validators: Validators
    content_type: str = ""


def is_address(text: str) -> bool:
    """Return whether `text` is an address to fetch and no path."""
    return text.startswith(("http://", "https://"))


@contextmanager
def fetch(
    address: str, *, known: Validators | None = None, max_bytes: int, allow_private: bool = False
) -> Iterator[Fetched]:
    """Yield what `address` returns, in a temporary file that is deleted at the end.

    The name is resolved once, and the connection goes to that very address, so that a second look-up cannot
    lead into the private network; each redirect is checked alike. Raises ImportFileError.
    """
    for _ in range(MAX_REDIRECTS + 1):
        with _answer(address, known or Validators(), allow_private=allow_private) as answer:
            if answer.status in (301, 302, 303, 307, 308) and (target := answer.getheader("Location")):
                address = urljoin(address, target)
                continue
            validators = Validators(answer.getheader("ETag") or "", answer.getheader("Last-Modified") or "")
            if answer.status == http.client.NOT_MODIFIED:
                yield Fetched(None, known or validators)
                return
            if answer.status != http.client.OK:
                raise ImportFileError(f"{address}: the server answers {answer.status} {answer.reason}")
            with tempfile.NamedTemporaryFile(suffix=Path(urlsplit(address).path).suffix) as file:
                _copy(answer, file, address, max_bytes)
                file.flush()
                yield Fetched(Path(file.name), validators, answer.getheader("Content-Type") or "")
            return
    raise ImportFileError(f"{address}: more than {MAX_REDIRECTS} redirects")


@contextmanager
def _answer(address: str, known: Validators, *, allow_private: bool) -> Iterator[http.client.HTTPResponse]:
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ImportFileError(f"{address[:200]}: no address; write https://…")
    if parts.username or parts.password:
        raise ImportFileError(f"{parts.hostname}: a user name and password within an address are not sent")
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        ip = _resolve(parts.hostname, port, allow_private=allow_private)
        connection = _Connection(parts.hostname, port, ip, is_secure=parts.scheme == "https")
        headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
        if known.etag:
            headers["If-None-Match"] = known.etag
        if known.last_modified:
            headers["If-Modified-Since"] = known.last_modified
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise ImportFileError(f"{address[:200]}: cannot be fetched: {error}") from error
    try:
        yield answer
    finally:
        connection.close()


def _resolve(host: str, port: int, *, allow_private: bool) -> str:
    """The first address of `host`. All must be public, so that a name cannot hide one behind another."""
    found = {str(each[4][0]) for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    if not allow_private and (private := [each for each in sorted(found) if not _is_public(each)]):
        raise ImportFileError(
            f"{host}: {private[0]} is an address of a private network; allow it with "
            "--allow-private-addresses if you trust the feed"
        )
    return min(sorted(found), key=lambda each: ":" in each)


def _is_public(ip: str) -> bool:
    address = ipaddress.ip_address(ip.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address.is_global and not address.is_multicast


class _Connection(http.client.HTTPConnection):
    """A connection to an address that was checked before, with the certificate of the host's name."""

    def __init__(self, host: str, port: int, ip: str, *, is_secure: bool) -> None:
        super().__init__(host, port, timeout=TIMEOUT)
        self._ip, self._context = ip, ssl.create_default_context() if is_secure else None

    def connect(self) -> None:
        plain = socket.create_connection((self._ip, self.port), TIMEOUT)
        self.sock = self._context.wrap_socket(plain, server_hostname=self.host) if self._context else plain


def _copy(answer: http.client.HTTPResponse, file: IO[Any], address: str, max_bytes: int) -> None:
    copied = 0
    try:
        while block := answer.read(256 * 1024):
            copied += len(block)
            if copied > max_bytes:
                raise ImportFileError(
                    f"{address}: more than {max_bytes:,} bytes; raise IMPORT_MAX_DOWNLOAD_MB if that is right"
                )
            file.write(block)
    except (OSError, http.client.HTTPException) as error:
        raise ImportFileError(f"{address}: the answer ends early after {copied:,} bytes: {error}") from error
