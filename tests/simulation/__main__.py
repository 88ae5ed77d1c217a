"""`just simulate [SEEDS]`: the kernel in thousands of simulated worlds; `just simulate --seed N`: one of them again."""

import os
import sys
import time

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tests.simulation.batch import results_of
from tests.simulation.plan import Options, planned
from tests.simulation.run import Result, shrunk, simulate


@click.command()
@click.argument("seeds", default=10_000)
@click.option("--from", "first", default=0, help="The first seed.")
@click.option("--seed", type=int, help="Only this one, with the end of its history.")
@click.option("--messages", default=1_000, help="With --seed: at most so many messages.")
@click.option("--without", multiple=True, help="With --seed: leave a kind of fault out; may be repeated.")
@click.option("--about", default="", help="With --seed: show only the notes with this text in them, and all of them.")
@click.option("--jobs", default=os.cpu_count() or 1, help="Processes.")
def main(  # noqa: PLR0917 - one argument an option
    seeds: int, first: int, seed: int | None, messages: int, without: tuple[str, ...], about: str, jobs: int
) -> None:
    """Run SEEDS seeds and end with 1 if one of them finds something; each prints how to run it again."""
    console = Console(stderr=True)
    if seed is not None:
        options = Options(seed=seed, without=without, messages_max=messages)
        result = simulate(options, notes=100_000 if about else 60, about=about)
        print(result.report() if result.findings else f"seed {seed} is sound: {planned(options).weather}")
        sys.exit(bool(result.findings))
    started = time.perf_counter()
    failed: list[Result] = []
    done = steps = 0
    try:
        with _progress(console, seeds) as progress:
            for results in results_of(range(first, first + seeds), jobs):
                done += len(results)
                steps += sum(result.steps for result in results)
                failed += [result for result in results if result.findings]
                progress.update(progress.task_ids[0], completed=done, failed=len(failed))
    except KeyboardInterrupt:
        console.print("stopped")
    for result in failed[:3]:
        print(result.report())
        print(f"smaller: {shrunk(result.options).command()}\n")
    if len(failed) > 3:
        print("failed as well:", *(result.options.seed for result in failed[3:]))
    took_s = time.perf_counter() - started
    print(f"{done:,} seeds, {steps:,} steps, {took_s:.0f} s: {len(failed)} found something")
    sys.exit(bool(failed) or done < seeds)


def _progress(console: Console, seeds: int) -> Progress:
    progress = Progress(
        TextColumn("simulating"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[failed]} found something"),
        console=console,
    )
    progress.add_task("", total=seeds, failed=0)
    return progress


if __name__ == "__main__":
    main()
