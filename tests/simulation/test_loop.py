"""The loop of the simulation: order, time, death and pause."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from tests.simulation.loop import Process, SimLoop, StuckError, context_of


def loop_of(seed: int, *, shuffled: bool = True) -> SimLoop:
    return SimLoop(seed, shuffled=shuffled)  # type: ignore[abstract] # no sockets


def order_of(seed: int, *, shuffled: bool = True) -> list[str]:
    """In which order five tasks take three steps each."""
    taken: list[str] = []

    async def walk(name: str) -> None:
        for number in range(3):
            taken.append(f"{name}{number}")
            await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(*map(walk, "abcde"))

    loop = loop_of(seed, shuffled=shuffled)
    loop.run_until(main())
    loop.end()
    return taken


def test_the_order_follows_from_the_seed() -> None:
    assert order_of(1) == order_of(1)
    assert order_of(1) != order_of(2)
    plain = order_of(1, shuffled=False)
    assert plain == [f"{name}{number}" for number in range(3) for name in "abcde"]
    for seed in range(20):
        begun = [one for one in order_of(seed) if one.endswith("0")]
        assert begun == ["a0", "b0", "c0", "d0", "e0"], "what one step creates begins in order"


def test_time_jumps_to_what_comes_next() -> None:
    async def main() -> float:
        await asyncio.sleep(86_400)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.Event().wait()
        return asyncio.get_running_loop().time()

    loop = loop_of(1)
    assert loop.run_until(main()) == 86_405
    loop.end()


def worlds_end(act: Coroutine[Any, Any, None], loop: SimLoop) -> None:
    loop.run_until(act)
    loop.end()


def test_who_is_killed_takes_no_step_more_and_cleans_up_nothing() -> None:
    steps: list[str] = []

    async def victim() -> None:
        try:
            while True:
                steps.append("step")
                await asyncio.sleep(1)
        finally:
            steps.append("cleaned up")

    loop = loop_of(1)

    async def main() -> None:
        process = Process("victim")
        loop.create_task(victim(), context=context_of(process))
        await asyncio.sleep(2.5)
        loop.kill(process)
        await asyncio.sleep(10)
        assert steps == ["step"] * 3

    worlds_end(main(), loop)


def test_who_is_paused_goes_on_where_he_was() -> None:
    seen: list[float] = []

    async def walker() -> None:
        for _ in range(3):
            seen.append(asyncio.get_running_loop().time())
            await asyncio.sleep(1)

    loop = loop_of(1)

    async def main() -> None:
        process = Process("walker")
        loop.create_task(walker(), context=context_of(process))
        await asyncio.sleep(0.5)
        loop.hold(process)
        await asyncio.sleep(5)
        assert seen == [0]
        loop.resume(process)
        await asyncio.sleep(5)
        assert seen == [0, 5.5, 6.5]

    worlds_end(main(), loop)


def test_a_world_in_which_nothing_can_happen_is_said_to_be_stuck() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    loop = loop_of(1)
    with pytest.raises(StuckError):
        loop.run_until(main())
    loop.end()
