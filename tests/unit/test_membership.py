"""Membership: who is to hold what, and who is taken for dead."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from adapters.memory import MemoryBroker, MemoryRpc
from contracts import subjects
from contracts.domains import Domain
from runtime.membership import Membership, assignment
from tests.kernel_world import LIMITS

QUICK = replace(LIMITS, heartbeat_s=0.02, member_s_max=0.1, hello_s=0.01)
ALL = frozenset(range(subjects.PARTITIONS))
_names = st.lists(st.uuids().map(str), min_size=1, max_size=20, unique=True)


def run(body: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(body(), 20))


@given(_names)
def test_every_partition_has_one_holder_and_nobody_has_two_more_than_another(workers: list[str]) -> None:
    found = assignment(workers)
    assert found.keys() == ALL
    loads = Counter(dict.fromkeys(workers, 0))
    loads.update(found.values())
    assert max(loads.values()) - min(loads.values()) <= 1
    assert assignment(sorted(workers)) == assignment(sorted(workers))


def test_most_partitions_stay_where_they_are_when_a_third_worker_comes() -> None:
    kept = []
    for number in range(50):
        two = [f"{number}a", f"{number}b"]
        before, after = assignment(two), assignment([*two, f"{number}c"])
        kept.append(sum(before[partition] == after[partition] for partition in ALL))
    assert sum(kept) / len(kept) > len(ALL) / 2


def member(broker: MemoryBroker, name: str) -> Membership:
    return Membership(MemoryRpc(broker), Domain.CEO, name, QUICK)


async def until(members: list[Membership], condition: Callable[[], bool]) -> None:
    while not condition():
        waiting = [asyncio.create_task(one.changed.wait()) for one in members]
        await asyncio.wait(waiting, timeout=QUICK.heartbeat_s, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        for one in members:
            one.changed.clear()


def test_those_who_come_partition_and_those_who_go_are_replaced() -> None:
    async def body() -> None:
        broker = MemoryBroker()
        one, two = member(broker, "one"), member(broker, "two")
        await one.start()
        assert one.mine() == ALL
        await two.start()
        await until([one, two], lambda: len(one.mine()) == len(two.mine()) == len(ALL) // 2)
        assert one.mine() | two.mine() == ALL
        for partition in two.mine():
            await two.hold(partition)
        await until([one], lambda: all(map(one.held_elsewhere, two.mine())))
        await two.leave()
        await until([one], lambda: one.mine() == ALL)
        assert one.held_elsewhere(max(ALL - assigned_to("one")))
        await two.stop()
        await until([one], lambda: not any(map(one.held_elsewhere, ALL)))
        await one.stop()

    run(body)


def assigned_to(name: str) -> frozenset[int]:
    return frozenset(partition for partition, worker in assignment(["one", "two"]).items() if worker == name)


def test_who_is_silent_is_taken_for_dead() -> None:
    async def body() -> None:
        broker = MemoryBroker()
        one, two = member(broker, "one"), member(broker, "two")
        await one.start()
        await two.start()
        await until([one], lambda: one.mine() != ALL)
        assert two._task is not None
        two._task.cancel()
        await until([one], lambda: one.mine() == ALL)
        await one.stop()

    run(body)


class Late(Membership):
    """Its process comes to nothing for three heartbeats before each of its own: it has much to do."""

    late_s = 0.0
    beats = 0

    async def _say(self, *, hello: bool = False) -> None:
        self.late_s += 3 * QUICK.heartbeat_s
        self.beats += 1
        await super()._say(hello=hello)

    def _now(self) -> float:
        return super()._now() + self.late_s


def test_who_is_always_late_takes_the_silent_for_dead_all_the_same_and_nobody_else() -> None:
    async def body() -> None:
        broker = MemoryBroker()
        one, two = Late(MemoryRpc(broker), Domain.CEO, "one", QUICK), member(broker, "two")
        await one.start()
        await two.start()
        await until([one], lambda: one.mine() != ALL)
        half, beats = one.mine(), one.beats
        await until([one], lambda: one.mine() != half or one.beats > beats + 20)
        assert one.mine() == half
        assert two._task is not None
        two._task.cancel()
        await until([one], lambda: one.mine() == ALL or one.beats > beats + 100)
        assert one.mine() == ALL
        await one.stop()

    run(body)


def test_who_hears_not_even_himself_takes_nobody_for_dead() -> None:
    async def body() -> None:
        broker = MemoryBroker()
        one, two = member(broker, "one"), member(broker, "two")
        await one.start()
        await two.start()
        await until([one], lambda: one.mine() != ALL)
        half = one.mine()
        listeners, broker.listeners = broker.listeners, []
        ended = asyncio.get_running_loop().time() + 3 * QUICK.member_s_max
        while asyncio.get_running_loop().time() < ended:
            await asyncio.sleep(QUICK.heartbeat_s)  # Time is what is tested here.
            assert one.mine() == half
        broker.listeners = listeners
        await one.stop()
        await two.stop()

    run(body)
