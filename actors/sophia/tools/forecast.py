"""What will be won in the next period, with an interval and with how far such forecasts were off before.

From the pipeline: of the deals that stood open in a stage when an earlier period began, how many were won by its end (landmarks;
H. van Houwelingen, 2007, "Dynamic prediction by landmarking"). Earlier periods are drawn with replacement, a stage's probability
from the Beta distribution of what was seen in those (Jeffreys' prior), each open deal by it; what is opened and won within the
period is drawn from the earlier periods. 4,000 draws from a fixed seed; the interval is the middle 80 %.

From the past: exponential smoothing (statsmodels' ETS; additive errors, trend and season as AICc prefers) of what a period won.
"""

import warnings
from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from actors.sophia.tools.deals import Deal, Deals

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PERIOD_DAYS = 91  # a quarter
PERIODS_MIN = 4
PERIODS_MAX = 40
LANDMARKS_MIN = 30
STAGE_LANDMARKS_MIN = 8
SMOOTHED_PERIODS_MIN = 12
HOLDOUT_MAX = 4
DRAWS = 4_000
SEED = 20_261_129
LEVEL = 0.8
EXACT_DEALS_MAX = 300  # of a stage; of more the sum is drawn, not each deal


class Holdout(Struct, frozen=True, kw_only=True):
    """Earlier periods forecast from what was known before them: the mean absolute error, and in how many the interval held."""

    periods: int
    error: float
    actual: float
    covered: int


class Forecast(Struct, frozen=True, kw_only=True):
    """The value won after `start`, by `end`: the expected one and the 80 % interval. `periods`: how many it was learnt from."""

    method: str
    start: date
    end: date
    expected: float
    low: float
    high: float
    periods: int
    holdout: Holdout | None = None


class Outlook(Struct, frozen=True, kw_only=True):
    """Both forecasts, as far as there is enough to go by; `missing` says of what there is too little."""

    pipeline: Forecast | None = None
    smoothed: Forecast | None = None
    missing: tuple[str, ...] = ()
    period_days: int = PERIOD_DAYS


class _Period(Struct, frozen=True):
    """`open_`: deals that stood open when it began, with their stage then; `fresh`: the value opened and won within it."""

    start: date
    end: date
    open_: tuple[tuple[str, Deal], ...]
    fresh: float
    won: float


def outlook(deals: Deals, *, period_days: int = PERIOD_DAYS) -> Outlook:
    """Of the period that begins after the last day known."""
    earlier = _periods(deals, period_days)
    now = _period(deals, deals.as_of, period_days)
    missing = []
    pipeline = smoothed = None
    landmarks = sum(len(period.open_) for period in earlier)
    if len(earlier) < PERIODS_MIN or landmarks < LANDMARKS_MIN:
        missing.append(
            f"a forecast from the pipeline needs {PERIODS_MIN} earlier periods of {period_days} days and {LANDMARKS_MIN} deals"
            f" that stood open as they began; there are {len(earlier)} and {landmarks}"
        )
    else:
        pipeline = _from_pipeline(earlier, now, _held_out(earlier, len(earlier), _pipeline_once))
    if len(earlier) < SMOOTHED_PERIODS_MIN:
        missing.append(
            f"exponential smoothing needs {SMOOTHED_PERIODS_MIN} earlier periods of {period_days} days; there are {len(earlier)}"
        )
    else:
        smoothed = _smoothed(earlier, now)
    return Outlook(pipeline=pipeline, smoothed=smoothed, missing=tuple(missing), period_days=period_days)


