"""The two caches: what hits, what is counted, and that a clearance is part of the key."""

import asyncio
from typing import Any

from contracts.domains import Clearance
from runtime.caching import Cache, Key
from runtime.errors import UnavailableError
from runtime.telemetry import NoTelemetry


class Counts(NoTelemetry):
    def __init__(self) -> None:
        self.outcomes: list[str] = []

    def count(self, metric: str, amount: float = 1, **labels: Any) -> None:  # noqa: ARG002 - the port's
        self.outcomes.append(labels["outcome"])


class Shared:
    """A SharedCache in a dict; `away` makes it fail."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.away = False

    async def get(self, key: str) -> bytes | None:
        if self.away:
            raise UnavailableError("shared", "away")
        return self.values.get(key)

    async def put(self, key: str, value: bytes, *, ttl_s: float) -> None:  # noqa: ARG002 - the port's
        if self.away:
            raise UnavailableError("shared", "away")
        self.values[key] = value


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
        shared.values.clear()
        assert await here.get(LOW, ttl_s=10) is None
        assert counts.outcomes == ["miss", "l1", "l2", "miss"]

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
