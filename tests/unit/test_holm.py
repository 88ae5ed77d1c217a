"""Holm's correction, against statsmodels' own."""

import gc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from actors.holm import holm

P = st.floats(0, 1) | st.sampled_from([0.0, 0.01, 0.05, 1.0])


@pytest.fixture(scope="module", autouse=True)
def nothing_to_collect() -> Iterator[None]:
    """statsmodels collects all garbage each time: of what is there already there is none."""
    gc.freeze()
    yield
    gc.unfreeze()


@given(st.lists(P, min_size=1, max_size=30))
def test_it_equals_that_of_statsmodels(p: list[float]) -> None:
    assert holm(p) == pytest.approx(list(multipletests(p, method="holm")[1]), abs=1e-15)


def test_of_nothing_it_is_nothing() -> None:
    assert holm([]) == []
