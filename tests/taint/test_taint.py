"""A fixed set of episodes; `just taint` plays thousands of cases. What may be seen is seen, and planted leaks are found."""

from collections import Counter
from functools import cache

import pytest

from tests.taint.exits import EXITS
from tests.taint.mutants import MUTANTS, STORED
from tests.taint.play import CASES, Result, play, shrunk

SEEDS = 16
STORED_SEEDS = 2
SHOWN_MIN = 0.9  # An answer need not quote what a reader may see: the model says what is to the point.
PLANTED_CASES_MAX = 500


@cache
def sound(seed: int) -> Result:
    """The episode of a seed, once."""
    return play(seed)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_nobody_is_told_what_is_above_him(seed: int) -> None:
    result = sound(seed)
    assert not result.findings, result.report()
    assert result.cases == CASES


@pytest.mark.parametrize("seed", range(STORED_SEEDS))
def test_nor_by_the_database(seed: int) -> None:
    result = play(seed, stored=True)
    assert not result.findings, result.report()
    assert (result.played, result.showable) == (sound(seed).played, sound(seed).showable)
    assert result.shown == sound(seed).shown


def test_what_a_reader_may_see_he_is_shown_at_every_exit() -> None:
    """Else the property would hold for a system that shows nothing."""
    played, shown, showable = Counter[str](), Counter[str](), Counter[str]()
    for seed in range(SEEDS):
        played += sound(seed).played
        shown += sound(seed).shown
        showable += sound(seed).showable
    assert set(played) == set(EXITS)
    assert showable.total() > SEEDS * CASES
    assert {name for name in showable if shown[name] < SHOWN_MIN * showable[name]} == set()


@pytest.mark.parametrize("name", [*MUTANTS, *STORED])
def test_a_planted_leak_is_found(name: str) -> None:
    """And the seed that finds it finds nothing without it."""
    stored = name in STORED
    planted = STORED[name] if stored else MUTANTS[name]
    for seed in range(PLANTED_CASES_MAX // CASES):
        with planted.leak():
            result = play(seed, exits=planted.exits, stored=stored)
        if result.findings:
            break
    else:
        pytest.fail(f"{name} was not found in {PLANTED_CASES_MAX} cases")
    assert not play(seed, exits=planted.exits, stored=stored).findings


def test_a_finding_is_made_smaller() -> None:
    planted = MUTANTS["a page of events"]
    with planted.leak():
        result = next(found for seed in range(SEEDS) if (found := play(seed, exits=planted.exits)).findings)
        smaller = shrunk(result, exits=planted.exits)
    assert smaller.findings
    assert len(smaller.history) < len(result.history)
    assert smaller.report().endswith(f"just taint --seed {result.seed}")
