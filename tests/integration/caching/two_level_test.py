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
    """Makes what one web process holds: its own L1 and its own copy of the generations."""
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


class Answers:
    """A computation that counts, and answers its count."""

    def __init__(self) -> None:
        self.computed = 0

    def __call__(self) -> int:
        self.computed += 1
        return self.computed


def ask(cache: TwoLevelCache, compute: Any, **arguments: Any) -> Any:
    depends_on = tags.of_list("postings") + tags.of_row("candidates", arguments.get("candidate", 1))
    return cache.get_or_compute("test", arguments, tags=depends_on, compute=lambda: Computed(compute()))


def test_what_another_version_of_jobrec_stored_is_computed_anew(new_process: NewProcess) -> None:
    answers = Answers()
    assert ask(new_process(), answers) == 1
    redis = shared.connection()
    for key in redis.scan_iter("jobrec:answer:*"):
        redis.set(key, b"not as it is stored now")
    process = new_process()
    assert [ask(process, answers), ask(process, answers)] == [2, 2]


def test_an_answer_is_computed_once_and_found_by_other_processes(
    process: TwoLevelCache, new_process: NewProcess
) -> None:
    answers = Answers()
    assert [ask(process, answers) for _ in range(3)] == [1, 1, 1]
    assert ask(new_process(), answers) == 1
    assert ask(process, answers, page=2) == 2


@pytest.mark.parametrize(
    ("namespaces", "ids", "fresh"),
    [
        (["postings"], [], True),
        (["postings"], [4, 5], True),  # a posting changed: every list of postings may
        (["candidates"], [], True),
        (["candidates"], [1], True),
        (["candidates"], [2], False),  # another candidate
        (["skills"], [], False),
    ],
)
def test_invalidating_makes_every_process_answer_fresh(
    process: TwoLevelCache, new_process: NewProcess, namespaces: list[str], ids: list[int], fresh: bool
) -> None:
    other, answers = new_process(), Answers()
    marked = Answers()

    def mark(cache: TwoLevelCache) -> int:
        return cache.get_or_compute("mark", {}, tags=["mark"], compute=lambda: Computed(marked()))

    for cache in (process, other):
        assert (ask(cache, answers), mark(cache)) == (1, 1)
    _, reached = generations.increment_tags(tags.changed(namespaces, ids))
    assert reached >= 2
    # Messages arrive in their order: whoever has heard of this one has heard of the one before.
    generations.increment_tags(["mark"])
    wait_until(lambda: [mark(process), mark(other)] == [2, 2], "both have heard")
    assert [ask(process, answers), ask(other, answers)] == [2 if fresh else 1] * 2


def test_a_run_invalidates_once_however_often_it_says_so() -> None:
    first, _ = generations.increment_tags(["postings"], run_id="run-7")
    again, reached_again = generations.increment_tags(["postings"], run_id="run-7")
    assert again == first
    assert reached_again == 0
    assert generations.increment_tags(["postings"], run_id="run-8")[0]["postings"] > first["postings"]


def test_generations_rise_even_after_redis_lost_its_memory() -> None:
    before, _ = generations.increment_tags(["postings"])
    shared.connection().flushdb()
    assert generations.read_tags(["postings"])["postings"] > before["postings"]


def test_an_answer_computed_from_old_rows_is_never_found_after_the_change(process: TwoLevelCache) -> None:
    def slow() -> str:
        # The rows change and are invalidated while this answer is being computed from the old ones.
        generations.increment_tags(tags.changed(["postings"]))
        return "old"

    ask(process, slow)
    wait_until(lambda: ask(process, lambda: "new") == "new", "the old answer is not found", timeout=2)


def test_errors_are_not_cached(process: TwoLevelCache) -> None:
    def fails() -> None:
        raise ValueError("no")

    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            ask(process, fails)
    assert ask(process, lambda: "fine") == "fine"


def test_what_is_not_to_be_kept_is_answered_and_forgotten(process: TwoLevelCache) -> None:
    answers = Answers()

    def compute() -> Computed[int]:
        value = answers()
        return Computed(value, is_cacheable=value > 2)

    def once() -> int:
        return process.get_or_compute("test", {}, tags=(), compute=compute)

    assert [once() for _ in range(5)] == [1, 2, 3, 3, 3]


