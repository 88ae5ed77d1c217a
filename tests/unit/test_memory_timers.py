"""Timers in memory on a clock that the test moves."""

import asyncio
from datetime import UTC, datetime, timedelta

from adapters.memory import MemoryBroker
from adapters.memory_timers import MemoryTimers
from contracts.domains import Domain
from runtime.schedule import Cron, Every, When
from tests.contract.records import actor, record

START = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
WEEK = timedelta(days=7)


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


class World:
    def __init__(self) -> None:
        self.clock = Clock()
        self.broker = MemoryBroker()
        self.timers = MemoryTimers(self.broker, clock=self.clock)

    def fired(self, at: datetime) -> int:
        """How many messages there are once the clock shows `at`."""
        self.clock.now = at
        self.timers.fire()
        return len(self.broker.inboxes[Domain.SOPHIA].messages)


async def world(when: When) -> World:
    made = World()
    await made.timers.set(actor(), "x", record(), when)
    return made


def test_a_week_old_timer_fires_on_time_and_once() -> None:
    async def scenario() -> None:
        one = await world(START + WEEK)
        assert one.fired(START + WEEK - timedelta(microseconds=1)) == 0
        assert one.fired(START + WEEK) == 1
        assert one.fired(START + 2 * WEEK) == 1

    asyncio.run(scenario())


def test_a_recurring_timer_fires_each_time_and_once_for_times_that_passed_unseen() -> None:
    async def scenario() -> None:
        one = await world(Every(3_600))
        assert [one.fired(START + timedelta(hours=hours)) for hours in (0.9, 1, 1.5, 2)] == [0, 1, 1, 2]
        assert one.fired(START + WEEK) == 3
        assert one.fired(START + WEEK + timedelta(minutes=59)) == 3
        assert one.fired(START + WEEK + timedelta(minutes=61)) == 4

    asyncio.run(scenario())


def test_a_cron_timer_follows_the_calendar() -> None:
    async def scenario() -> None:
        one = await world(Cron("0 30 8 * * mon-fri"))
        monday = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)
        assert one.fired(monday - timedelta(seconds=1)) == 0
        assert one.fired(monday) == 1
        assert one.fired(monday + timedelta(hours=23)) == 1
        assert one.fired(monday + timedelta(hours=24)) == 2

    asyncio.run(scenario())
