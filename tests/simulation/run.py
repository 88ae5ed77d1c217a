"""Run one seed and say what was wrong with it."""

from unittest import mock

from msgspec import Struct

from runtime import live
from tests.simulation.actors import answering
from tests.simulation.ambient import ambient
from tests.simulation.checks import findings
from tests.simulation.loop import StuckError
from tests.simulation.plan import Options
from tests.simulation.world import World

TAIL_NOTES = 60
SHORT_LOG_RECORDS = 4  # so that logs of this size are read through snapshots


class Result(Struct, frozen=True):
    """What a run found; `digest` is of its whole history, `tail` the end of it when something was found."""

    options: Options
    findings: list[str]
    steps: int
    digest: str
    tail: list[str]


def simulate(options: Options) -> Result:
    """One run of one seed, always the same."""
    world = World(options)
    with (
        ambient(world.loop, options.seed, world.server.start_ns),
        answering(),
        mock.patch.object(live, "FIRST_LOOK_RECORDS", SHORT_LOG_RECORDS),
    ):
        try:
            world.loop.run_until(world.live())
            found = findings(world)
        except StuckError as stuck:
            found = [f"it stuck {stuck}"]
        digest = f"{world.history.digest()}-{world.loop.digest:016x}-{world.loop.steps}"
        tail = world.history.tail(TAIL_NOTES) if found else []
        world.loop.end()
    return Result(options, found, world.loop.steps, digest, tail)
