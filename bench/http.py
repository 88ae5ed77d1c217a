"""HTTP → durable keyed actor with one journaled effect and one state change → HTTP answer, beside Restate on the same job.

python -m bench.http [--seconds 6] [--rounds 3] [--no-peer]
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from bench import results
from bench.counter import PATH, ROLE
from bench.restate import peer
from bench.stack import CACHE, roles, settings_in
from bench.wrk import Load, Outcome, Wrk
from contracts.domains import Clearance
from deploy.embedded.supervisor import Supervisor
from deploy.keys import signing_key
from deploy.stack import prepared, url_of
from gateway.identity import Principal, Tokens

KEYS = 1_000
CONNECTIONS = (64, 1)
WARM_S = 2
TICK_US = 1_000_000 / os.sysconf("SC_CLK_TCK")


class Side(Struct, frozen=True):
    """One of the two: what to send it, and its processes."""

    name: str
    load: Load
    pids: dict[str, int]


class Figures(Struct, frozen=True, kw_only=True):
    """One run: what wrk saw, and what it cost in processor time, µs a request and process."""

    side: str
    connections: int
    outcome: Outcome
    cost_us: dict[str, float]


async def measure(seconds: int, rounds: int, *, with_peer: bool) -> list[Figures]:
    """Both sides in turn, `rounds` times, in one go."""
    found: list[Figures] = []
    wrk = Wrk(CACHE / "wrk")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours = Supervisor(prepared(settings_in(folder / "diarchy"), 0), roles("sophia", "gateway"))
        theirs = peer.Restate(CACHE / "restate", folder / "restate")
        try:
            await ours.start()
            sides = [ours_of(ours)]
            if with_peer:
                await asyncio.to_thread(peer.install, CACHE / "restate")
                await theirs.start()
                sides.append(Side("Restate", Load(url=theirs.url, tail="/add", keys=KEYS), theirs.pids))
            for side in sides:
                await wrk.run(replace(side.load, seconds=WARM_S), seed=0)
            for connections in CONNECTIONS:
                for turn in range(rounds):
                    for side in sides:
                        load = replace(side.load, connections=connections, seconds=seconds)
                        found.append(await _run(wrk, side, load, seed=turn + 1))
        except Exception:
            _tell_logs(folder)
            raise
        finally:
            await theirs.stop()
            await ours.stop()
    return found


async def _run(wrk: Wrk, side: Side, load: Load, seed: int) -> Figures:
    before = {name: _ticks(pid) for name, pid in side.pids.items()}
    outcome = await wrk.run(load, seed)
    cost = {name: (_ticks(pid) - before[name]) * TICK_US / max(outcome.answered, 1) for name, pid in side.pids.items()}
    figures = Figures(side=side.name, connections=load.connections, outcome=outcome, cost_us=cost)
    print(_line(figures), flush=True)
    return figures


def ours_of(stack: Supervisor) -> Side:
    """The gateway of a stack, and what to send it."""
    settings = stack.settings
    principal = Principal(username="bench", roles=(ROLE,), clearance=Clearance.PUBLIC)
    token = Tokens(signing_key(settings)).issue(principal, datetime.now(UTC))
    pids = {name: stack.pid(name) or 0 for name in ("gateway", "sophia", "nats")}
    load = Load(url=url_of(settings) + PATH, keys=KEYS, headers={"Authorization": f"Bearer {token}"})
    return Side("Diarchy", load, pids)


def _tell_logs(folder: Path) -> None:
    for log in sorted(folder.glob("*/logs/*.log")):
        print(f"--- {log.name}\n{log.read_text(errors='replace')[-3_000:]}", file=sys.stderr)


def _ticks(pid: int) -> int:
    """Processor time so far of the process, its threads and its children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(fields[11]) + int(fields[12]) + sum(map(_ticks, map(int, children)))


def _line(one: Figures) -> str:
    costs = ", ".join(f"{name} {us:.0f}" for name, us in one.cost_us.items())
    outcome = one.outcome
    return (
        f"{one.side}, {one.connections} connections: {outcome.per_s:,.0f}/s, p50 {outcome.p50_ms:.1f} ms, "
        f"p99 {outcome.p99_ms:.1f} ms, {outcome.failed} failed; µs of processor a request: {costs}"
    )


def table(found: Sequence[Figures]) -> str:
    """The rows of RESULTS.md: the median of the rounds, and the ratio where there is a peer."""
    lines = [
        "| what | Diarchy | Restate | ratio | goal |",
        "|---|---|---|---|---|",
    ]
    for connections, goal in zip(CONNECTIONS, ("≥ 2,500/s and ≥ 5×", "p50 ≤ 4 ms"), strict=True):
        rate, p50, p99 = (
            {side: _median(found, side, connections, field) for side in ("Diarchy", "Restate")}
            for field in ("per_s", "p50_ms", "p99_ms")
        )
        plural = "s" if connections > 1 else ""
        lines.append(
            f"| requests/s, {connections} connection{plural} | {rate['Diarchy']:,.0f} | {rate['Restate']:,.0f} "
            f"| {rate['Diarchy'] / rate['Restate']:.1f}× | {goal} |"
        )
        lines.append(
            f"| p50 / p99, {connections} connection{plural} | {p50['Diarchy']:.1f} / {p99['Diarchy']:.1f} ms "
            f"| {p50['Restate']:.1f} / {p99['Restate']:.1f} ms | {p50['Restate'] / p50['Diarchy']:.1f}× | |"
        )
    failed = {side: sum(one.outcome.failed for one in found if one.side == side) for side in ("Diarchy", "Restate")}
    lines.append(f"| failed requests | {failed['Diarchy']} | {failed['Restate']} | | 0 |")
    for side in ("Diarchy", "Restate"):
        busy = [one for one in found if one.side == side and one.connections == CONNECTIONS[0]]
        names = busy[0].cost_us if busy else {}
        costs = ", ".join(f"{name} {statistics.median(one.cost_us[name] for one in busy):.0f} µs" for name in names)
        lines.append(f"| processor a request, {side}, {CONNECTIONS[0]} connections | {costs} | | | |")
    return "\n".join(lines) + f"\n\n{KEYS:,} actors; wrk on the same two cores. Peer: {peer.ABOUT}."


def _median(found: Sequence[Figures], side: str, connections: int, field: str) -> float:
    values = [getattr(one.outcome, field) for one in found if (one.side, one.connections) == (side, connections)]
    return statistics.median(values) if values else float("nan")


def reached(found: Sequence[Figures]) -> dict[str, tuple[float, str]]:
    """The figures of the goals, each with Restate's beside it."""
    many, one = CONNECTIONS
    ours, theirs = (_median(found, side, many, "per_s") for side in ("Diarchy", "Restate"))
    return {
        "job.rate": (ours, f"Restate: {theirs:,.0f}/s"),
        "job.ratio": (ours / theirs, f"Restate: {theirs:,.0f}/s"),
        "job.p50_ms": (
            _median(found, "Diarchy", one, "p50_ms"),
            f"Restate: {_median(found, 'Restate', one, 'p50_ms'):.1f} ms",
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-peer", action="store_true", help="our side only; nothing is written to RESULTS.md")
    arguments = parser.parse_args()
    found = asyncio.run(measure(arguments.seconds, arguments.rounds, with_peer=not arguments.no_peer))
    if not arguments.no_peer:
        text = table(found)
        results.write("HTTP to a durable actor and back", "just bench http", text)
        results.record(reached(found))
        print(text)


if __name__ == "__main__":
    main()
