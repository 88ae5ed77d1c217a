"""A fixed set of simulated worlds; `just simulate` runs thousands. A seed is always the same world; planted bugs are found."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.simulation.mutants import MUTANTS
from tests.simulation.plan import MESSAGES_MAX, Options
from tests.simulation.run import Result, shrunk, simulate
from tests.simulation.weather import FAULTS

SEEDS = 100
AT_ONCE = 20
REPLAYED = (3, 13)
PLANTED_SEEDS_MAX = 120
EVERYTHING = (
    "crash",
    "pause",
    "resume",
    "cut",
    "outage",
    "silence",
    "leaves",
    "unpin",
    "pin lapses",
    "reset",
    "failed",
    "timer",
    "buried",
    "known",
    "saved",
    "loaded",
    "handed out again",
)


@cache
def sound(seed: int) -> Result:
    """The run of a seed, once."""
    return simulate(Options(seed=seed))


@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_nothing_is_lost_doubled_or_reordered(first: int) -> None:
    for seed in range(first, first + AT_ONCE):
        result = sound(seed)
        assert not result.findings, result.report()


def test_a_seed_is_always_the_same_world() -> None:
    """Also in another process, where sets of texts have another order."""
    here = [simulate(Options(seed=seed)).digest for seed in REPLAYED]
    again = [simulate(Options(seed=seed)).digest for seed in REPLAYED]
    program = (
        "from tests.simulation.run import simulate; from tests.simulation.plan import Options; "
        f"print(*(simulate(Options(seed=seed)).digest for seed in {REPLAYED}))"
    )
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONHASHSEED": "4711", "PYTHONPATH": str(root)}
    elsewhere = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program], env=environment, cwd=root, capture_output=True, text=True, check=True
    )
    assert here == again == elsewhere.stdout.split()
    assert len(set(here)) == len(REPLAYED)


def test_the_fixed_set_meets_every_trouble() -> None:
    """So that it does not become harmless unseen."""
    met = {what for seed in range(SEEDS) for what in sound(seed).met}
    assert met >= set(EVERYTHING), f"never met: {set(EVERYTHING) - met}"


@pytest.mark.parametrize("name", MUTANTS)
def test_a_planted_bug_is_found(name: str) -> None:
    """And the seed that finds it finds nothing without it."""
    for seed in range(PLANTED_SEEDS_MAX):
        with MUTANTS[name]():
            result = simulate(Options(seed=seed))
        if result.findings:
            break
    else:
        pytest.fail(f"{name} was not found in {PLANTED_SEEDS_MAX} seeds")
    assert not sound(seed).findings


def test_a_failure_is_made_smaller() -> None:
    with MUTANTS["acknowledged before commit"]():
        options = next(one for seed in range(PLANTED_SEEDS_MAX) if simulate(one := Options(seed=seed)).findings)
        smaller = shrunk(options)
        assert simulate(smaller).findings
    assert len(smaller.without) > len(FAULTS) / 2
    assert smaller.messages_max < MESSAGES_MAX
    assert smaller.command().startswith(f"just simulate --seed {options.seed} ")
