"""Send GraphQL requests to a running web server over HTTP, as a reader would."""

import json
import time
import urllib.error
import urllib.request
from typing import Any

TIMEOUT = 30.0  # seconds for one request
START_TIMEOUT = 120.0  # seconds for a server to come up


def post(port: int, content: dict[str, Any]) -> bytes:
    """Return the body of one answer. Raises OSError where the server is unreachable or answers another
    status."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql", json.dumps(content).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
        body: bytes = response.read()
    return body


def full_answer(port: int, content: dict[str, Any]) -> bytes:
    """Return the body of one answer, waiting for a server that is still starting.

    Ends the program where the answer holds an error or is degraded.
    """
    until = time.monotonic() + START_TIMEOUT
    while True:
        try:
            body = post(port, content)
        except urllib.error.HTTPError as error:
            raise SystemExit(f"Not a full answer: status {error.code}, {error.read()[:300]!r}.") from error
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)
        else:
            check_full(body)
            return body


def check_full(body: bytes, *, status: int = 200) -> None:
    """End the program where an answer has another status, holds an error or is degraded."""
    if status != 200 or b'"errors"' in body or b'"degraded":true' in body:
        raise SystemExit(f"Not a full answer: status {status}, {body[:300]!r}.")
