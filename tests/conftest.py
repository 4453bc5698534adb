"""Embedded servers for the whole test run, started by the first test that needs them."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from jobrec_site.local import embedded
from tests.settings import DATA

# In CI the examples are the same in every run; elsewhere each run tries new ones. A slow machine is not a
# failure.
patient: Any = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
hypothesis_settings.register_profile("random", **patient)
hypothesis_settings.register_profile("repeatable", derandomize=True, **patient)
hypothesis_settings.load_profile("repeatable" if os.environ.get("CI") else "random")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_configure(config: pytest.Config) -> None:
    """Create the user of the embedded PostgreSQL before parallel test processes would all create it."""
    if not hasattr(config, "workerinput"):
        embedded.postgres_user()


@pytest.fixture(scope="session")
def servers() -> Iterator[Path]:
    """PostgreSQL and Valkey, on the data folder of the test run."""
    commands = embedded.prepare_postgres(DATA, fast=True), embedded.prepare_valkey(DATA, fast=True)
    started = [command.start() for command in commands]
    embedded.wait_for_postgres(DATA)
    embedded.wait_for_valkey(DATA)
    yield DATA
    for process in started:
        process.terminate()
    for process in started:
        process.wait(20)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(servers: Path) -> None:
    """Start the servers before pytest-django creates the test database."""


def empty_caches() -> None:
    """Clear both cache levels of this process, and the broker, which may contain hints."""
    from django.conf import settings

    from apps.caching import shared
    from apps.caching.two_level import TwoLevelCache

    shared.connection().flushdb()
    with redis.Redis.from_url(settings.REDIS_BROKER_URL) as broker:
        broker.flushdb()
    shared.breaker.reset()
    TwoLevelCache.clear_every_l1()


@pytest.fixture
def clean_cache(servers: Path) -> None:
    """Empty caches."""
    empty_caches()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data next to the checkout. Tests that need it are skipped if it is missing."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"{SHARED_DATA} is missing")
    return SHARED_DATA
