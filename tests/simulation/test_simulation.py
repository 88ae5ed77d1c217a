"""A fixed set of simulated worlds; `just simulate` runs thousands. And that a seed is always the same world."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.simulation.plan import Options
from tests.simulation.run import simulate, shrunk

SEEDS = 100
AT_ONCE = 20
REPLAYED = 3


@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_nothing_is_lost_doubled_or_reordered(first: int) -> None:
    for seed in range(first, first + AT_ONCE):
        result = simulate(Options(seed=seed))
        assert not result.findings, result.report()
