"""`just cluster-chaos`: the leader of each stream of a three-node broker is killed in turn, under load."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from itertools import pairwise
from pathlib import Path

import click
import msgspec
from msgspec import Struct

from adapters.jetstream import Broker
from adapters.jetstream_streams import Sizes, streams
from bench import results
from chaos import checks_outside, report
from chaos.history import Finding
from chaos.journal import Journal
from chaos.load import Clients, under_load
from chaos.stack import Plan, running
from chaos.verdict import verdict
from contracts.domains import Domain
from deploy.embedded.nats_cluster import NODES, NatsCluster
from deploy.settings import load
from deploy.stack import until_interrupted
from runtime.errors import UnavailableError

TITLE = "A cluster whose leaders are killed"
CURRENT_S_MAX = 120.0
LOOK_S = 0.25
ANSWER_S_MAX = 0.5
SETTLE_S_MAX = 180.0


class Strikes(Struct, frozen=True, kw_only=True):
    """How a run is made up: whose streams, how long the killed node stays away, and how much load there is."""

    data: Path
    models: Path
    domain: Domain = Domain.SOPHIA
    streams_max: int = 100
    down_s: float = 15.0
    warm_s: float = 5.0
    askers: int = 4
    curators: int = 3
    publishers: int = 1

    @property
    def streams(self) -> list[str]:
        """The domain's streams, its log first, and those that all domains share."""
        others = tuple(f"{domain.value.upper()}_" for domain in Domain if domain is not self.domain)
        names = [stream.name for stream in streams(NODES, Sizes()) if not stream.name.startswith(others)]
        return sorted(names, key=lambda name: not name.endswith(("_LOG", "_IN")))[: self.streams_max]

    @property
    def clients(self) -> Clients:
        return Clients(askers=self.askers, curators=self.curators, publishers=self.publishers)


class Killed(Struct, frozen=True, kw_only=True):
    """One strike: how long until the stream had another leader, until the node was back and current, the longest gap."""

    stream: str
    node: str
    leader_s: float
    current_s: float
    gap_s: float


class Outcome(Struct, frozen=True, kw_only=True):
    """What came of a run; `gap_s` is the longest time in which no client got an answer, `calm_gap_s` that before any strike."""

    strikes: Strikes
    seconds: float
    killed: tuple[Killed, ...]
    gap_s: float
    calm_gap_s: float
    accepted: dict[str, int]
    statuses: dict[int, int]
    records: int
    findings: tuple[Finding, ...]


class _Replica(Struct, frozen=True):
    name: str
    current: bool = False
    offline: bool = False
    lag: int = 0


class _Cluster(Struct, frozen=True):
    leader: str = ""
    replicas: tuple[_Replica, ...] = ()


class _Info(Struct):
    cluster: _Cluster = _Cluster()


async def run(plan: Strikes, *, on_killed: Callable[[Killed], None] = lambda _: None) -> Outcome:
    """Raises StartError, and TimeoutError when a node that was killed does not come back."""
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        journal = stack.enter_context(Journal(plan.data / "told.jsonl"))
        cluster = NatsCluster(plan.data / "cluster", supervised=False)
        await cluster.start()
        stack.push_async_callback(cluster.stop)
        nats = load(cluster.settings, environment={}).nats
        stack_plan = Plan(data=plan.data / "stack", models=plan.models, nats=nats)
        supervisor = await stack.enter_async_context(running(stack_plan, lambda *_: None))
        connection = await cluster.connect("chaos")
        stack.push_async_callback(connection.stop)
        killed: list[Killed] = []
        async with under_load(supervisor.settings, journal, plan.clients, random.Random):
            await asyncio.sleep(plan.warm_s)
            calm_gap_s = _gap_s(journal, time.time() - plan.warm_s, time.time())
            began_striking = time.time()
            for stream in plan.streams:
                killed.append(await _strike(plan, cluster, connection, stream, journal))
                on_killed(killed[-1])
        gap_s = _gap_s(journal, began_striking, max(told.at for told in journal.told if told.accepted))
        settings, rows = supervisor.settings, dict[str, int]()
        findings, history, _ = await verdict(connection, settings, journal, settle_s_max=SETTLE_S_MAX)
        findings += [finding async for finding in checks_outside.check_read_models(connection, settings, history, rows)]
        by_id = journal.by_id()
        return Outcome(
            strikes=plan,
            seconds=round(time.monotonic() - began, 1),
            killed=tuple(killed),
            gap_s=gap_s,
            calm_gap_s=calm_gap_s,
            accepted=dict(Counter(told[0].kind for told in by_id.values() if any(one.accepted for one in told))),
            statuses=dict(sorted(Counter(told.status for told in journal.told).items())),
            records=len(history.records),
            findings=tuple(findings),
        )


