"""Small chunks for all tests of this folder."""

from typing import Any

import pytest


@pytest.fixture(autouse=True)
def small_chunks(settings: Any) -> None:
    settings.EMBEDDING_CHUNK_SIZE = 10
    settings.EMBEDDING_WAVE_SIZE = 2
    settings.EMBEDDING_WAVES_IN_FLIGHT = 2