def _periods(deals: Deals, days: int) -> list[_Period]:
    """The whole periods between the first day known and the last, the earliest first."""
    first = min((deal.opened for deal in deals.deals if deal.opened is not None), default=deals.as_of)
    count = min(PERIODS_MAX, (deals.as_of - first).days // days)
    return [_period(deals, deals.as_of - timedelta(days=days * back), days) for back in range(count, 0, -1)]


def _period(deals: Deals, start: date, days: int) -> _Period:
    end = start + timedelta(days=days)
    ended = [deal for deal in deals.deals if deal.won_within(start, end)]
    return _Period(
        start=start,
        end=end,
        open_=tuple((deal.stage_on(start), deal) for deal in deals.deals if deal.open_on(start)),
        fresh=sum(deal.value for deal in ended if deal.opened is not None and deal.opened > start),
        won=sum(deal.value for deal in ended),
    )


Once = tuple[float, float, float]
"""Expected, low, high."""


def _pipeline_once(earlier: Sequence[_Period], now: _Period) -> Once:
    import numpy as np

    totals = _draws(earlier, now)
    low, high = np.quantile(totals, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(totals.mean()), float(low), float(high)


def _draws(earlier: Sequence[_Period], now: _Period) -> "NDArray[np.float64]":
    import numpy as np

    random = np.random.default_rng(SEED)
    weights = random.multinomial(len(earlier), [1 / len(earlier)] * len(earlier), size=DRAWS)
    fresh = np.array([period.fresh for period in earlier])
    totals = fresh[random.integers(0, len(earlier), size=DRAWS)]
    stages: dict[str, list[float]] = {}
    for stage, deal in now.open_:
        stages.setdefault(stage, []).append(deal.value)
    for stage in sorted(stages):
        seen = _seen(earlier, stage)
        if sum(total for _, total in seen) < STAGE_LANDMARKS_MIN:
            seen = _seen(earlier, None)
        hits = weights @ np.array([won for won, _ in seen])
        total = weights @ np.array([of for _, of in seen])
        totals = totals + _sums(random, random.beta(hits + 0.5, total - hits + 0.5), np.array(stages[stage]))
    return totals


def _sums(
    random: "np.random.Generator", chances: "NDArray[np.float64]", values: "NDArray[np.float64]"
) -> "NDArray[np.float64]":
    """The value won of deals with the same chance, a draw each; of very many as the normal distribution has it."""
    import numpy as np

    if len(values) > EXACT_DEALS_MAX:
        spread = np.sqrt(chances * (1 - chances) * (values**2).sum())
        total = np.clip(random.normal(chances * values.sum(), spread), 0.0, values.sum())
        return np.asarray(total, dtype=np.float64)
    won = random.random((len(chances), len(values))) < chances[:, None]
    return np.asarray(won @ values, dtype=np.float64)


def _seen(earlier: Sequence[_Period], stage: str | None) -> list[tuple[int, int]]:
    """Of each period: how many deals stood in the stage (None: in any) as it began, how many of them were won by its end."""
    found = []
    for period in earlier:
        stood = [deal for at, deal in period.open_ if stage is None or at == stage]
        found.append((sum(deal.won_within(period.start, period.end) for deal in stood), len(stood)))
    return found


def _from_pipeline(earlier: Sequence[_Period], now: _Period, held: Holdout | None) -> Forecast:
    expected, low, high = _pipeline_once(earlier, now)
    return Forecast(
        method="open deals weighted by how deals in the same stage fared in earlier periods (landmarks, Beta-binomial bootstrap)",
        start=now.start,
        end=now.end,
        expected=expected,
        low=low,
        high=high,
        periods=len(earlier),
        holdout=held,
    )


def _smoothed(earlier: Sequence[_Period], now: _Period) -> Forecast:
    expected, low, high = _ets_once(earlier, now)
    return Forecast(
        method="exponential smoothing (ETS) of the value won in each period",
        start=now.start,
        end=now.end,
        expected=expected,
        low=low,
        high=high,
        periods=len(earlier),
        holdout=_held_out(earlier, len(earlier), _ets_once, least=SMOOTHED_PERIODS_MIN - HOLDOUT_MAX),
    )


def _ets_once(earlier: Sequence[_Period], _now: _Period) -> Once:
    import numpy as np
    import pandas as pd
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel

    won = pd.Series([period.won for period in earlier])
    if won.std() == 0:
        return earlier[-1].won, earlier[-1].won, earlier[-1].won
    shapes: list[dict[str, Any]] = [{}, {"trend": "add", "damped_trend": True}]
    if len(won) >= 16:
        shapes.append({"seasonal": "add", "seasonal_periods": 4})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Of a fit that did not converge: then its AICc is poor, and another is taken.
        fits = [ETSModel(won, error="add", **shape).fit(disp=False) for shape in shapes]
        best = min(fits, key=lambda fit: fit.aicc if np.isfinite(fit.aicc) else np.inf)
        frame = best.get_prediction(start=len(won), end=len(won)).summary_frame(alpha=1 - LEVEL)
    mean, low, high = (float(frame[name].iloc[0]) for name in ("mean", "pi_lower", "pi_upper"))
    return max(0.0, mean), max(0.0, low), max(0.0, high)


def _held_out(earlier: Sequence[_Period], count: int, once: Any, *, least: int = PERIODS_MIN) -> Holdout | None:
    """The last periods, each forecast from those before it; None where there are too few."""
    tried = min(HOLDOUT_MAX, count - least)
    if tried < 1:
        return None
    errors, actual, covered = 0.0, 0.0, 0
    for at in range(count - tried, count):
        expected, low, high = once(earlier[:at], earlier[at])
        won = earlier[at].won
        errors += abs(expected - won)
        actual += won
        covered += low <= won <= high
    return Holdout(periods=tried, error=errors / tried, actual=actual / tried, covered=covered)
