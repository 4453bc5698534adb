from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack import Stack


@pytest.fixture(scope="module")
def stack(servers: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A jobrec whose database is new for each module; processes are started by the tests."""
    running = Stack(servers, tmp_path_factory.mktemp("stack"))
    try:
        running.create()
        yield running
    finally:
        running.close()
