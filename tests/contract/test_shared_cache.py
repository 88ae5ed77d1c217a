"""SharedCache: one suite for every adapter, on a real nats-server, too."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from adapters.jetstream import Broker
from adapters.jetstream_cache import KEYS_MAX, JetStreamCache
from adapters.jetstream_streams import Sizes, ensure_streams
from adapters.memory_cache import MemoryCache
from contracts import subjects
from contracts.domains import Clearance
from contracts.ids import new_id
from runtime.caching import Cache, Key, SharedCache
from runtime.errors import UnavailableError
from runtime.telemetry import NoTelemetry
from tests.servers import NatsServer, connected, with_broker

MIB = 1 << 20
Run = Callable[[Callable[[SharedCache], Awaitable[None]]], None]


@pytest.fixture(params=["memory", "jetstream"])
def run(request: pytest.FixtureRequest) -> Run:
    def go(scenario: Callable[[SharedCache], Awaitable[None]]) -> None:
        if request.param == "memory":
            asyncio.run(_bounded(scenario(MemoryCache())))
        else:
            server = request.getfixturevalue("nats_server")
            with_broker(server, lambda broker: _bounded(scenario(JetStreamCache(broker))))

    return go


async def _bounded(work: Awaitable[None]) -> None:
    await asyncio.wait_for(work, 30)


def test_the_last_value_of_each_key_is_there_until_its_time_is_over(run: Run) -> None:
    async def scenario(cache: SharedCache) -> None:
        one, other, none = new_id(), new_id(), new_id()
        assert await cache.get_all([one]) == [None]
        assert await cache.get_all([one, other]) == [None, None]
        await cache.put_all({one: b"first"}, ttl_s=60)
        await cache.put_all({one: bytes(range(256))}, ttl_s=60)
        await cache.put_all({other: b""}, ttl_s=0.5)
        assert await cache.get_all([one]) == [bytes(range(256))]
        assert await cache.get_all([none, one]) == [None, bytes(range(256))]
        while await cache.get_all([one, other]) != [bytes(range(256)), None]:  # noqa: ASYNC110 - only the broker's clock ends it
            await asyncio.sleep(0.02)
        assert await cache.get_all([other]) == [None]

    run(scenario)


def test_values_of_many_keys_do_not_disturb_each_other(run: Run) -> None:
    async def scenario(cache: SharedCache) -> None:
        keys = [Key("space", level, f"{new_id()}".encode()).text for level in Clearance for _ in range(20)]
        await cache.put_all({key: key.encode() for key in keys}, ttl_s=60)
        assert await cache.get_all(keys[::-1]) == [key.encode() for key in keys[::-1]]
        assert [await cache.get_all([key]) for key in keys] == [[key.encode()] for key in keys]

    run(scenario)


def test_more_keys_than_one_request_takes_are_several(run: Run) -> None:
    async def scenario(cache: SharedCache) -> None:
        keys = [new_id() for _ in range(2 * KEYS_MAX + 1)]
        await cache.put_all({key: key.encode() for key in keys[::2]}, ttl_s=60)
        assert await cache.get_all(keys) == [None if n % 2 else key.encode() for n, key in enumerate(keys)]

    run(scenario)


def test_processes_share_what_is_in_the_broker_and_each_clearance_has_its_own(nats_server: NatsServer) -> None:
    async def scenario(broker: Broker) -> None:
        what = new_id().encode()
        high, low = Key("space", Clearance.TOP_SECRET, what), Key("space", Clearance.PUBLIC, what)
        async with connected(nats_server) as elsewhere:
            await Cache(NoTelemetry(), JetStreamCache(broker)).put(high, b"secret", ttl_s=60)
            other = Cache(NoTelemetry(), JetStreamCache(elsewhere))
            assert await other.get(low, ttl_s=60) is None
            assert await other.get(high, ttl_s=60) == b"secret"

    with_broker(nats_server, scenario)


def test_a_full_one_forgets_the_oldest(own_server: NatsServer) -> None:
    async def scenario(broker: Broker) -> None:
        await ensure_streams(broker, sizes=Sizes(cache_bytes_max=MIB))
        for cache in (JetStreamCache(broker), MemoryCache(bytes_max=MIB)):
            for number in range(8):
                await cache.put_all({f"key-{number}": bytes(MIB // 5)}, ttl_s=60)
            found = [value is not None for value in await cache.get_all([f"key-{number}" for number in range(8)])]
            assert found == sorted(found)
            assert any(found)
            assert not all(found)

    with_broker(own_server, scenario)


def test_a_broker_that_is_gone_is_unavailable_and_a_cache_over_it_misses(own_server: NatsServer) -> None:
    async def scenario(broker: Broker) -> None:
        shared = JetStreamCache(broker)
        await shared.put_all({"key": b"value"}, ttl_s=60)
        own_server.kill()
        for keys in (["key"], ["key", "other"]):
            with pytest.raises(UnavailableError):
                await shared.get_all(keys)
            with pytest.raises(UnavailableError):
                await shared.put_all(dict.fromkeys(keys, b"value"), ttl_s=60)
        cache, key = Cache(NoTelemetry(), shared), Key("space", Clearance.PUBLIC, b"what")
        assert await cache.get(key, ttl_s=60) is None
        await cache.put(key, b"value", ttl_s=60)
        assert await cache.get(key, ttl_s=60) == b"value"
        own_server.start()

    with_broker(own_server, scenario)


def test_a_key_that_is_no_token_is_refused() -> None:
    with pytest.raises(ValueError, match="not a key"):
        subjects.cached("a.b")
