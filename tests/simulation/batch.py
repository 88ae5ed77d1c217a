"""Many seeds on all cores."""

import gc
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from multiprocessing import get_context

from tests.simulation.plan import Options
from tests.simulation.run import Result, simulate

SEEDS_AT_ONCE = 20
AHEAD = 4  # pieces of work a process that wait for it


def results_of(seeds: range, jobs: int) -> Iterator[list[Result]]:
    """The results of all seeds, some at a time, as they come."""
    pieces = iter([seeds[start : start + SEEDS_AT_ONCE] for start in range(0, len(seeds), SEEDS_AT_ONCE)])
    waiting: set[Future[list[Result]]] = set()
    with _pool(jobs) as pool:
        while True:
            for piece in pieces:
                waiting.add(pool.submit(_some, piece))
                if len(waiting) >= AHEAD * jobs:
                    break
            if not waiting:
                return
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for one in done:
                yield one.result()


@contextmanager
def _pool(jobs: int) -> Iterator[ProcessPoolExecutor]:
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_prepare)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _prepare() -> None:
    """Ctrl-C is for the first process; what was imported is never looked through for garbage."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()


def _some(seeds: Sequence[int]) -> list[Result]:
    return [simulate(Options(seed=seed)) for seed in seeds]
