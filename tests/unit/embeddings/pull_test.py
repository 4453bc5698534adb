"""Addresses that `pull` accepts."""

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from apps.rpc.addresses import is_address


@pytest.mark.parametrize(
    "address",
    ["http://localhost:18051", "localhost", "localhost:", ":50051", "a:0", "a:65536", "::1:5", "unix:"],
)
def test_pull_refuses_an_address_without_host_or_port(address: str) -> None:
    with pytest.raises(CommandError, match=r"^address '.*' is not of the form host:port, such as "):
        call_command("pull", address)


@pytest.mark.parametrize(
    "address", ["localhost:1", "10.0.0.7:50051", "[::1]:65535", "unix:/run/embedding.sock"]
)
def test_is_address_accepts_host_and_port_and_unix_sockets(address: str) -> None:
    assert is_address(address)
