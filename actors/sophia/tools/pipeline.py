"""The pipeline in figures: what stands where, how far deals come, how long they take, what is won, what slips.

Shares have Wilson 95 % intervals; times are medians after Kaplan and Meier, where open deals count as not yet ended; segments are
compared by chi-squared tests, corrected for their number after Holm. All of it by statsmodels and scipy.
"""

import warnings
from collections.abc import Sequence
from datetime import date

from msgspec import Struct

from actors.holm import holm
from actors.sophia.tools.deals import SEGMENT_VALUES_MAX, Deal, Deals, order

GROUP_DEALS_MIN = 5
SIGNIFICANT = 0.05
TIMED_DEALS_MIN = 10
SLOW_QUANTILE = 0.75
LONG_QUANTILE = 0.9


class Share(Struct, frozen=True, kw_only=True):
    """`hits` of `total`, and the Wilson 95 % interval of their share."""

    name: str
    hits: int
    total: int
    share: float
    low: float
    high: float


class Stage(Struct, frozen=True, kw_only=True):
    """What stands in a stage: open deals and their value; how many ever came to it, went on, were lost there."""

    name: str
    deals: int
    value: float
    entered: int = 0
    conversion: Share | None = None


class Duration(Struct, frozen=True, kw_only=True):
    """Days until half (`median`), three quarters (`slow`), nine tenths (`long`) have left; None: so many have not yet. Of `deals`
    `ended` did. `low` and `high` bound the median, 95 %."""

    name: str
    deals: int
    ended: int
    median: float | None
    low: float | None
    high: float | None
    slow: float | None
    long: float | None


class Comparison(Struct, frozen=True, kw_only=True):
    """What is won by a segment's values, and whether they differ more than chance: p after Holm; None: too few to test."""

    segment: str
    shares: tuple[Share, ...]
    p: float | None


class Slipping(Struct, frozen=True, kw_only=True):
    """An open deal that is late: by `days` past its expected close, or that much longer in its stage, or open, than most."""

    id: str
    customer: str
    value: float
    stage: str
    days: int
    reason: str


def share(name: str, hits: int, total: int) -> Share:
    from statsmodels.stats.proportion import proportion_confint

    if not total:
        return Share(name=name, hits=0, total=0, share=0.0, low=0.0, high=1.0)
    low, high = proportion_confint(hits, total, alpha=0.05, method="wilson")
    return Share(name=name, hits=hits, total=total, share=hits / total, low=float(low), high=float(high))


def stages(deals: Deals) -> list[Stage]:
    """Every stage in its order. How many went on is known only where steps are: of those who are past it or lost there."""
    found = []
    for name in order(deals.deals):
        here = [deal for deal in deals.open if deal.stage == name]
        on, lost = 0, 0
        for deal in deals.deals:
            visited = [step.stage for step in deal.steps]
            if name not in visited:
                continue
            last = visited[-1] == name
            on += not last or deal.won is True
            lost += last and deal.won is False
        entered = sum(any(step.stage == name for step in deal.steps) for deal in deals.deals)
        conversion = share(name, on, on + lost) if on + lost else None
        value = sum(deal.value for deal in here)
        found.append(Stage(name=name, deals=len(here), value=value, entered=entered, conversion=conversion))
    return found


def cycle(deals: Deals) -> Duration | None:
    """From opening to the end of a deal, won or lost."""
    spans = [
        ((deal.closed or deals.as_of) - deal.opened, deal.closed is not None)
        for deal in deals.deals
        if deal.opened is not None and (deal.won is None) == (deal.closed is None)
    ]
    return _duration("the sales cycle", [(span.days, ended) for span, ended in spans])


def times(deals: Deals) -> list[Duration]:
    """The time in each stage, from coming to it to leaving it for another or closing."""
    found = []
    for name in order(deals.deals):
        spans = [_stay(deal, at, deals.as_of) for deal in deals.deals for at in _visits(deal, name)]
        if (one := _duration(name, [span for span in spans if span])) is not None:
            found.append(one)
    return found


def _visits(deal: Deal, name: str) -> list[int]:
    return [at for at, step in enumerate(deal.steps) if step.stage == name]


