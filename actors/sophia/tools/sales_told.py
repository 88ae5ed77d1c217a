"""The pipeline in exact sentences, what is asked for most first."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from actors.sophia.tools.customers import money
from actors.sophia.tools.forecast import LEVEL, Forecast, Holdout, Outlook
from actors.sophia.tools.pipeline import SIGNIFICANT, Comparison, Duration, Share, Stage
from actors.tables import percent
from contracts.model import NO_DEAL

if TYPE_CHECKING:
    from actors.sophia.tools.sales_intelligence import Pipeline

SLIPPING_TOLD_MAX = 8
COMPARISONS_TOLD_MAX = 4
SHARES_TOLD_MAX = 5


def pipeline_told(found: "Pipeline", unit: str) -> list[str]:
    return [
        *_forecasts(found.outlook, unit),
        *_slipping(found, unit),
        f"{found.open:,} deals worth {_amount(found.open_value, unit)} are open on {found.as_of}, which is the value of the"
        f" pipeline; {found.deals:,} deals are known in all.",
        *(_stage(one, unit) for one in found.stages if one.deals or one.conversion),
        *_won(found),
        *_times(found),
        *(_comparison(one) for one in found.comparisons[:COMPARISONS_TOLD_MAX]),
        *_unsaid(found, unit),
    ]


def _amount(value: float, unit: str) -> str:
    """Cents of what is in the thousands say nothing."""
    return money(value, unit) if abs(value) < 1_000 else f"{value:,.0f} {unit}".rstrip()


def _deals(count: int) -> str:
    return "deal" if count == 1 else "deals"


def _forecasts(outlook: Outlook, unit: str) -> Iterator[str]:
    one, other = outlook.pipeline, outlook.smoothed
    if one is not None:
        yield _next_quarter(one, unit)
        yield f"The pipeline's forecast is made of {one.method}, learnt from {one.periods} periods."
    if other is not None:
        yield (
            f"From the past alone, by {other.method}, {_amount(other.expected, unit)} would be expected"
            f" ({LEVEL * 100:.0f} % interval {_amount(other.low, unit)} to {_amount(other.high, unit)}); that forecast"
            f" {_tried(other, unit)}."
        )
    if one is not None and other is not None:
        yield from _both(one, other)
    for missing in outlook.missing:
        yield f"There is too little data for one forecast of the next quarter: {missing}."


def _next_quarter(one: Forecast, unit: str) -> str:
    """The forecast together with how such forecasts did before; where that was badly, it is not called probable."""
    figures = (
        f"deals worth {_amount(one.expected, unit)} ({LEVEL * 100:.0f} % interval {_amount(one.low, unit)} to"
        f" {_amount(one.high, unit)})"
    )
    tried = _tried(one, unit)
    if one.holdout is not None and failed(one.holdout):
        return (
            f"The forecast of the next quarter ({_span(one)}), {figures} that we close, is not to be relied on, for its back-test"
            f" failed: {tried}."
        )
    return f"In the next quarter ({_span(one)}) we will probably close {figures}; the forecast {tried}."


def failed(held: Holdout) -> bool:
    """Whether the interval held in fewer than half of the periods, or the error was as large as what came in."""
    return held.covered * 2 < held.periods or held.error >= held.actual > 0


def _tried(one: Forecast, unit: str) -> str:
    held = one.holdout
    if held is None:
        return "rests on too few periods to say how far it was off before"
    return (
        f"tried on the last {held.periods} periods, each from those before it, it was off by {_amount(held.error, unit)} on"
        f" average, where {_amount(held.actual, unit)} came in, and its interval held {held.covered} of {held.periods}"
    )


def _both(one: Forecast, other: Forecast) -> Iterator[str]:
    """Whether they agree, and which was off by less before."""
    if one.low > other.high or other.low > one.high:
        yield "The two forecasts do not agree: their intervals do not meet, so the pipeline today is unlike that of the past."
    if one.holdout is not None and other.holdout is not None:
        better = "from the pipeline" if one.holdout.error <= other.holdout.error else "from the past alone"
        yield f"Of the two forecasts the one {better} was off by less on the periods it was tried on."


def _span(one: Forecast) -> str:
    return f"the {(one.end - one.start).days} days from {one.start} to {one.end}"


def _slipping(found: "Pipeline", unit: str) -> Iterator[str]:
    if not found.slipping_count:
        yield "No open deal is slipping: none is past its expected close or slower than deals usually are."
        return
    slip = "is slipping" if found.slipping_count == 1 else "are slipping"
    named = "; ".join(
        f"{one.id}{f' ({one.customer})' if one.customer else ''}" for one in found.slipping[:SLIPPING_TOLD_MAX]
    )
    rest = ", among them" if found.slipping_count > SLIPPING_TOLD_MAX else ""
    worth = _amount(found.slipping_value, unit)
    yield f"{found.slipping_count:,} open {_deals(found.slipping_count)} worth {worth} {slip}{rest}: {named}."
    for one in found.slipping[:SLIPPING_TOLD_MAX]:
        who = f" with {one.customer}" if one.customer else ""
        yield f"Deal {one.id}{who} ({_amount(one.value, unit)}, {one.stage}) slips: {one.reason}."


def _stage(one: Stage, unit: str) -> str:
    stands = f"The pipeline holds {one.deals:,} open {_deals(one.deals)} worth {_amount(one.value, unit)} in stage {one.name}"
    if one.conversion is None:
        return f"{stands}."
    return f"{stands}; {_share(one.conversion)} deals that left this stage went on rather than being lost."


def _share(one: Share) -> str:
    return f"{percent(one.share)} ({one.hits:,} of {one.total:,}, 95 % interval {percent(one.low)} to {percent(one.high)}) of the"


def _won(found: "Pipeline") -> Iterator[str]:
    if found.won.total:
        yield f"{_share(found.won)} decided deals were won."
    else:
        yield f"{NO_DEAL} is decided yet, so there is no win rate."


def _times(found: "Pipeline") -> Iterator[str]:
    if found.cycle is not None:
        yield f"The sales cycle takes {_median(found.cycle)} from opening to close, won or lost."
    for one in found.times:
        yield f"Deals stay in stage {one.name} for {_median(one)}."


def _median(one: Duration) -> str:
    counted = f"Kaplan–Meier over {one.deals:,} deals, of which {one.ended:,} ended"
    if one.median is None:
        return f"longer than can be said, for fewer than half have ended ({counted})"
    low = "?" if one.low is None else f"{one.low:,.0f}"
    high = "?" if one.high is None else f"{one.high:,.0f}"
    return f"{one.median:,.0f} days in the median (95 % interval {low} to {high}; {counted})"


def _comparison(one: Comparison) -> str:
    listed = "; ".join(
        f"{share.name} {percent(share.share)} ({share.hits:,} of {share.total:,}, {percent(share.low)} to {percent(share.high)})"
        for share in one.shares[:SHARES_TOLD_MAX]
    )
    if one.p is None:
        verdict = "too few deals to say whether they differ"
    elif one.p < SIGNIFICANT:
        verdict = (
            f"they differ by more than chance, which is an association (chi-squared, Holm-corrected p = {one.p:.2g})"
        )
    else:
        verdict = f"no difference beyond chance is shown (chi-squared, Holm-corrected p = {one.p:.2g})"
    return f"Win rate by {one.segment}: {listed}; {verdict}."


def _unsaid(found: "Pipeline", unit: str) -> Iterator[str]:
    if not found.times:
        yield "Where deals stood before is not known, or of too few deals, so nothing is said of the time in a stage."
    if found.cycle is None:
        yield "When deals were opened and closed is not known of enough deals, so nothing is said of the sales cycle."
    if found.left_out:
        yield f"{found.left_out:,} deals are left out: their amounts are not in {unit}, or there are more than can be read."
