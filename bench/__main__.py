"""`just bench`: every benchmark, one after the other, each in a process of its own; all of it ends in bench/RESULTS.md.

python -m bench [NAME...]
"""

import asyncio
import signal
import sys
import tempfile
import time
from pathlib import Path

import click
from msgspec import Struct

from bench import goals, results
from deploy.embedded.child import Child, Command, LogFile
from deploy.progress import Steps
from deploy.stack import until_interrupted

STOP_S_MAX = 20.0  # for a benchmark to stop its servers
LOOK_S = 1.0


class Benchmark(Struct, frozen=True):
    """A module of this folder: what it measures, about how long, and when it has gone wrong for certain."""

    what: str
    about_s: int
    s_max: int = 600


BENCHMARKS = {
    "http": Benchmark("HTTP to a durable actor and back, beside Restate", 95),
    "sessions": Benchmark("a worker with 100,000 live sessions beside one with none", 80),
    "kernel": Benchmark("one worker's messages and commits, beside FastStream", 130),
    "crossing": Benchmark("asking another domain", 20),
    "failover": Benchmark("a killed worker's partitions", 40),
    "projections": Benchmark("read models, beside a bare COPY", 75),
    "actors": Benchmark("loading, waking and keeping actors", 30),
    "rest": Benchmark("the stack at rest, beside its servers alone", 105),
    "index": Benchmark("what was deleted or changed is gone; an index rebuilt", 60),
    "embeddings": Benchmark("embedding through the port and over HTTP, beside a bare onnxruntime loop", 75),
    "importing": Benchmark("an import until all is searchable, beside a bare embedding loop", 100),
    "precision": Benchmark("the built-in model in 8 bits beside its fp32 weights", 60),
    "quality": Benchmark("what is found, beside vectors alone and words alone", 90),
    "search": Benchmark("a partition of 100,000 entries in the keeper, beside exact search, and over HTTP", 170),
    "retrieval": Benchmark("search over HTTP", 75),
}


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(BENCHMARKS)))
def main(names: tuple[str, ...]) -> None:
    """Measure all of it, or what is named; a benchmark that fails does not stop the others. The exit status is then 1."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # A shell has what it runs behind ignore it.
    chosen = [name for name in BENCHMARKS if name in names or not names]
    failed: list[str] = []
    with Steps() as steps:
        about_s = sum(BENCHMARKS[name].about_s for name in chosen)
        steps.say(f"{len(chosen)} benchmarks, about {about_s / 60:.0f} minutes on a machine that does nothing else.")

        async def work() -> None:
            for number, name in enumerate(chosen, 1):
                if not await _measured(name, f"{number} of {len(chosen)}", steps):
                    failed.append(name)

        interrupted = asyncio.run(until_interrupted(work))
    if interrupted:
        raise click.exceptions.Exit(130)
    found = results.figures()
    met, asked = goals.met(found, frozenset(chosen))
    click.echo(f"\n{goals.table(found)}\n\n{met} of the {asked} goals of this run met; all figures: {results.RESULTS}")
    if failed:
        click.echo(f"failed: {', '.join(failed)}", err=True)
        raise click.exceptions.Exit(1)


async def _measured(name: str, number: str, steps: Steps) -> bool:
    """Run one; whether it ended well. What it wrote is shown if not."""
    benchmark, began = BENCHMARKS[name], time.monotonic()
    results.forget(name)
    with tempfile.TemporaryDirectory(prefix="diarchy-bench-log-") as folder:
        log = LogFile(Path(folder) / f"{name}.log")
        task = steps.begin(f"{number}: {name}, {benchmark.what}", benchmark.about_s)
        command = Command(name=name, argv=(sys.executable, "-m", f"bench.{name}"))
        child = await Child.start(command, log)
        ended = asyncio.create_task(child.ended())
        try:
            async with asyncio.timeout(benchmark.s_max):
                while not (await asyncio.wait([ended], timeout=LOOK_S))[0]:
                    done = int(time.monotonic() - began)
                    total = max(benchmark.about_s, done + 1)
                    steps.advance(task, done, total=total, rate="s", note=log.tail.rpartition("\n")[2][:80])
            problem = f"status {ended.result()}" if ended.result() else ""
        except TimeoutError:
            problem = f"not done after {benchmark.s_max} s"
        finally:
            await asyncio.shield(child.stop(signal.SIGINT, grace_s=STOP_S_MAX))
            await ended
        steps.end(task, f"FAILED: {problem}" if problem else "")
        if problem:
            steps.say(f"{name} failed ({problem}); the end of what it wrote:\n{log.tail}")
    return not problem


if __name__ == "__main__":
    main()
