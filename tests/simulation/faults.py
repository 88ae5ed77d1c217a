"""What goes wrong on purpose while a simulation is busy: crashes and pauses between any two steps, cuts, outages, lost pins."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from tests.simulation.loop import Process, context_of
from tests.simulation.server import PIN_LAPSE_S

if TYPE_CHECKING:
    from tests.simulation.world import Member, World

DOOM_STEPS_MAX = 400  # what is to happen to a worker happens within so many of its own steps
PAUSE_S_MAX = 5.0
OUTAGE_S_MAX = 2.0
CUT_S_MAX = 3.0
RESTART_S_MAX = 1.5
SILENCE_S_MIN = 1.0
SILENCE_S_EXTRA_MAX = 3.0


class Faults:
    """Use: `run` once. Afterwards nothing is broken any more, and whatever it had begun is over."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._doomed: dict[Process, tuple[int, Callable[[], None]]] = {}

    async def run(self, busy_s: float) -> None:
        """Let happen what the weather holds, each at a moment of its own."""
        world, weather = self._world, self._world.plan.weather
        world.loop.on_step = self._on_step
        counts: tuple[tuple[int, Callable[[], Awaitable[None]]], ...] = (
            (weather.outages, self._outage),
            (weather.cuts, self._cut),
            (weather.silences, self._silence),
            (weather.crashes, self._crash),
            (weather.pauses, self._pause),
            (weather.departures, self._departure),
            (weather.unpins, self._unpin),
        )
        moments = [(world.chance.random() ** 1.5 * busy_s, happen) for count, happen in counts for _ in range(count)]
        async with asyncio.TaskGroup() as group:
            for when_s, happen in moments:
                group.create_task(self._at(when_s, happen))
            await asyncio.sleep(busy_s)
        self._doomed.clear()

    async def _at(self, when_s: float, happen: Callable[[], Awaitable[None]]) -> None:
        await asyncio.sleep(when_s)
        await happen()

    def _on_step(self, process: Process) -> None:
        if process in self._doomed and process.steps >= self._doomed[process][0]:
            self._doomed.pop(process)[1]()

    def _some_member(self) -> "Member | None":
        running = [member for member in self._world.living if member.process.runs]
        return self._world.chance.choice(running) if running else None

    async def _doom(self, member: "Member", end: Callable[[], None]) -> bool:
        """Let `end` happen after some more steps of the member; whether it did (it may take none, or die before)."""
        world, done = self._world, asyncio.Event()

        def happen() -> None:
            end()
            done.set()

        self._doomed[member.process] = (member.process.steps + world.chance.randrange(DOOM_STEPS_MAX), happen)
        try:
            async with asyncio.timeout(OUTAGE_S_MAX):
                await done.wait()
        except TimeoutError:
            self._doomed.pop(member.process, None)
        return done.is_set()

    async def _crash(self) -> None:
        world, member = self._world, self._some_member()
        if member is None:
            return

        def end() -> None:
            world.history.note("crash", member.process.name)
            world.loop.kill(member.process)

        if await self._doom(member, end):
            self._lapse_later()
            await asyncio.sleep(RESTART_S_MAX * world.chance.random())
            world.start(member.domain)

    async def _pause(self) -> None:
        world, member = self._world, self._some_member()
        if member is None:
            return

        def end() -> None:
            world.history.note("pause", member.process.name)
            world.loop.hold(member.process)

        if await self._doom(member, end):
            self._lapse_later()
            await asyncio.sleep(PAUSE_S_MAX * world.chance.random() ** 2)
            world.history.note("resume", member.process.name)
            world.loop.resume(member.process)

    async def _departure(self) -> None:
        """An orderly stop, and a new worker some time before or after it."""
        world, member = self._world, self._some_member()
        if member is None:
            return
        world.history.note("leaves", member.process.name)
        world.loop.create_task(self._leave(member), context=context_of(member.process))
        await asyncio.sleep(RESTART_S_MAX * world.chance.random())
        world.start(member.domain)

    async def _leave(self, member: "Member") -> None:
        await member.worker.stop()
        self._world.history.note("left", member.process.name)
        self._world.loop.kill(member.process)
        self._lapse_later()

    async def _cut(self) -> None:
        world, member = self._world, self._some_member()
        if member is None or member.connection.is_cut:
            return
        world.history.note("cut", member.process.name)
        member.connection.cut()
        self._lapse_later()
        await asyncio.sleep(CUT_S_MAX * world.chance.random() ** 2)
        world.history.note("mended", member.process.name)
        member.connection.mend()

    async def _silence(self) -> None:
        """The others take it for dead and take its partitions, while it goes on."""
        world, member = self._world, self._some_member()
        if member is None or member.connection.is_mute:
            return
        world.history.note("silence", member.process.name)
        member.connection.is_mute = True
        await asyncio.sleep(SILENCE_S_MIN + SILENCE_S_EXTRA_MAX * world.chance.random())
        world.history.note("heard again", member.process.name)
        member.connection.is_mute = False

    async def _outage(self) -> None:
        world, server = self._world, self._world.server
        if server.is_out:
            return
        world.history.note("outage")
        server.is_out = True
        cut = [member for member in world.living if not member.connection.is_cut]
        for member in cut:
            member.connection.cut()
        await asyncio.sleep(OUTAGE_S_MAX * world.chance.random())
        world.history.note("outage over")
        server.back()
        for member in cut:
            member.connection.mend()

    async def _unpin(self) -> None:
        world = self._world
        pinned = [partition for partition in world.server.partitions.values() if partition.pinned is not None]
        if pinned:
            partition = world.chance.choice(pinned)
            world.history.note("unpin", partition.name)
            partition.unpin()

    def _lapse_later(self) -> None:
        server = self._world.server
        server.loop.call_later(PIN_LAPSE_S, server.lapse, context=server.context)
