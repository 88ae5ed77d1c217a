"""Slots: bounds, fairness between kinds, priorities under load."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from runtime.slots import WEIGHTS, Slots


def run(body: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(body(), 20))


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_no_more_than_allowed_of_a_kind_and_in_all_and_everybody_comes_to_his_turn() -> None:
    @given(
        work=st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 5)), max_size=60),
        total=st.integers(1, 8),
        each=st.integers(1, 4),
    )
    def check(work: list[tuple[str, int]], total: int, each: int) -> None:
        running: Counter[str] = Counter()
        done = 0

        async def one(slots: Slots, kind: str, priority: int) -> None:
            nonlocal done
            async with slots.turn(kind, priority) as turn:
                running[kind] += 1
                assert running[kind] <= each
                assert running.total() <= total
                await asyncio.sleep(0)
                running[kind] -= 1
                turn.give()
                await asyncio.sleep(0)
                await turn.take()
            done += 1

        async def body() -> None:
            slots = Slots(total, each)
            await asyncio.gather(*(one(slots, kind, priority) for kind, priority in work))
            assert done == len(work)

        run(body)

    check()


def test_under_load_the_highest_goes_first_and_the_lowest_is_not_starved() -> None:
    order: list[int] = []

    async def one(slots: Slots, priority: int) -> None:
        async with slots.turn("k", priority):
            order.append(priority)

    async def body() -> None:
        slots = Slots(1, 1)
        busy = slots.turn("k", 3)
        await busy.take()
        waiting = [asyncio.create_task(one(slots, priority)) for _ in range(200) for priority in WEIGHTS]
        await settle()
        busy.give()
        await asyncio.gather(*waiting)

    run(body)
    first = Counter(order[:310])
    assert sum(order[:31]) > sum(order[-31:])
    for priority, weight in WEIGHTS.items():
        assert abs(first[priority] - 10 * weight) <= 2, first


def test_a_full_kind_keeps_no_other_waiting() -> None:
    async def body() -> None:
        slots = Slots(4, 2)
        held = [slots.turn("slow", 5) for _ in range(2)]
        for turn in held:
            await turn.take()
        blocked = asyncio.create_task(slots.turn("slow", 5).take())
        await settle()
        async with slots.turn("quick", 1):
            assert not blocked.done()
        held[0].give()
        await blocked

    run(body)


def test_who_gives_up_waiting_takes_no_slot_along() -> None:
    async def body() -> None:
        slots = Slots(1, 1)
        held = slots.turn("k", 3)
        await held.take()
        waiting = [asyncio.create_task(slots.turn("k", 3).take()) for _ in range(3)]
        await settle()
        waiting[0].cancel()
        held.give()
        waiting[1].cancel()  # It was given the slot at this moment.
        await waiting[2]
        assert [task.cancelled() for task in waiting] == [True, True, False]

    run(body)
