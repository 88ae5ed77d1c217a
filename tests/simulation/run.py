"""Run one seed, say what was wrong with it, and make a failure smaller."""

import gc
from itertools import count
from unittest import mock

from msgspec import Struct
from msgspec.structs import replace

from runtime import live, near
from tests.simulation.actors import answering
from tests.simulation.ambient import ambient
from tests.simulation.checks import findings
from tests.simulation.loop import StuckError
from tests.simulation.plan import MESSAGES_MAX, Options
from tests.simulation.weather import FAULTS
from tests.simulation.world import World

TAIL_NOTES = 60
SHORT_LOG_RECORDS = 4  # longer logs are read through snapshots


class Result(Struct, frozen=True):
    """What a run found; `digest` is of its whole history, `met` the kinds of what happened, `tail` the end of it."""

    options: Options
    findings: list[str]
    steps: int
    digest: str
    met: frozenset[str]
    tail: list[str]

    def report(self) -> str:
        """For people: what was found, the last of what happened, and how to see it again."""
        return "\n".join([*self.tail, "", *self.findings, "", f"again: {self.options.command()}"])


def simulate(options: Options, *, notes: int = TAIL_NOTES, about: str = "") -> Result:
    """One run of one seed, always the same. Of the history the last `notes` `about` something are kept when it fails."""
    collecting = gc.isenabled()
    gc.disable()  # What a killed worker left must not be finalised in the middle of somebody's step.
    try:
        world = World(options)
        with (
            ambient(world.loop, options.seed, world.server.start_ns),
            answering(),
            mock.patch.object(live, "FIRST_LOOK_RECORDS", SHORT_LOG_RECORDS),
            mock.patch.object(near, "_numbers", count(-1, -1)),
        ):
            try:
                world.loop.run_until(world.live())
                found = findings(world)
            except StuckError as stuck:
                found = [f"it stuck {stuck}"]
            digest = f"{world.history.digest()}-{world.loop.digest:016x}-{world.loop.steps}"
            tail = world.history.tail(notes, about) if found or about else []
            world.loop.end()
    finally:
        if collecting:
            gc.enable()
    return Result(options, found, world.loop.steps, digest, world.history.kinds, tail)


def shrunk(options: Options) -> Options:
    """A smaller run that fails as well: fewer kinds of faults, then fewer messages."""
    for fault in FAULTS:
        smaller = replace(options, without=(*options.without, fault))
        if fault not in options.without and simulate(smaller, notes=0).findings:
            options = smaller
    low, high = 0, min(options.messages_max, MESSAGES_MAX)
    while low + 1 < high:
        middle = (low + high) // 2
        if simulate(replace(options, messages_max=middle), notes=0).findings:
            high = middle
        else:
            low = middle
    smaller = replace(options, messages_max=high)
    return smaller if simulate(smaller, notes=0).findings else options
