"""The two caches: what hits, what is counted, and that a clearance is part of the key."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from adapters.memory_cache import MemoryCache
from contracts.domains import Clearance
from runtime.caching import AWAY_S, Cache, Key
from runtime.errors import UnavailableError
from runtime.telemetry import NoTelemetry


class Counts(NoTelemetry):
    def __init__(self) -> None:
        self.outcomes: list[str] = []

    def count(self, metric: str, amount: float = 1, **labels: Any) -> None:  # noqa: ARG002 - the port's
        self.outcomes += [labels["outcome"]] * int(amount)


class Shared(MemoryCache):
    """A SharedCache that counts what it is asked; `away` makes it fail."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.asked = 0

    async def get_all(self, keys: Sequence[str]) -> list[bytes | None]:
        self.asked += 1
        if self.away:
            raise UnavailableError("shared", "away")
        return await super().get_all(keys)

    async def put_all(self, values: Mapping[str, bytes], *, ttl_s: float) -> None:
        self.asked += 1
        if self.away:
            raise UnavailableError("shared", "away")
        await super().put_all(values, ttl_s=ttl_s)


LOW = Key("answers", Clearance.INTERNAL, b"what")
HIGH = Key("answers", Clearance.RESTRICTED, b"what")


def test_a_hit_comes_from_here_then_from_the_shared_one_and_each_is_counted() -> None:
    async def body() -> None:
        shared, counts, now = Shared(), Counts(), [0.0]
        here = Cache(counts, shared, clock=lambda: now[0])
        assert await here.get(LOW, ttl_s=10) is None
        await here.put(LOW, b"v", ttl_s=10)
        assert await here.get(LOW, ttl_s=10) == b"v"
        assert await Cache(counts, shared).get(LOW, ttl_s=10) == b"v"
        now[0] = 10.0
        await shared.put_all({LOW.text: b""}, ttl_s=0)
        assert await here.get(LOW, ttl_s=10) is None
        assert counts.outcomes == ["miss", "l1", "l2", "miss"]

    asyncio.run(body())


def test_what_is_not_shared_at_once_is_shared_once_when_it_hits() -> None:
    async def body() -> None:
        shared, counts = Shared(), Counts()
        here = Cache(counts, shared)
        await here.put(LOW, b"v", ttl_s=10, share=False)
        assert shared.asked == 0
        assert await Cache(counts, shared).get(LOW, ttl_s=10) is None
        for _ in range(3):
            assert await here.get(LOW, ttl_s=10) == b"v"
        assert shared.asked == 2
        there = Cache(counts, shared)
        for _ in range(2):
            assert await there.get(LOW, ttl_s=10) == b"v"
        assert shared.asked == 3
        assert counts.outcomes == ["miss", "l1", "l1", "l1", "l2", "l1"]

    asyncio.run(body())


def test_what_was_made_for_a_higher_reader_is_nobody_elses() -> None:
    async def body() -> None:
        shared = Shared()
        cache = Cache(NoTelemetry(), shared)
        await cache.put(HIGH, b"secret", ttl_s=10)
        assert await cache.get(LOW, ttl_s=10) is None
        assert await Cache(NoTelemetry(), shared).get(LOW, ttl_s=10) is None
        assert HIGH.text != LOW.text

    asyncio.run(body())


def test_a_shared_cache_that_is_away_misses_and_a_full_one_forgets_what_was_used_longest_ago() -> None:
    async def body() -> None:
        shared = Shared()
        shared.away = True
        cache = Cache(NoTelemetry(), shared, entries_max=2)
        keys = [Key("s", Clearance.PUBLIC, bytes([n])) for n in range(3)]
        await cache.put(keys[0], b"0", ttl_s=10)
        await cache.put(keys[1], b"1", ttl_s=10)
        await cache.get(keys[0], ttl_s=10)
        await cache.put(keys[2], b"2", ttl_s=10)
        assert [await cache.get(key, ttl_s=10) for key in keys] == [b"0", None, b"2"]

    asyncio.run(body())


def test_one_that_was_away_is_left_alone_for_a_while() -> None:
    async def body() -> None:
        shared, now = Shared(), [0.0]
        cache = Cache(NoTelemetry(), shared, clock=lambda: now[0])
        shared.away = True
        assert await cache.get_all([LOW, HIGH], ttl_s=10) == [None, None]
        asked = shared.asked
        shared.away = False
        await cache.put(LOW, b"v", ttl_s=10)
        assert shared.asked == asked
        now[0] = AWAY_S
        await cache.put(HIGH, b"w", ttl_s=10)
        assert await Cache(NoTelemetry(), shared).get_all([LOW, HIGH], ttl_s=10) == [None, b"w"]

    asyncio.run(body())


def test_values_are_bounded_in_bytes_and_a_value_put_again_counts_once() -> None:
    async def body() -> None:
        cache = Cache(NoTelemetry(), bytes_max=10)
        keys = [Key("s", Clearance.PUBLIC, bytes([n])) for n in range(3)]
        for _ in range(5):
            await cache.put(keys[0], b"1234", ttl_s=10)
        await cache.put(keys[1], b"1234", ttl_s=10)
        assert await cache.get_all(keys, ttl_s=10) == [b"1234", b"1234", None]
        await cache.put(keys[2], b"1234", ttl_s=10)
        assert await cache.get_all(keys, ttl_s=10) == [None, b"1234", b"1234"]

    asyncio.run(body())
