"""A jobrec of real processes for each module of integration tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack import Stack


@pytest.fixture(scope="module")
def stack(servers: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A jobrec with a new database for each module. Tests start the processes that they need."""
    running = Stack(servers, tmp_path_factory.mktemp("stack"))
    try:
        running.create()
        yield running
    finally:
        running.close()