def _stay(deal: Deal, at: int, as_of: date) -> tuple[int, bool] | None:
    """How long, and whether it is over; None where its end is not known."""
    begun = deal.steps[at].at
    if at + 1 < len(deal.steps):
        return (deal.steps[at + 1].at - begun).days, True
    if deal.won is not None:
        return None if deal.closed is None else ((deal.closed - begun).days, True)
    return (as_of - begun).days, False


def _duration(name: str, spans: Sequence[tuple[int, bool]]) -> Duration | None:
    """After Kaplan and Meier; spans below none are left out as mistakes, none at all is None."""
    from statsmodels.duration.survfunc import SurvfuncRight

    kept = [(days, ended) for days, ended in spans if days >= 0]
    ended = sum(over for _, over in kept)
    if len(kept) < TIMED_DEALS_MIN or not ended:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # Where nobody is left at risk the variance is 0/0.
        curve = SurvfuncRight([days for days, _ in kept], [int(over) for _, over in kept])
        low, high = curve.quantile_ci(0.5)
    return Duration(
        name=name,
        deals=len(kept),
        ended=ended,
        median=_known(curve.quantile(0.5)),
        low=_known(low),
        high=_known(high),
        slow=_known(curve.quantile(SLOW_QUANTILE)),
        long=_known(curve.quantile(LONG_QUANTILE)),
    )


def _known(days: float) -> float | None:
    return float(days) if 0 <= days < float("inf") else None


def won(deals: Deals) -> Share:
    """Of all that were decided."""
    return share("all deals", sum(deal.won is True for deal in deals.deals), len(deals.decided))


def comparisons(deals: Deals) -> list[Comparison]:
    """The win rates by each segment, the surest difference first."""
    from scipy.stats import chi2_contingency

    found: list[tuple[str, list[Share], float | None]] = []
    for name in sorted({name for deal in deals.decided for name in deal.segments}):
        groups: dict[str, list[bool]] = {}
        for deal in deals.decided:
            if name in deal.segments:
                groups.setdefault(deal.segments[name], []).append(deal.won is True)
        if not 2 <= len(groups) <= SEGMENT_VALUES_MAX:
            continue
        shares = [share(value, sum(flags), len(flags)) for value, flags in groups.items()]
        table = [[one.hits, one.total - one.hits] for one in shares if one.total >= GROUP_DEALS_MIN]
        testable = len(table) > 1 and all(sum(column) for column in zip(*table, strict=True))
        p = float(chi2_contingency(table).pvalue) if testable else None
        found.append((name, sorted(shares, key=lambda one: (-one.share, one.name)), p))
    tested = [p for _, _, p in found if p is not None]
    corrected = iter(holm(tested))
    compared = [
        Comparison(segment=name, shares=tuple(shares), p=None if p is None else next(corrected))
        for name, shares, p in found
    ]
    return sorted(compared, key=lambda one: (1.0 if one.p is None else one.p, one.segment))


def slipping(deals: Deals, cycle_: Duration | None, stays: Sequence[Duration]) -> list[Slipping]:
    """Open deals past their expected close, or longer in their stage than three quarters, or open longer than nine tenths.

    The most valuable first; each with the reason that weighs most, in this order.
    """
    slow = {one.name: one.slow for one in stays}
    found = []
    for deal in deals.open:
        since = deal.steps[-1].at if deal.steps else None
        late = (deals.as_of - deal.expected).days if deal.expected else 0
        stay = (deals.as_of - since).days if since else 0
        age = (deals.as_of - deal.opened).days if deal.opened else 0
        limit, long = slow.get(deal.stage), cycle_.long if cycle_ else None
        if late > 0:
            days, reason = late, f"its expected close, {deal.expected}, passed {late:,} days ago"
        elif limit is not None and stay > limit:
            days = stay - int(limit)
            reason = f"it has been in {deal.stage} for {stay:,} days, where three quarters of deals leave within {limit:,.0f}"
        elif long is not None and age > long:
            days = age - int(long)
            reason = f"it has been open for {age:,} days, where nine tenths of deals close within {long:,.0f}"
        else:
            continue
        found.append(
            Slipping(id=deal.id, customer=deal.customer, value=deal.value, stage=deal.stage, days=days, reason=reason)
        )
    return sorted(found, key=lambda one: (-one.value, one.id))
