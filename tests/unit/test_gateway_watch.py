"""Waiting for the read models: as long as it takes, never for a projector that is silent."""

import asyncio

from adapters.memory import MemoryBroker, MemoryRpc
from contracts import subjects
from contracts.domains import Domain
from gateway.watch import ProjectionWatch
from tests.gateway_world import run

SOPHIA = subjects.projected(Domain.SOPHIA)


def test_a_wait_ends_when_its_sequence_is_projected() -> None:
    async def body() -> None:
        rpc = MemoryRpc(MemoryBroker())
        watch = ProjectionWatch(rpc)
        await watch.start()
        waiting = asyncio.create_task(watch.reached(Domain.SOPHIA, 7, timeout_s=10))
        for sequence in (b"3", b"nonsense", b"6"):
            await rpc.announce(SOPHIA, sequence)
        await rpc.announce(subjects.projected(Domain.CEO), b"99")
        await asyncio.wait((waiting,), timeout=0.05)
        assert not waiting.done()
        await rpc.announce(SOPHIA, b"8")
        assert await waiting
        await rpc.announce(SOPHIA, b"2")
        assert await watch.reached(Domain.SOPHIA, 8, timeout_s=0)

    run(body)


def test_a_silent_projector_is_waited_for_once_until_it_is_heard_again() -> None:
    async def body() -> None:
        rpc = MemoryRpc(MemoryBroker())
        watch = ProjectionWatch(rpc)
        await watch.start()
        assert not await watch.reached(Domain.SOPHIA, 1, timeout_s=0.02)
        assert not await watch.reached(Domain.SOPHIA, 1, timeout_s=3_600)
        await rpc.announce(SOPHIA, b"1")
        await watch.advance(timeout_s=5)
        assert await watch.reached(Domain.SOPHIA, 1, timeout_s=0)

    run(body)
