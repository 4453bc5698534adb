"""Generations of tags in Redis. They decide which cached responses are fresh, in every process of every host.

A generation is the time, in microseconds, at which a tag was last incremented. It never decreases.
Generations are times and not counters, so that none comes back after Redis has lost its memory.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, cast

import orjson
from redis import Redis

from apps.caching import shared

KEY = "jobrec:generation:"
# Longer than any cached response lives: the generation of a row must outlive the responses that depend on it.
ROW_TTL = 7 * 24 * 3600  # seconds
RUN_TTL = 24 * 3600  # seconds during which a repeated run_id is recognized
WARMED_AHEAD = "jobrec:warmed-ahead:"  # the generation under which a run's warm responses are stored


def channel() -> str:
    """The channel of invalidations, one per logical database, since those share the channels of Redis."""
    return f"jobrec:invalidations:{shared.connection().connection_pool.connection_kwargs.get('db', 0)}"


# KEYS: run key, warmed-ahead key, generation keys. ARGV: digest of the tags ("" without a run_id), channel,
# ROW_TTL, RUN_TTL, tags. Returns {processes reached, generation, …}. A repeated run_id increments nothing;
# with other tags than before it returns {}. A tag takes the generation of the responses that were warmed
# ahead, unless it is beyond that already: then those may be stale and must not be found.
_INCREMENT = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local warmed_ahead = tonumber(redis.call('GET', KEYS[2]) or '0')
local repeated = ARGV[1] ~= '' and redis.call('SET', KEYS[1], ARGV[1], 'NX', 'EX', ARGV[4]) == false
if repeated and redis.call('GET', KEYS[1]) ~= ARGV[1] then return {} end
local answer = {0}
local message = {}
for i = 3, #KEYS do
    local tag = ARGV[i + 2]
    local old = tonumber(redis.call('GET', KEYS[i]) or '0')
    local generation = old
    if not repeated then
        generation = warmed_ahead > old and warmed_ahead or math.max(now, old + 1)
        local text = string.format('%.0f', generation)
        if string.find(tag, ':%d+$') then
            redis.call('SET', KEYS[i], text, 'EX', ARGV[3])
        else
            redis.call('SET', KEYS[i], text)
        end
        message[tag] = text
    end
    answer[i - 1] = string.format('%.0f', generation)
end
if not repeated then answer[1] = redis.call('PUBLISH', ARGV[2], cjson.encode(message)) end
return answer
"""

# A tag of a list or `:*` without a generation gets one now. A row that was never invalidated has 0.
_READ = """
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000000 + time[2])
local answer = {}
for i = 1, #KEYS do
    local generation = redis.call('GET', KEYS[i])
    if not generation then
        if string.find(ARGV[i], ':%d+$') then
            generation = '0'
        else
            redis.call('SET', KEYS[i], now)
            generation = now
        end
    end
    answer[i] = generation
end
return answer
"""


class RunIdReusedError(Exception):
    """A run_id came with other namespaces or ids before, so nothing was done for these."""


def digest(tags: Sequence[str]) -> str:
    """A short form of what a run_id stands for."""
    return hashlib.sha256(orjson.dumps(sorted(tags))).hexdigest()


def increment_tags(tags: Sequence[str], *, run_id: str = "") -> tuple[dict[str, int], int]:
    """Increment the generations of tags and publish them to all web processes. Idempotent by `run_id`.

    Returns the generation of each tag, and the number of processes that listened. Raises
    CacheUnavailableError, or RunIdReusedError if the same run_id came with other tags before.
    """
    keys = [f"jobrec:invalidated-by:{run_id}", WARMED_AHEAD + run_id, *(KEY + tag for tag in tags)]
    script = _script(_INCREMENT, keys, [run_id and digest(tags), channel(), ROW_TTL, RUN_TTL, *tags])
    answer = shared.write(script, bypass_breaker=True)
    if not answer:
        raise RunIdReusedError(run_id)
    return dict(zip(tags, map(int, answer[1:]), strict=True)), int(answer[0])


def read_tags(tags: Sequence[str]) -> dict[str, int]:
    """The generation of each tag. Raises CacheUnavailableError."""
    answer = shared.read(_script(_READ, [KEY + tag for tag in tags], tags))
    return dict(zip(tags, map(int, answer), strict=True))


def planned_generation() -> int:
    """A generation that no tag has yet, for responses that are warmed ahead. Raises CacheUnavailableError."""
    seconds, microseconds = shared.read(lambda redis: redis.time())
    return int(seconds) * 1_000_000 + int(microseconds)


def parse_message(data: bytes) -> dict[str, int]:
    """The generations in a message of the channel."""
    return {tag: int(generation) for tag, generation in orjson.loads(data).items()}


def _script(script: str, keys: Sequence[str], arguments: Sequence[Any]) -> Callable[[Redis], list[Any]]:
    return lambda redis: cast("list[Any]", redis.eval(script, len(keys), *keys, *arguments))
