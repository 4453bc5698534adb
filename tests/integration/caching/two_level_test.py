"""The two-level cache against a real Valkey."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from apps.caching import generations, shared, tags
from apps.caching.mirror import GenerationMirror
from apps.caching.shared import CacheUnavailableError
from apps.caching.two_level import Computed, TwoLevelCache
from tests.stack import wait_until

pytestmark = pytest.mark.usefixtures("clean_cache")


NewProcess = Callable[[], TwoLevelCache]


@pytest.fixture
def new_process() -> Iterator[NewProcess]:
    """A factory of the caches of web processes, each with its own L1 and its own copy of the generations."""
    mirrors: list[GenerationMirror] = []

    def make() -> TwoLevelCache:
        mirrors.append(GenerationMirror())
        assert mirrors[-1].wait_until_subscribed(5)
        return TwoLevelCache(mirrors[-1])

    yield make
    for mirror in mirrors:
        mirror.close()


@pytest.fixture
def process(new_process: NewProcess) -> TwoLevelCache:
    return new_process()


class CountingComputation:
    """A computation that returns how often it was called."""

    def __init__(self) -> None:
        self.computed = 0

    def __call__(self) -> int:
        self.computed += 1
        return self.computed


def look_up(cache: TwoLevelCache, compute: Any, **arguments: Any) -> Any:
    depends_on = tags.of_list("postings") + tags.of_row("candidates", arguments.get("candidate", 1))
    return cache.get_or_compute("test", arguments, tags=depends_on, compute=lambda: Computed(compute()))


def test_entry_of_another_version_is_computed_again(new_process: NewProcess) -> None:
    compute = CountingComputation()
    assert look_up(new_process(), compute) == 1
    redis = shared.connection()
    for key in redis.scan_iter("jobrec:answer:*"):
        redis.set(key, b"not the present format")
    process = new_process()
    assert [look_up(process, compute), look_up(process, compute)] == [2, 2]


def test_value_is_computed_once_for_all_processes(process: TwoLevelCache, new_process: NewProcess) -> None:
    compute = CountingComputation()
    assert [look_up(process, compute) for _ in range(3)] == [1, 1, 1]
    assert look_up(new_process(), compute) == 1
    assert look_up(process, compute, page=2) == 2


@pytest.mark.parametrize(
    ("namespaces", "ids", "fresh"),
    [
        (["postings"], [], True),
        (["postings"], [4, 5], True),  # lists depend on every posting
        (["candidates"], [], True),
        (["candidates"], [1], True),
        (["candidates"], [2], False),  # another candidate
        (["skills"], [], False),
    ],
)
def test_invalidation_makes_every_process_compute_again_what_depends_on_the_rows(
    process: TwoLevelCache, new_process: NewProcess, namespaces: list[str], ids: list[int], fresh: bool
) -> None:
    other, compute = new_process(), CountingComputation()
    marked = CountingComputation()

    def mark(cache: TwoLevelCache) -> int:
        return cache.get_or_compute("mark", {}, tags=["mark"], compute=lambda: Computed(marked()))

    for cache in (process, other):
        assert (look_up(cache, compute), mark(cache)) == (1, 1)
    _, reached = generations.increment_tags(tags.changed(namespaces, ids))
    assert reached >= 2
    # Messages arrive in order: a process that received this one has received the one before.
    generations.increment_tags(["mark"])
    wait_until(lambda: [mark(process), mark(other)] == [2, 2], "both processes received the invalidation")
    assert [look_up(process, compute), look_up(other, compute)] == [2 if fresh else 1] * 2


def test_run_increments_generations_once_when_the_call_is_repeated() -> None:
    first, _ = generations.increment_tags(["postings"], run_id="run-7")
    again, reached_again = generations.increment_tags(["postings"], run_id="run-7")
    assert again == first
    assert reached_again == 0
    assert generations.increment_tags(["postings"], run_id="run-8")[0]["postings"] > first["postings"]


def test_generations_increase_after_redis_lost_its_data() -> None:
    before, _ = generations.increment_tags(["postings"])
    shared.connection().flushdb()
    assert generations.read_tags(["postings"])["postings"] > before["postings"]


def test_value_of_old_rows_is_not_found_when_they_change_during_the_computation(
    process: TwoLevelCache,
) -> None:
    def slow() -> str:
        generations.increment_tags(tags.changed(["postings"]))
        return "old"

    look_up(process, slow)
    wait_until(lambda: look_up(process, lambda: "new") == "new", "the old value is not found", timeout=2)


def test_exception_is_raised_and_not_cached(process: TwoLevelCache) -> None:
    def fails() -> None:
        raise ValueError("no")

    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            look_up(process, fails)
    assert look_up(process, lambda: "fine") == "fine"


def test_value_that_is_not_cacheable_is_returned_and_not_cached(process: TwoLevelCache) -> None:
    count = CountingComputation()

    def compute() -> Computed[int]:
        value = count()
        return Computed(value, is_cacheable=value > 2)

    def once() -> int:
        return process.get_or_compute("test", {}, tags=(), compute=compute)

    assert [once() for _ in range(5)] == [1, 2, 3, 3, 3]


def test_none_is_cached_like_any_value(process: TwoLevelCache) -> None:
    calls: list[int] = []
    for _ in range(2):
        assert look_up(process, lambda: calls.append(1)) is None
    assert calls == [1]


def test_value_is_computed_once_when_many_threads_look_it_up(process: TwoLevelCache) -> None:
    compute = CountingComputation()

    def slow() -> int:
        time.sleep(0.2)
        return compute()

    results: list[int] = []
    threads = [threading.Thread(target=lambda: results.append(look_up(process, slow))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [1] * 8


def test_cache_works_in_the_process_when_redis_is_unavailable(
    process: TwoLevelCache, monkeypatch: Any
) -> None:
    compute = CountingComputation()
    assert look_up(process, compute) == 1

    def fail(*_: Any, **__: Any) -> Any:
        raise RedisConnectionError("refused")

    monkeypatch.setattr("redis.connection.ConnectionPool.get_connection", fail)
    with pytest.raises(CacheUnavailableError):
        generations.increment_tags(["postings"])
    assert look_up(process, compute) == 1  # L1
    assert look_up(process, compute, page=2) == 2  # computed
    assert look_up(process, compute, page=2) == 2  # and cached in L1


def test_lookups_wait_once_when_redis_never_answers(new_process: NewProcess, settings: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, unresponsive_server(listening) as connected:
        url = f"redis://127.0.0.1:{listening.getsockname()[1]}/0"
        settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": url}}
        mirror, compute = GenerationMirror(), CountingComputation()
        mirror.close()  # its subscription would reconnect by itself
        cache = TwoLevelCache(mirror)
        assert [look_up(cache, compute, page=page) for page in range(3)] == [1, 2, 3]
        waited = len(connected)
        # The lookups connect once. The subscription of the process's own mirror may connect as well.
        assert 1 <= waited <= 2
        assert [look_up(cache, compute, page=page) for page in range(3, 30)] == list(range(4, 31))
        assert len(connected) <= waited + 1
    with pytest.raises(CacheUnavailableError, match="not tried"):
        generations.read_tags(["postings"])
    settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": settings.REDIS_CACHE_URL}}
    new_process()  # subscribes, which closes the circuit at once
    assert generations.read_tags(["postings"])["postings"] > 0


@contextmanager
def unresponsive_server(listening: socket.socket) -> Iterator[list[socket.socket]]:
    """A server that accepts connections and never responds. Yields its connections."""
    accepted: list[socket.socket] = []

    def accept() -> None:
        with suppress(OSError):  # closed
            while True:
                accepted.append(listening.accept()[0])

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield accepted
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()
        for each in accepted:
            each.close()


def test_invalidation_arrives_after_a_connection_died_without_being_closed(
    new_process: NewProcess, settings: Any, tmp_path: Path
) -> None:
    with relay(tmp_path / "relay", shared.connection()) as (url, silence_subscriptions):
        # Commands pass through this process, which may be slow on a busy machine.
        patient = settings.CACHES["default"]["OPTIONS"] | {"SOCKET_TIMEOUT": 10}
        settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": url, "OPTIONS": patient}}
        process, compute = new_process(), CountingComputation()
        assert [look_up(process, compute), look_up(process, compute)] == [1, 1]
        silence_subscriptions()
        generations.increment_tags(["postings"])
        wait_until(lambda: look_up(process, compute) == 2, "the invalidation is seen", timeout=30)
    settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": settings.REDIS_CACHE_URL}}


@contextmanager
def relay(path: Path, redis: Any) -> Iterator[tuple[str, Callable[[], None]]]:
    """A relay to Redis. Yields its URL, and a function that silences the subscriptions of this moment."""
    target = redis.connection_pool.connection_kwargs["path"]
    subscribed: set[socket.socket] = set()
    silent: set[socket.socket] = set()
    pairs: list[tuple[socket.socket, socket.socket]] = []

    def carry(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                if b"SUBSCRIBE" in data:
                    subscribed.update((source, sink))
                if source not in silent:
                    sink.sendall(data)

    def accept() -> None:
        with suppress(OSError):  # closed
            while True:
                client, server = listening.accept()[0], socket.socket(socket.AF_UNIX)
                server.connect(target)
                pairs.append((client, server))
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=carry, args=ends, daemon=True).start()

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield f"unix://{path}?db=2", lambda: silent.update(subscribed)
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for end in (end for pair in pairs for end in pair):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()


def test_unknown_namespace_is_rejected() -> None:
    with pytest.raises(
        ValueError, match="unknown cache namespace 'jobs': one of candidates, postings, skills"
    ):
        tags.changed(["jobs"])
