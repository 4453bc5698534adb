"""Generations in Redis: the one place that decides what is fresh for every process of every host.

A generation is the time in microseconds at which a tag was last raised, never lower than before. Times, not
counters: after a Redis that lost its memory no old generation can come back.
"""

from collections.abc import Callable, Sequence
from typing import Any, cast

import orjson
from redis import Redis

from apps.caching.shared import ask, connection, tell

KEY = "jobrec:generation:"
# Longer than any cached answer lives: a row's generation may be forgotten only after the answers that carry it.
ROW_TTL = 7 * 24 * 3600  # seconds
RUN_TTL = 24 * 3600  # seconds for which a repeated run_id is known
PREPARED = "jobrec:prepared-for:"


def channel() -> str:
    """Where invalidations are announced. Redis knows one set of channels for all its logical databases."""
    return f"jobrec:invalidations:{connection().connection_pool.connection_kwargs.get('db', 0)}"


# KEYS: run key, prepared key, generation keys. ARGV: run_id ("" for none), channel, ROW_TTL, RUN_TTL, tags.
# Returns {processes reached, generation, …}; a repeated run_id raises nothing. A tag takes the generation that answers
# were prepared for, unless it was raised since: then what was prepared may be stale, and is never found.
_RAISE = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local prepared = tonumber(redis.call('GET', KEYS[2]) or '0')
local repeated = ARGV[1] ~= '' and redis.call('SET', KEYS[1], '1', 'NX', 'EX', ARGV[4]) == false
local answer = {0}
local message = {}
for i = 3, #KEYS do
    local tag = ARGV[i + 2]
    local old = tonumber(redis.call('GET', KEYS[i]) or '0')
    local generation = old
    if not repeated then
        generation = prepared > old and prepared or math.max(now, old + 1)
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

# A list or `:*` tag without a generation gets one now; a row that was never named has generation 0.
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


def raise_tags(tags: Sequence[str], *, run_id: str = "") -> tuple[dict[str, int], int]:
    """Raises every tag and tells all listening web processes.

    Returns the generation of each tag and the number of processes reached. Idempotent by `run_id`.
    Raises CacheUnavailableError.
    """
    keys = [f"jobrec:invalidated-by:{run_id}", PREPARED + run_id, *(KEY + tag for tag in tags)]
    answer = tell(_script(_RAISE, keys, [run_id, channel(), ROW_TTL, RUN_TTL, *tags]))
    return dict(zip(tags, map(int, answer[1:]), strict=True)), int(answer[0])


def read_tags(tags: Sequence[str]) -> dict[str, int]:
    """The generation of each tag. Raises CacheUnavailableError."""
    answer = ask(_script(_READ, [KEY + tag for tag in tags], tags))
    return dict(zip(tags, map(int, answer), strict=True))


def upcoming() -> int:
    """A generation for answers that are computed now and found once it is raised. Raises CacheUnavailableError."""
    seconds, microseconds = ask(lambda redis: redis.time())
    return int(seconds) * 1_000_000 + int(microseconds)


def parse_message(data: bytes) -> dict[str, int]:
    """Generations in a message on the channel."""
    return {tag: int(generation) for tag, generation in orjson.loads(data).items()}


def _script(script: str, keys: Sequence[str], arguments: Sequence[Any]) -> Callable[[Redis], list[Any]]:
    return lambda redis: cast("list[Any]", redis.eval(script, len(keys), *keys, *arguments))
