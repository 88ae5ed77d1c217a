"""`python -m chaos.overload`: `just overload`. Far more requests than the stack can serve: refusals in time, memory flat."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit

import click
import msgspec
from msgspec import Struct

from bench import results
from chaos.flood import Tally, Wire, flooder
from chaos.history import Finding
from chaos.journal import Clock, Journal
from chaos.memory import Course, Scales
from chaos.report import RUNS, listed, stamp, table
from chaos.stack import Plan, parts, running, token, url
from chaos.verdict import verdict
from contracts.domains import Clearance
from deploy.embedded.child import StartError
from deploy.embedded.supervisor import Supervisor
from deploy.progress import Steps
from deploy.stack import broker, until_interrupted

LIMITS: dict[str, int] = {
    "requests_in_flight_max": 48,
    "requests_per_minute_max": 30,
    "cross_requests_per_minute_max": 30,
    "live_actors_max": 500,
    "idle_actors_bytes_max": 4 << 20,
}
WEIGHINGS = 60
USERS = 4


class Overload(Struct, frozen=True, kw_only=True):
    """How the stack is overloaded. `limits` are set so low that they are reached.

    It goes on for `seconds` at least, and until so many were refused and accepted and each of these statuses was answered: a
    slow machine takes longer for that.
    """

    data: Path
    models: Path
    seconds: float = 300.0
    connections: int = 96
    limits: dict[str, int] = msgspec.field(default_factory=LIMITS.copy)
    settle_s_max: float = 600.0
    refused_min: int = 1
    accepted_min: int = 1
    statuses: frozenset[int] = frozenset()


class Outcome(Struct, frozen=True, kw_only=True):
    """What came of it: answers by status, refusals with a Retry-After and their seconds, memory, what was found wrong."""

    overload: Overload
    statuses: dict[int, int]
    refused: int
    retry_after: int
    refusal_p50_ms: float
    refusal_p99_ms: float
    accepted: int
    settled_s: float
    courses: tuple[Course, ...]
    findings: tuple[Finding, ...]


async def overload(plan: Overload, on_second: Callable[[int], None] = lambda _: None) -> Outcome:
    """Raises StartError when the stack does not start."""
    tally = Tally(seed=1)
    async with AsyncExitStack() as stack:
        journal = stack.enter_context(Journal(plan.data / "told.jsonl"))
        stack_plan = Plan(data=plan.data, models=plan.models, limits=plan.limits)
        supervisor = await stack.enter_async_context(running(stack_plan, lambda *_: None))
        scales = Scales(parts(1), supervisor.pid)
        await _flooded(plan, supervisor, tally, journal, scales, on_second)
        began = time.monotonic()
        findings = await _check(plan, supervisor, journal)
        took_s = time.monotonic() - began
    courses = scales.courses()
    findings += [
        Finding("memory stays flat", f"{one.part}: {one.slope_mib_per_min} MiB/min") for one in courses if not one.flat
    ]
    if tally.retry_after < tally.refused:
        findings.append(Finding("refusals say when", f"{tally.refused - tally.retry_after} had no Retry-After"))
    if not tally.refused:
        findings.append(Finding("what is too much is refused", "nothing was"))
    waits = sorted(tally.refusal_s) or [0.0]
    return Outcome(
        overload=plan,
        statuses=dict(sorted(tally.statuses.items())),
        refused=tally.refused,
        retry_after=tally.retry_after,
        refusal_p50_ms=round(1_000 * waits[len(waits) // 2], 1),
        refusal_p99_ms=round(1_000 * waits[int(0.99 * (len(waits) - 1))], 1),
        accepted=sum(told.accepted for told in journal.told),
        settled_s=round(took_s, 1),
        courses=tuple(courses),
        findings=tuple(findings),
    )


async def _flooded(
    plan: Overload,
    supervisor: Supervisor,
    tally: Tally,
    journal: Journal,
    scales: Scales,
    on_second: Callable[[int], None],
) -> None:
    """The flood and the weighing, for as long as the plan says."""
    clock = Clock()
    address = urlsplit(url(supervisor.settings))
    tokens = [
        token(supervisor.settings, f"flood-{user}", ("cross_domain_user",), Clearance.INTERNAL) for user in range(USERS)
    ]
    weighing = asyncio.create_task(scales.run(plan.seconds / WEIGHINGS), name="scales")
    wires = [Wire((address.hostname or "", address.port or 0), tokens[one % USERS]) for one in range(plan.connections)]
    floods = [
        asyncio.create_task(flooder(f"flood-{one % USERS}/{one}", wire, tally, journal, clock))
        for one, wire in enumerate(wires)
    ]
    try:
        second = 0
        while second < int(plan.seconds) or not _enough(plan, tally, journal):
            await asyncio.sleep(1)
            second += 1
            on_second(second)
        clock.stop(0)
        await asyncio.gather(*floods)
    finally:
        for task in (weighing, *floods):
            task.cancel()
        await asyncio.gather(weighing, *floods, return_exceptions=True)


def _enough(plan: Overload, tally: Tally, journal: Journal) -> bool:
    accepted = sum(told.accepted for told in journal.told)
    return (
        tally.refused >= plan.refused_min and accepted >= plan.accepted_min and plan.statuses <= tally.statuses.keys()
    )


async def _check(plan: Overload, supervisor: Supervisor, journal: Journal) -> list[Finding]:
    settings = supervisor.settings
    async with broker(settings) as connection:
        findings, _, _ = await verdict(connection, settings, journal, settle_s_max=plan.settle_s_max)
    return findings


def summary(outcome: Outcome) -> str:
    """Figures, memory by part, findings."""
    plan = outcome.overload
    told = ", ".join(f"{status or 'no answer'}: {number:,}" for status, number in outcome.statuses.items())
    limits = ", ".join(f"{name} {value:g}" for name, value in plan.limits.items())
    figures = [
        ("load", f"{plan.connections} connections without a pause for {plan.seconds:g} s; {limits}"),
        ("answers by status", told),
        ("refused, of them with Retry-After", f"{outcome.refused:,}, {outcome.retry_after:,}"),
        ("a refusal, p50 / p99", f"{outcome.refusal_p50_ms} / {outcome.refusal_p99_ms} ms"),
        ("accepted, and all finished after", f"{outcome.accepted:,}, {outcome.settled_s} s"),
    ]
    head = ("memory (PSS), MiB", "first", "2nd fifth", "middle", "last fifth", "peak", "slope a minute", "flat")
    courses = [
        (
            one.part,
            *map(
                str, (one.first_mib, one.fifth_mib, one.middle_mib, one.last_mib, one.peak_mib, one.slope_mib_per_min)
            ),
            "yes" if one.flat else "no",
        )
        for one in outcome.courses
    ]
    wrong = listed(outcome.findings) or "Nothing was found wrong."
    return "\n\n".join((table(("what", "figure"), figures), table(head, courses), wrong))


@click.command()
@click.option("--seconds", type=click.FloatRange(min=5), default=300.0, show_default=True)
@click.option("--connections", type=click.IntRange(min=1), default=96, show_default=True)
@click.option("--data", type=click.Path(path_type=Path), help="A new folder for the stack.  [default: in chaos-data]")
@click.option("--models", type=click.Path(path_type=Path), help="Folder of built models.  [default: chaos-data/models]")
@click.option("--report", "path", type=click.Path(path_type=Path), help="[default: report.md in the data folder]")
@click.option("--write", is_flag=True, help="Also put the summary into bench/RESULTS.md.")
def main(
    *, seconds: float, connections: int, data: Path | None, models: Path | None, path: Path | None, write: bool
) -> None:
    """Ask a real stack with small limits for far more than it can do, by clients that never wait; check that all ends well.

    The report is Markdown, with everything as JSON beside it. The exit status is 1 when a check failed.
    """
    folder = (data or RUNS / stamp("overload")).resolve()
    plan = Overload(data=folder, models=(models or RUNS / "models").resolve(), seconds=seconds, connections=connections)
    try:
        outcome = _watched(plan)
    except StartError as error:
        raise click.ClickException(str(error)) from error
    if outcome is None:
        raise click.exceptions.Exit(130)
    target = path or folder / "report.md"
    target.write_text(f"# Overload\n\n{results.machine()}\n\n{summary(outcome)}\n")
    target.with_suffix(".json").write_bytes(msgspec.json.format(msgspec.json.encode(outcome, enc_hook=str), indent=1))
    if write:
        results.write("Overload", f"just overload --seconds {seconds:g} --connections {connections}", summary(outcome))
    click.echo(f"{summary(outcome)}\n\nreport: {target}")
    if outcome.findings:
        raise click.exceptions.Exit(1)


def _watched(plan: Overload) -> Outcome | None:
    """With its progress; None when it was interrupted, with everything stopped."""
    outcomes: list[Outcome] = []
    with Steps() as steps:
        task = steps.begin("Overloading, seconds", int(plan.seconds))

        async def work() -> None:
            outcomes.append(await overload(plan, lambda second: steps.advance(task, second)))

        asyncio.run(until_interrupted(work))
    return outcomes[0] if outcomes else None


if __name__ == "__main__":
    main()
