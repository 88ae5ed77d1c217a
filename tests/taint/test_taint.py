"""A fixed set of episodes; `just taint` plays thousands of cases. What may be seen is seen, and planted leaks are found."""

from collections import Counter
from functools import cache

import pytest

from tests.taint.exits import EXITS
from tests.taint.mutants import MUTANTS
from tests.taint.play import CASES, Result, play, shrunk

SEEDS = 16
PLANTED_CASES_MAX = 300


@cache
def sound(seed: int) -> Result:
    """The episode of a seed, once."""
    return play(seed)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_nobody_is_told_what_is_above_him(seed: int) -> None:
    result = sound(seed)
    assert not result.findings, result.report()
    assert result.cases == CASES


def test_what_a_reader_may_see_he_is_shown_at_every_exit() -> None:
    """Else the property would hold for a system that shows nothing."""
    played, shown, showable = Counter[str](), Counter[str](), Counter[str]()
    for seed in range(SEEDS):
        played += sound(seed).played
        shown += sound(seed).shown
        showable += sound(seed).showable
    assert set(played) == set(EXITS)
    assert showable.total() > SEEDS * CASES
    assert {name: shown[name] for name in showable} == {name: showable[name] for name in showable}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_planted_leak_is_found(name: str) -> None:
    """And the seed that finds it finds nothing without it."""
    planted = MUTANTS[name]
    for seed in range(PLANTED_CASES_MAX // CASES):
        with planted.leak():
            result = play(seed, exits=planted.exits)
        if result.findings:
            break
    else:
        pytest.fail(f"{name} was not found in {PLANTED_CASES_MAX} cases")
    assert not play(seed, exits=planted.exits).findings


def test_a_finding_is_made_smaller() -> None:
    planted = MUTANTS["a page of events"]
    with planted.leak():
        result = next(found for seed in range(SEEDS) if (found := play(seed, exits=planted.exits)).findings)
        smaller = shrunk(result, exits=planted.exits)
    assert smaller.findings
    assert len(smaller.history) < len(result.history)
    assert smaller.report().endswith(f"just taint --seed {result.seed}")
