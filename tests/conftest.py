"""Embedded servers for the whole run, started with the first test that needs them."""

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

# A submission is judged by the same examples each time; who runs the tests at home looks for new ones.
# A busy machine is no finding.
patient: Any = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
hypothesis_settings.register_profile("home", **patient)
hypothesis_settings.register_profile("judged", derandomize=True, **patient)
hypothesis_settings.load_profile("judged" if os.environ.get("CI") else "home")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        embedded.postgres_user()  # once, before processes that test side by side would both create it


@pytest.fixture(scope="session")
def servers() -> Iterator[Path]:
    """PostgreSQL and Valkey on the run's data folder."""
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
    """pytest-django's hook before it creates the test database."""


def empty_caches() -> None:
    """Both cache levels of this process forget everything; so does the broker, to which hints may have been sent."""
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
    empty_caches()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real material beside the checkout; tests that need it are skipped where it is missing."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"{SHARED_DATA} is not here")
    return SHARED_DATA
