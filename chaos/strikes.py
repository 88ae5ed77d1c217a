"""Strikes: which process is killed or paused when, planned from a seed; and the killer that carries the plan out."""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from typing import Literal

import psutil
from msgspec import Struct

from deploy.embedded.supervisor import Supervisor

GAP_S_MIN = 0.3
PAUSE_S_MIN = 2.0  # above the ownership time-out of 1.5 s …
PAUSE_S_MAX = 6.0  # … and above the broker's own, an acknowledgement's 3 s
VICTIM_S_MAX = 60.0  # until a victim that is down is up again
POLL_S = 0.02

Kind = Literal["kill", "pause"]


class Strike(Struct, frozen=True, kw_only=True):
    """Wait `after_s`, then kill the victim or pause it for `pause_s`."""

    number: int
    after_s: float
    victim: str
    kind: Kind
    pause_s: float = 0.0

    def __str__(self) -> str:
        what = f"pause {self.pause_s:.1f} s" if self.kind == "pause" else "kill"
        return f"#{self.number} after {self.after_s:.1f} s: {what} {self.victim}"


class Struck(Struct, frozen=True, kw_only=True):
    """A strike as it happened: the process, and the Unix times between which it was away from its work by our doing."""

    strike: Strike
    pid: int
    began: float
    ended: float


def plan(seed: int, parts: Sequence[str], *, kills: int, pauses: int, gap_s_max: float) -> list[Strike]:
    """The schedule that follows from the seed: every part is struck about equally often, in random order."""
    dice = random.Random(seed)
    kill: Kind = "kill"
    pause: Kind = "pause"
    kinds = [kill] * kills + [pause] * pauses
    dice.shuffle(kinds)
    bags: dict[Kind, list[str]] = {"kill": [], "pause": []}
    strikes = []
    for number, kind in enumerate(kinds, start=1):
        if not bags[kind]:
            bags[kind] = dice.sample(parts, len(parts))
        strikes.append(
            Strike(
                number=number,
                after_s=round(dice.uniform(GAP_S_MIN, gap_s_max), 2),
                victim=bags[kind].pop(),
                kind=kind,
                pause_s=round(dice.uniform(PAUSE_S_MIN, PAUSE_S_MAX), 2) if kind == "pause" else 0.0,
            )
        )
    return strikes


class Killer:
    """Carries strikes out on the supervisor's processes. Pauses overlap with what comes next; all of them end with `run`."""

    def __init__(self, supervisor: Supervisor, on_struck: Callable[[Struck], None]) -> None:
        self._supervisor = supervisor
        self._on_struck = on_struck
        self._paused: dict[str, list[psutil.Process]] = {}
        self.struck: list[Struck] = []

    async def run(self, strikes: Sequence[Strike]) -> None:
        """Raises TimeoutError when a victim does not come back."""
        try:
            async with asyncio.TaskGroup() as group:
                for strike in strikes:
                    await asyncio.sleep(strike.after_s)
                    async with asyncio.timeout(VICTIM_S_MAX):
                        while not self._strike(strike, group):  # noqa: ASYNC110 - processes come back without an event
                            await asyncio.sleep(POLL_S)
        finally:
            for name in list(self._paused):
                self._resume(name)

    def _strike(self, strike: Strike, group: asyncio.TaskGroup) -> bool:
        """Whether there was a process to strike."""
        pid = self._supervisor.pid(strike.victim)
        if pid is None or (strike.kind == "pause" and strike.victim in self._paused):
            return False
        try:
            process = psutil.Process(pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            if strike.kind == "kill":
                process.kill()
                self._note(strike, pid, time.time())
                return True
            # A paused database is one all of whose processes stand still.
            family = [process, *process.children(recursive=True)]
            self._paused[strike.victim] = family
            _each(family, psutil.Process.suspend)
        except psutil.NoSuchProcess:
            self._paused.pop(strike.victim, None)
            return False
        group.create_task(self._end_pause(strike, pid, time.time()))
        return True

    async def _end_pause(self, strike: Strike, pid: int, began: float) -> None:
        await asyncio.sleep(strike.pause_s)
        self._resume(strike.victim)
        self._note(strike, pid, began)

    def _resume(self, victim: str) -> None:
        _each(self._paused.pop(victim, []), psutil.Process.resume)

    def _note(self, strike: Strike, pid: int, began: float) -> None:
        struck = Struck(strike=strike, pid=pid, began=began, ended=time.time())
        self.struck.append(struck)
        self._on_struck(struck)


def _each(family: Sequence[psutil.Process], do: Callable[[psutil.Process], None]) -> None:
    """For every process that is still there and still the same one: psutil looks at its start time first."""
    for process in family:
        try:
            do(process)
        except psutil.NoSuchProcess:
            continue
