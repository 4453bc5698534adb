"""Feeds from addresses and from standard input."""

import io
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from apps.postings.models import Posting
from apps.records.models import Import

pytestmark = pytest.mark.django_db


class Feed(BaseHTTPRequestHandler):
    """Answers with a table and its ETag; /moved redirects there, /inside to another private address."""

    requests: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        """Answer one request."""
        Feed.requests.append(self.path)
        if self.path in ("/moved", "/inside"):
            self.send_response(302)
            self.send_header(
                "Location", "/jobs.csv" if self.path == "/moved" else "http://169.254.169.254/secret"
            )
            self.end_headers()
        elif self.headers.get("If-None-Match") == '"one"':
            self.send_response(304)
            self.end_headers()
        else:
            self.send_response(200)
            self.send_header("ETag", '"one"')
            self.end_headers()
            self.wfile.write(b"external_id,title\n1,Cook\n2,Baker\n")

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    Feed.requests.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Feed)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def fetch(*arguments: str) -> str:
    out = io.StringIO()
    call_command("import_postings", *arguments, "--no-progress", stdout=out, stderr=io.StringIO())
    return out.getvalue()


def test_address_of_a_private_network_is_refused_unless_it_is_allowed(address: str) -> None:
    with pytest.raises(CommandError, match="an address of a private network") as error:
        fetch(f"{address}/jobs.csv")
    assert error.value.returncode == 2
    assert Feed.requests == [] and not Posting.objects.exists()
    assert "2 new" in fetch(f"{address}/moved", "--allow-private-addresses", "--source", "s")
    assert set(Posting.objects.values_list("source", "external_id")) == {("s", "1"), ("s", "2")}


def test_unchanged_feed_is_not_read_again(address: str) -> None:
    fetch(f"{address}/jobs.csv", "--allow-private-addresses")
    assert "not changed" in fetch(f"{address}/jobs.csv", "--allow-private-addresses")
    assert Import.objects.count() == 1


def test_feed_beyond_the_bound_stores_nothing(address: str, settings: Any) -> None:
    settings.IMPORT_MAX_DOWNLOAD_MB = 0
    with pytest.raises(CommandError, match="more than 0 bytes"):
        fetch(f"{address}/jobs.csv", "--allow-private-addresses")
    assert not Posting.objects.exists()


def test_redirect_into_a_private_network_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # The first address counts as public here, the one that it leads to does not.
    from apps.records.reading import fetching

    is_public = fetching._is_public
    monkeypatch.setattr(fetching, "_is_public", lambda ip: ip == "127.0.0.1" or is_public(ip))
    with pytest.raises(CommandError, match=r"169\.254\.169\.254 is an address of a private network"):
        fetch(f"{address}/inside")


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    table = b"Ref;Job title\n7;Cook\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(table), encoding="utf-8"))
    assert "1 new" in fetch("-", "--yes", "--source", "s")
    assert Posting.objects.values_list("external_id", "title").get() == ("7", "Cook")
