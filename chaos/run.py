"""One run of chaos: start, load, strike, let it settle, check."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from msgspec import Struct

from chaos import checks_outside
from chaos.history import Finding
from chaos.journal import Journal, Told
from chaos.load import Clients, under_load
from chaos.model import TimedModelServer
from chaos.stack import Plan, parts, running
from chaos.strikes import Killer, Strike, Struck, plan
from chaos.verdict import verdict
from deploy.embedded.supervisor import OnState, Supervisor
from deploy.stack import broker

CHECKS = (
    "event ids",
    "hash chain",
    "one effect a message",
    "all or nothing",
    "folds",
    "each effect once",
    "every reaction ran",
    "one answer a question",
    "one end an analysis",
    "one outcome a request",
    "nothing failed",
    "nothing accepted is lost",
    "what was told is true",
    "no error of ours",
    "nothing is refused",
    "poison is put aside",
    "only poison is buried",
    "a call is paid for once",
    "search",
    "rebuild equals live",
    "all was finished",
)
"""Every check by name, so that a report also says what was found to be in order."""


class Chaos(Struct, frozen=True, kw_only=True):
    """How a run is made up. The same seed gives the same schedule and the same clients; not the same interleaving."""

    data: Path
    models: Path
    seed: int
    kills: int
    pauses: int
    workers: int = 1
    gap_s_max: float = 5.0
    askers: int = 6
    curators: int = 3
    publishers: int = 2
    warm_s: float = 3.0
    settle_s_max: float = 180.0

    @property
    def strikes(self) -> list[Strike]:
        return plan(self.seed, parts(self.workers), kills=self.kills, pauses=self.pauses, gap_s_max=self.gap_s_max)

    @property
    def clients(self) -> Clients:
        return Clients(askers=self.askers, curators=self.curators, publishers=self.publishers)

    def dice(self, name: str) -> random.Random:
        return random.Random(f"{self.seed} {name}")


class Outcome(Struct, frozen=True, kw_only=True):
    """What came of a run."""

    chaos: Chaos
    seconds: float
    struck: tuple[Struck, ...]
    commands: dict[str, int]
    accepted: dict[str, int]
    statuses: dict[int, int]
    slowest_s: float
    records: int
    runs: int
    letters: int
    calls: int
    calls_repeated: int
    rows: dict[str, int]
    findings: tuple[Finding, ...]

    @property
    def kills(self) -> int:
        return sum(one.strike.kind == "kill" for one in self.struck)

    @property
    def pauses(self) -> int:
        return len(self.struck) - self.kills


async def run(
    chaos: Chaos, *, on_state: OnState = lambda *_: None, on_struck: Callable[[Struck], None] = lambda _: None
) -> Outcome:
    """Raises StartError when the stack does not start, TimeoutError when a victim does not come back."""
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        model = stack.enter_context(TimedModelServer())
        journal = stack.enter_context(Journal(chaos.data / "told.jsonl"))
        stack_plan = Plan(data=chaos.data, models=chaos.models, workers=chaos.workers, model_url=model.url)
        supervisor = await stack.enter_async_context(running(stack_plan, on_state))
        killer = Killer(supervisor, on_struck)
        async with under_load(supervisor.settings, journal, chaos.clients, chaos.dice):
            await asyncio.sleep(chaos.warm_s)
            await killer.run(chaos.strikes)
        rows: dict[str, int] = {}
        findings, records, runs, letters = await _check(chaos, supervisor, journal, model, killer.struck, rows)
        by_id = journal.by_id()
        return Outcome(
            chaos=chaos,
            seconds=round(time.monotonic() - began, 1),
            struck=tuple(killer.struck),
            commands=dict(Counter(told[0].kind for told in by_id.values())),
            accepted=dict(Counter(told[0].kind for told in by_id.values() if any(one.accepted for one in told))),
            statuses=dict(sorted(Counter(told.status for told in journal.told).items())),
            slowest_s=round(_slowest(by_id.values()), 1),
            records=records,
            runs=runs,
            letters=letters,
            calls=len(model.timed),
            calls_repeated=checks_outside.repeats(model.timed),
            rows=rows,
            findings=tuple(findings),
        )


async def _check(
    chaos: Chaos,
    supervisor: Supervisor,
    journal: Journal,
    model: TimedModelServer,
    struck: Sequence[Struck],
    rows: dict[str, int],
) -> tuple[list[Finding], int, int, int]:
    """Findings, and how many records, runs and dead letters there were."""
    settings = supervisor.settings
    async with broker(settings) as connection:
        findings, history, letters = await verdict(connection, settings, journal, settle_s_max=chaos.settle_s_max)
        findings += checks_outside.check_calls(history, model.timed, struck)
        findings += [finding async for finding in checks_outside.check_index(connection)]
        findings += [finding async for finding in checks_outside.check_read_models(connection, settings, history, rows)]
    return findings, len(history.records), len(history.runs), len(letters)


def _slowest(commands: Iterable[Sequence[Told]]) -> float:
    """The longest time from a command's first attempt to its first acceptance."""
    waits = [
        next(one.at for one in told if one.accepted) - told[0].after
        for told in commands
        if any(one.accepted for one in told)
    ]
    return max(waits, default=0.0)
