"""Episodes: a world, a dozen things that happen, and cases in between; a seed is always the same episode."""

import asyncio
from collections import Counter
from random import Random

import msgspec
from msgspec import Struct

from tests.taint.exits import EXITS
from tests.taint.story import ACTS, Story, add
from tests.taint.world import World

CASES = 25
SETTING = 8
ACTS_MAX = 2


class Result(Struct):
    """What became of an episode: by exit the cases, and what was shown of what could be; `last` is the last step."""

    seed: int
    findings: list[str] = []
    history: list[str] = []
    played: Counter[str] = msgspec.field(default_factory=Counter)
    shown: Counter[str] = msgspec.field(default_factory=Counter)
    showable: Counter[str] = msgspec.field(default_factory=Counter)
    last: int = 0

    @property
    def cases(self) -> int:
        return self.played.total()

    def report(self) -> str:
        return "\n".join([*self.history[-40:], *self.findings[:5], f"just taint --seed {self.seed}"])


def play(
    seed: int, *, exits: tuple[str, ...] = tuple(EXITS), steps: frozenset[int] | None = None, stored: bool = False
) -> Result:
    """Play the episode of a seed until it is over or something is found; `steps`: only these of it; `stored`: on PostgreSQL."""
    return asyncio.run(_play(seed, exits, steps, stored=stored))


async def _play(seed: int, exits: tuple[str, ...], steps: frozenset[int] | None, *, stored: bool) -> Result:
    result = Result(seed)
    async with World(stored=stored) as world:
        story = Story(world)
        result.findings, result.history = story.findings, story.history
        for step, kind in enumerate(_plan(seed)):
            if steps is not None and step not in steps:
                continue
            story.random = Random(f"{seed} {step}")  # noqa: S311 - a test's choices
            if kind == "case":
                name = story.random.choice(exits)
                await _case(story, name, step, result)
            else:
                act = add if kind == "add" else story.random.choices(*zip(*ACTS, strict=True))[0]
                story.history.append(f"{step}: {await act(story)}")
            result.last = step
            if story.findings:
                break
    return result


async def _case(story: Story, name: str, step: int, result: Result) -> None:
    reader = story.reader()
    story.history.append(f"{step}: {reader} at the exit {name}")
    shown, showable = story.shown, story.showable
    await EXITS[name](story, reader)
    result.played[name] += 1
    result.shown[name] += story.shown - shown
    result.showable[name] += story.showable - showable


def _plan(seed: int) -> list[str]:
    random = Random(f"plan {seed}")  # noqa: S311 - a test's choices
    plan = ["add"] * SETTING
    for _ in range(CASES):
        plan += ["act"] * random.randint(0, ACTS_MAX) + ["case"]
    return plan


def shrunk(result: Result, *, exits: tuple[str, ...] = tuple(EXITS), stored: bool = False) -> Result:
    """The same finding with as few steps as leaving out one after the other gives."""
    steps = frozenset(range(result.last + 1))
    for step in sorted(steps, reverse=True):
        fewer = play(result.seed, exits=exits, steps=steps - {step}, stored=stored)
        if fewer.findings:
            steps, result = steps - {step}, fewer
    return result
