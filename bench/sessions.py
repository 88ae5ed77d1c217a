"""100,000 live sessions in one worker: what they cost of memory, and of the rate of HTTP requests to other actors beside them.

python -m bench.sessions [--seconds 5] [--rounds 4]

Two stacks side by side, alike but for the sessions in memory (bench/full_worker.py), take the same load in turns.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import psutil
from msgspec import Struct
from msgspec.structs import replace

from bench import results
from bench.full_worker import SESSIONS
from bench.http import WARM_S, Side, ours_of
from bench.stack import CACHE, roles, settings_in
from bench.wrk import Wrk
from deploy.embedded.supervisor import Role, Supervisor
from deploy.stack import prepared

WITH, WITHOUT = f"{SESSIONS:,} live sessions", "none"
WORKERS = {
    WITH: Role("sophia", (sys.executable, "-m", "bench.full_worker", "sophia")),
    WITHOUT: roles("sophia")[0],
}


class Taken(Struct, frozen=True):
    """Of one worker: requests/s of each round, their p99 in ms, failed requests, and its memory after them."""

    rates: list[float]
    p99_ms: list[float]
    failed: int
    memory_mb: float


async def measure(seconds: int, rounds: int) -> dict[str, Taken]:
    """Both in turn, `rounds` times."""
    wrk = Wrk(CACHE / "wrk")
    found = {name: Taken([], [], 0, 0.0) for name in WORKERS}
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="diarchy-bench-"))
        sides: dict[str, Side] = {}
        for number, (name, worker) in enumerate(WORKERS.items()):
            settings = prepared(settings_in(Path(folder) / str(number)), 0)
            supervisor = Supervisor(settings, [worker, *roles("gateway")])
            await supervisor.start()
            stack.push_async_callback(supervisor.stop)
            sides[name] = ours_of(supervisor)
        for side in sides.values():
            await wrk.run(replace(side.load, seconds=WARM_S), seed=0)
        for turn in range(rounds):
            for name, side in sides.items():
                outcome = await wrk.run(replace(side.load, seconds=seconds), seed=turn + 1)
                print(
                    f"{name}: {outcome.per_s:,.0f}/s, p99 {outcome.p99_ms:.1f} ms, {outcome.failed} failed", flush=True
                )
                found[name] = Taken(
                    [*found[name].rates, outcome.per_s],
                    [*found[name].p99_ms, outcome.p99_ms],
                    found[name].failed + outcome.failed,
                    psutil.Process(side.pids["sophia"]).memory_info().rss / 1e6,
                )
    return found


def slowdown(found: dict[str, Taken]) -> float:
    """The median, over the rounds, of the part of the requests/s that is missing beside the sessions."""
    pairs = zip(found[WITH].rates, found[WITHOUT].rates, strict=True)
    return statistics.median(1 - full / empty for full, empty in pairs)


def table(found: dict[str, Taken]) -> str:
    full, empty = found[WITH], found[WITHOUT]
    rates = [statistics.median(one.rates) for one in (full, empty)]
    p99_ms = [statistics.median(one.p99_ms) for one in (full, empty)]
    return (
        f"| in the worker's memory | {WITH} | {WITHOUT} |\n|---|---|---|\n"
        f"| its memory, resident | {full.memory_mb:,.0f} MB | {empty.memory_mb:,.0f} MB |\n"
        f"| requests/s, 64 connections, median of {len(full.rates)} rounds in turn | {rates[0]:,.0f} | {rates[1]:,.0f} |\n"
        f"| p99 | {p99_ms[0]:.1f} ms | {p99_ms[1]:.1f} ms |\n"
        f"| failed requests | {full.failed} | {empty.failed} |\n"
        f"| slowdown, median of the pairs | {slowdown(found):.1%} | |\n\n"
        "The job is the one of HTTP to a durable actor and back, on other actors of the same worker."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=4)
    arguments = parser.parse_args()
    found = asyncio.run(measure(arguments.seconds, arguments.rounds))
    results.write("A worker with 100,000 live sessions", "just bench sessions", table(found))
    results.record(
        {
            "sessions.memory_mb": (
                found[WITH].memory_mb,
                f"the same worker without: {found[WITHOUT].memory_mb:,.0f} MB",
            ),
            "sessions.slowdown": (
                slowdown(found),
                f"{statistics.median(found[WITH].rates):,.0f}/s beside {statistics.median(found[WITHOUT].rates):,.0f}/s without",
            ),
        }
    )
    print(table(found))


if __name__ == "__main__":
    main()
