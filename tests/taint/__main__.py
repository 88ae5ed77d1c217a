"""`just taint [CASES]`: random items, acts and readers at every exit; `just taint --seed N`: one episode again, made smaller."""

import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

import click

from tests.taint.play import CASES, Result, play, shrunk


@click.command()
@click.argument("cases", default=10_000)
@click.option("--from", "first", default=0, help="The first seed.")
@click.option("--seed", type=int, help="Only this one, with what happened in it.")
@click.option("--stored", is_flag=True, help="With the read models in PostgreSQL.")
@click.option("--jobs", default=os.cpu_count() or 1, help="Processes.")
def main(cases: int, first: int, seed: int | None, jobs: int, *, stored: bool) -> None:
    """Play CASES cases, 25 a seed, and end with 1 if one of them finds something; each prints how to play it again."""
    if seed is not None:
        result = play(seed, stored=stored)
        print(
            shrunk(result, stored=stored).report() if result.findings else f"seed {seed} is sound: {result.cases} cases"
        )
        sys.exit(bool(result.findings))
    started = time.perf_counter()
    seeds = range(first, first + -(-cases // CASES))
    print(f"seeds {seeds.start} to {seeds.stop - 1}", flush=True)
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        results = list(pool.map(partial(play, stored=stored), seeds, chunksize=4))
    for result in [one for one in results if one.findings][:3]:
        print(result.report())
    sys.exit(_summary(results, time.perf_counter() - started))


def _summary(results: list[Result], took_s: float) -> int:
    played, shown, showable = Counter[str](), Counter[str](), Counter[str]()
    for result in results:
        played += result.played
        shown += result.shown
        showable += result.showable
    for name, number in sorted(played.items()):
        print(f"{name:15} {number:6,} cases; of {showable[name]:7,} that a reader may see, {shown[name]:7,} were shown")
    failed = [one.seed for one in results if one.findings]
    print(f"{played.total():,} cases, {took_s:.0f} s: {len(failed)} seeds found something {failed[:20] or ''}")
    return bool(failed)


if __name__ == "__main__":
    main()