async def _strike(plan: Strikes, cluster: NatsCluster, broker: Broker, stream: str, journal: Journal) -> Killed:
    """Kill the stream's leader, go on without it, start it again, and wait until it has caught up in all streams."""
    async with asyncio.timeout(CURRENT_S_MAX):
        leader = (await _seen(broker, stream, lambda one: bool(one.leader))).leader
    began, clock = time.time(), time.monotonic()
    await cluster.nodes[leader].kill()
    async with asyncio.timeout(CURRENT_S_MAX):
        await _seen(broker, stream, lambda one: one.leader not in ("", leader))
    leader_s = time.monotonic() - clock
    await asyncio.sleep(max(0.0, plan.down_s - leader_s))
    await cluster.nodes[leader].start()
    clock = time.monotonic()
    async with asyncio.timeout(CURRENT_S_MAX):
        for one in streams(NODES, Sizes()):
            await _seen(broker, one.name, _whole)
    current_s = time.monotonic() - clock
    return Killed(
        stream=stream,
        node=leader,
        leader_s=round(leader_s, 1),
        current_s=round(current_s, 1),
        gap_s=_gap_s(journal, began, time.time()),
    )


async def _seen(broker: Broker, stream: str, is_so: Callable[[_Cluster], bool]) -> _Cluster:
    """The stream's cluster as its leader sees it, as soon as it is as wanted."""
    while True:
        with suppress(UnavailableError):
            # A request that arrives while nobody leads is never answered: hence its own, short patience.
            answer = await broker.request(f"$JS.API.STREAM.INFO.{stream}", timeout_s=ANSWER_S_MAX)
            found = msgspec.json.decode(answer.data, type=_Info).cluster
            if is_so(found):
                return found
        await asyncio.sleep(LOOK_S)


def _whole(cluster: _Cluster) -> bool:
    return len(cluster.replicas) == NODES - 1 and all(one.current and not one.offline for one in cluster.replicas)


def _gap_s(journal: Journal, since: float, until: float) -> float:
    """The longest time between two good answers, whoever got them."""
    times = sorted([since, *(told.at for told in journal.told if told.accepted and since < told.at < until), until])
    return round(max(after - before for before, after in pairwise(times)), 2)


def summary(outcome: Outcome) -> str:
    """Each strike, then the whole."""
    strikes = [
        (one.stream, one.node, f"{one.leader_s} s", f"{one.current_s} s", f"{one.gap_s} s") for one in outcome.killed
    ]
    head = ("leader killed of", "node", "another leads after", "back and current after", "longest gap in answers")
    told = ", ".join(f"{status or 'no answer'}: {number:,}" for status, number in outcome.statuses.items())
    kinds = ", ".join(f"{name} {number:,}" for name, number in outcome.accepted.items())
    found = f"{len(outcome.findings)}: see below" if outcome.findings else "none lost, none doubled, all in order"
    rows = [
        ("longest gap in answers", f"{outcome.gap_s} s (before the first kill {outcome.calm_gap_s} s)"),
        ("commands accepted", kinds),
        ("answers by status", told),
        ("records checked", f"{outcome.records:,} in {outcome.seconds:,.0f} s"),
        ("findings", found),
    ]
    parts = (report.table(head, strikes), report.table(("what", "figure"), rows), report.listed(outcome.findings))
    return "\n\n".join(part for part in parts if part)


@click.command()
@click.option("--domain", type=click.Choice([domain.value for domain in Domain]), default="sophia", show_default=True)
@click.option("--streams", type=click.IntRange(1, 100), default=100, help="At most so many.  [default: all]")
@click.option("--down", type=click.FloatRange(0, 600), default=15.0, show_default=True, help="Seconds a node is away.")
@click.option("--data", type=click.Path(path_type=Path), help="A new folder.  [default: in chaos-data]")
@click.option("--models", type=click.Path(path_type=Path), help="Folder of built models.  [default: chaos-data/models]")
@click.option("--write", is_flag=True, help="Also put the summary into bench/RESULTS.md.")
def main(*, domain: str, streams: int, down: float, data: Path | None, models: Path | None, write: bool) -> None:
    """Kill the leader of each stream of a domain in turn under load, on a broker of three nodes; then check everything."""
    plan = Strikes(
        data=(data or report.RUNS / report.stamp("cluster")).resolve(),
        models=(models or report.RUNS / "models").resolve(),
        domain=Domain(domain),
        streams_max=streams,
        down_s=down,
    )
    outcomes: list[Outcome] = []

    async def work() -> None:
        outcomes.append(await run(plan, on_killed=lambda one: click.echo(f"{one}", err=True)))

    if asyncio.run(until_interrupted(work)):
        raise click.exceptions.Exit(130)
    [outcome] = outcomes
    text = summary(outcome)
    (plan.data / "report.md").write_text(f"# {TITLE}\n\n{results.machine()}\n\n{text}\n")
    if write:
        results.write(TITLE, f"just cluster-chaos --domain {domain} --down {down:g}", text)
    click.echo(text)
    click.echo(f"\nreport: {plan.data / 'report.md'}")
    if outcome.findings:
        raise click.exceptions.Exit(1)


if __name__ == "__main__":
    main()
