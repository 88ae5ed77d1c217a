"""A process's connection to the simulated broker: every call may be late, lost, answered to nobody, or refused."""

import asyncio
import random
from collections.abc import Callable
from typing import Any, TypeVar

from runtime.errors import ConflictError, UnavailableError
from tests.simulation.loop import Process, context_of
from tests.simulation.server import Server
from tests.simulation.weather import Weather

T = TypeVar("T")
GIVE_UP_S = 1.0  # a client waits so long for an answer
SLOW_S_MAX = 1.0


class Sky:
    """The weather as it is now, and the seed's choices."""

    def __init__(self, weather: Weather, chance: random.Random) -> None:
        self.weather = weather
        self.chance = chance

    def happens(self, probability: float) -> bool:
        return probability > 0.0 and self.chance.random() < probability

    def way_s(self) -> float:
        """How long one way takes."""
        delay_s = self.chance.random() * 2 * self.weather.delay_s
        return self.chance.random() * SLOW_S_MAX if self.happens(self.weather.slow) else delay_s


class Connection:
    """What one process calls the server through. A cut loses what is under way; what the server has done stays done."""

    def __init__(self, server: Server, sky: Sky, process: Process) -> None:
        self.server = server
        self.sky = sky
        self.process = process
        self.context = context_of(process)
        self.is_cut = False
        self.cuts = 0
        self.is_mute = False  # what it announces reaches nobody
        self.on_cut: list[Callable[[], None]] = []
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._calls = 0

    async def call(self, what: str, do: Callable[[], T], *, conflicts: bool = False) -> T:
        """The answer of `do`, executed on the server. Raises UnavailableError when none came, and what `do` raises."""
        weather, sky, loop = self.sky.weather, self.sky, self.server.loop
        if self.is_cut:
            await asyncio.sleep(GIVE_UP_S / 4)
            raise UnavailableError("broker", "connection lost")
        self._calls = number = self._calls + 1
        answer: asyncio.Future[T] = loop.create_future()
        there_s, back_s = sky.way_s(), sky.way_s()
        if sky.happens(weather.late_request):
            there_s = 4 * GIVE_UP_S * sky.chance.random()
        elif sky.happens(weather.lost_answer):
            back_s = 2 * GIVE_UP_S
        refused = sky.happens(weather.refused)
        conflicts = conflicts and sky.happens(weather.conflict)
        if refused or not sky.happens(weather.lost_request):
            loop.call_later(
                there_s, self._serve, (what, refused, conflicts), do, answer, back_s, context=self.server.context
            )
        loop.call_later(GIVE_UP_S, _give_up, answer, context=self.context)
        self._waiting[number] = answer
        try:
            return await answer
        finally:
            del self._waiting[number]

    def tell(self, do: Callable[[], None]) -> None:
        """Execute `do` on the server, perhaps; nobody hears of it."""
        if not self.is_cut and not self.sky.happens(self.sky.weather.lost_ack):
            self.server.loop.call_later(self.sky.way_s(), self._hear, do, context=self.server.context)

    def cut(self) -> None:
        """Lose the connection until `mend`."""
        self.is_cut = True
        self.cuts += 1
        for answer in self._waiting.values():
            _fail(answer, UnavailableError("broker", "connection lost"))
        for lost in self.on_cut:
            lost()

    def mend(self) -> None:
        """Let it connect again, once it runs: a paused process does not, and knows of the loss before it does."""
        self.server.loop.call_soon(self._connected, context=self.context)

    def _connected(self) -> None:
        self.is_cut = False

    def _hear(self, do: Callable[[], None]) -> None:
        if not self.server.is_out:
            do()

    def _serve(
        self, fate: tuple[str, bool, bool], do: Callable[[], T], answer: "asyncio.Future[T]", back_s: float
    ) -> None:
        what, refused, conflicts = fate
        loop = self.server.loop
        try:
            if refused:
                raise UnavailableError("broker", "refused")
            if conflicts:
                raise ConflictError("somebody else was first, or so it seems")
            self.server.refuse_if_out()
            result = do()
        except (UnavailableError, ConflictError) as error:
            self.server.history.note("failed", what, self.process.name, error)
            loop.call_later(back_s, _fail, answer, error, context=self.context)
        else:
            loop.call_later(back_s, _succeed, answer, result, context=self.context)


def _succeed(answer: "asyncio.Future[T]", result: T) -> None:
    if not answer.done():
        answer.set_result(result)


def _fail(answer: "asyncio.Future[Any]", error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)


def _give_up(answer: "asyncio.Future[Any]") -> None:
    if not answer.done():
        answer.set_exception(UnavailableError("broker", "no answer in time"))
