"""Forecasts of simulated pipelines, whose next quarter is known: how often the interval holds, and how little is too little."""

from datetime import date, timedelta

import pytest

from actors.sophia.tools import forecast
from actors.sophia.tools.deals import Deal, Deals, deals_of
from actors.sophia.tools.forecast import PERIOD_DAYS, outlook
from actors.tables import read_table
from tests.pipelines import TODAY, simulated, table

SEEDS = 40


def _known(seed: int, a_week: float = 3.0) -> tuple[Deals, float]:
    """What is known of a pipeline today, and what it will close within the quarter."""
    rows, later = simulated(seed, a_week=a_week)
    found = deals_of(read_table(table(rows)), TODAY)
    assert found is not None
    end = found.as_of + timedelta(days=PERIOD_DAYS)
    return found, sum(value for day, value in later if day <= end)


def test_the_interval_of_eighty_per_cent_holds_about_that_often() -> None:
    """Of 40 quarters; were the true chance below 0.6 or above 0.95, these bounds would be left more often than not."""
    held, off, naive = 0, 0.0, 0.0
    for seed in range(SEEDS):
        deals, truth = _known(seed)
        earlier = forecast._periods(deals, PERIOD_DAYS)
        expected, low, high = forecast._pipeline_once(earlier, forecast._period(deals, deals.as_of, PERIOD_DAYS))
        held += low <= truth <= high
        off += abs(expected - truth)
        naive += abs(earlier[-1].won - truth)
    assert 26 <= held <= 37
    assert off < naive  # than that the quarter will be like the last one


def test_smoothing_holds_its_interval_too() -> None:
    held = 0
    for seed in range(12):
        deals, truth = _known(seed)
        earlier = forecast._periods(deals, PERIOD_DAYS)
        _, low, high = forecast._ets_once(earlier, earlier[-1])
        held += low <= truth <= high
    assert 6 <= held <= 12


def test_a_forecast_says_how_far_it_was_off_before() -> None:
    deals, _ = _known(3)
    found = outlook(deals)
    assert found.missing == ()
    for one in (found.pipeline, found.smoothed):
        assert one is not None
        assert one.start == deals.as_of
        assert one.end - one.start == timedelta(days=PERIOD_DAYS)
        assert one.low <= one.expected <= one.high
        assert one.holdout is not None
        assert one.holdout.covered <= one.holdout.periods
        assert one.periods == (deals.as_of - date(2023, 1, 2)).days // PERIOD_DAYS


def test_the_same_deals_give_the_same_forecast() -> None:
    deals, _ = _known(5, a_week=1.0)
    assert outlook(deals) == outlook(deals)


@pytest.mark.parametrize("days", [10, 200])
def test_too_little_is_said(days: int) -> None:
    opened = TODAY - timedelta(days=days)
    found = outlook(Deals(deals=(Deal(id="one", value=10.0, opened=opened, stage="offer"),), as_of=TODAY))
    assert found.pipeline is None
    assert found.smoothed is None
    assert len(found.missing) == 2
    assert f"there are {days // PERIOD_DAYS}" in found.missing[1]


def test_very_many_deals_are_forecast_as_one_sum() -> None:
    """The normal distribution in place of a coin a deal changes the interval by little."""
    start = TODAY - timedelta(days=PERIOD_DAYS)
    few = [Deal(id=str(at), value=1.0, stage="offer", opened=start) for at in range(forecast.EXACT_DEALS_MAX)]
    earlier = [
        forecast._Period(TODAY, TODAY, tuple(("offer", _won(one, at % 2 == 0)) for at, one in enumerate(few)), 0.0, 0.0)
    ] * 4
    now = forecast._Period(TODAY, TODAY, tuple(("offer", one) for one in few), 0.0, 0.0)
    many = forecast._Period(TODAY, TODAY, (*now.open_, ("offer", few[0])), 0.0, 0.0)
    exact, summed = forecast._pipeline_once(earlier, now), forecast._pipeline_once(earlier, many)
    assert all(abs(one - other) < 3 for one, other in zip(exact, summed, strict=True))


def _won(deal: Deal, won: bool) -> Deal:
    return Deal(id=deal.id, value=1.0, stage="won" if won else "lost", closed=TODAY, won=won)