def test_empty_is_an_answer(process: TwoLevelCache) -> None:
    calls: list[int] = []
    for _ in range(2):
        assert ask(process, lambda: calls.append(1)) is None
    assert calls == [1]


def test_many_threads_make_one_flight(process: TwoLevelCache) -> None:
    answers = Answers()

    def slow() -> int:
        time.sleep(0.2)
        return answers()

    results: list[int] = []
    threads = [threading.Thread(target=lambda: results.append(ask(process, slow))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [1] * 8


def test_without_redis_the_process_still_answers_and_caches(process: TwoLevelCache, monkeypatch: Any) -> None:
    answers = Answers()
    assert ask(process, answers) == 1

    def gone(*_: Any, **__: Any) -> Any:
        raise RedisConnectionError("gone")

    monkeypatch.setattr("redis.connection.ConnectionPool.get_connection", gone)
    with pytest.raises(CacheUnavailableError):
        generations.increment_tags(["postings"])
    assert ask(process, answers) == 1  # L1
    assert ask(process, answers, page=2) == 2  # computed
    assert ask(process, answers, page=2) == 2  # and kept in L1


def test_a_redis_that_never_answers_costs_one_wait_not_one_for_each_lookup(
    new_process: NewProcess, settings: Any
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hole, hole_that_counts(hole) as connected:
        url = f"redis://127.0.0.1:{hole.getsockname()[1]}/0"
        settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": url}}
        mirror, answers = GenerationMirror(), Answers()
        mirror.close()  # its subscription tries again by itself, whatever the lookups do
        cache = TwoLevelCache(mirror)
        assert [ask(cache, answers, page=page) for page in range(3)] == [1, 2, 3]
        waited = len(connected)
        # The lookups wait once; the subscription that this process has for others may try for itself.
        assert 1 <= waited <= 2
        assert [ask(cache, answers, page=page) for page in range(3, 30)] == list(range(4, 31))
        assert len(connected) <= waited + 1
    with pytest.raises(CacheUnavailableError, match="not tried"):
        generations.read_tags(["postings"])
    settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": settings.REDIS_CACHE_URL}}
    new_process()  # subscribes: that Redis is back is known at once, not after the five seconds
    assert generations.read_tags(["postings"])["postings"] > 0


@contextmanager
def hole_that_counts(listening: socket.socket) -> Iterator[list[socket.socket]]:
    """Accepts connections and never says a word; yields those it has."""
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


def test_a_connection_that_dies_without_being_closed_is_noticed(
    new_process: NewProcess, settings: Any, tmp_path: Path
) -> None:
    with relay(tmp_path / "relay", shared.connection()) as (url, fall_silent):
        # Each command goes through this process: on a busy machine that may take longer than a reader would wait.
        patient = settings.CACHES["default"]["OPTIONS"] | {"SOCKET_TIMEOUT": 10}
        settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": url, "OPTIONS": patient}}
        process, answers = new_process(), Answers()
        assert [ask(process, answers), ask(process, answers)] == [1, 1]
        fall_silent()
        generations.increment_tags(["postings"])
        wait_until(lambda: ask(process, answers) == 2, "the invalidation is seen", timeout=30)
    settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": settings.REDIS_CACHE_URL}}


@contextmanager
def relay(path: Path, redis: Any) -> Iterator[tuple[str, Callable[[], None]]]:
    """Connections to Redis by way of a socket of its own: its URL, and what silences the subscriptions that stand."""
    target = redis.connection_pool.connection_kwargs["path"]
    subscribed: set[socket.socket] = set()
    silent: set[socket.socket] = set()
    pairs: list[tuple[socket.socket, socket.socket]] = []

    def carry(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while octets := source.recv(65_536):
                if b"SUBSCRIBE" in octets:
                    subscribed.update((source, sink))
                if source not in silent:
                    sink.sendall(octets)

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


def test_unknown_namespaces_are_refused() -> None:
    with pytest.raises(
        ValueError, match="unknown cache namespace 'jobs': one of candidates, postings, skills"
    ):
        tags.changed(["jobs"])
