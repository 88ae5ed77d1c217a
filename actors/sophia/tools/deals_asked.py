"""What a question asks of deals: those of a segment, stage, client or outcome, by the same conditions as of a table's rows."""

import re

from actors.sophia.tools import pipeline
from actors.sophia.tools.asked import answers, not_read, with_unread
from actors.sophia.tools.conditions import Reading, read
from actors.sophia.tools.customers import money
from actors.sophia.tools.deals import Deal, Deals
from actors.sophia.tools.named import alike, stands
from actors.sophia.tools.periods import period
from actors.tables import Column, Table, percent
from contracts.model import NO_DEAL

LISTED_MAX = 8

_RATE = re.compile(
    r"\b(?:win(?:ning)?\s+rates?|decided|(?:rate|share|percent(?:age)?)\b[^?.]*\b(?:win|won))\b", re.IGNORECASE
)
_SLIPPING = re.compile(r"\bslip|\blate\b|\bstuck\b|\boverdue\b", re.IGNORECASE)
_ENDED = re.compile(r"\b(?:win|won|lose|lost|clos\w+|decided)\b", re.IGNORECASE)
_WHICH = re.compile(r"\b(?:which|list|name|show|what are)\b[^?.]*\bdeals?\b", re.IGNORECASE)
_OF_DEALS = re.compile(
    r"\b(?:deals?|pipeline|win|won|stages?|slip\w*|forecast\w*|clos(?:e|es|ed|ing)|quarter)\b", re.IGNORECASE
)


def of_deals(question: str) -> bool:
    """Whether it speaks of deals, so that what customers pay is no answer."""
    return bool(_OF_DEALS.search(question))


def deals_asked(deals: Deals, question: str) -> list[str]:
    """What is asked of some of the deals, first things first; empty where a question names none."""
    named = [one for one in deals.deals if stands(one.id, question)][:LISTED_MAX]
    known = {one.id.lower() for one in deals.deals}
    unknown = [one for one in alike((one.id for one in deals.deals), question) if one.lower() not in known][:LISTED_MAX]
    if named or unknown:
        return [
            *(f"Deal {_deal(one, deals.currency)}{_of_segments(one)}." for one in named),
            *(f"{NO_DEAL} {one} is known." for one in dict.fromkeys(unknown)),
        ]
    table = _table(deals)
    rate = bool(_RATE.search(question))
    during = period(question)
    reading = read(table, during.rest if during else question, ("outcome",) if rate else ())
    if during is not None:
        ended = bool(_ENDED.search(question))
        days = [one.closed if ended else one.opened for one in deals.deals]
        reading = during.limiting(reading, "closed" if ended else "opened", days)
    if rate:
        return [*_won(deals, reading), *not_read(reading, "deals")]
    if _SLIPPING.search(question):
        told = []
    elif _WHICH.search(question) and reading.conditions:
        told = [_listed(deals, reading)]
    else:
        told = answers(table, reading, question, "deals")
    return with_unread(told, reading, "deals")


def _table(deals: Deals) -> Table:
    """A row a deal, as `conditions` reads it."""
    all_ = deals.deals
    names = sorted({name for deal in all_ for name in deal.segments})
    columns = (
        _category("outcome", ["open" if one.won is None else "won" if one.won else "lost" for one in all_]),
        _category("stage", [one.stage if one.won is None else "" for one in all_]),
        _category("client", [one.customer for one in all_]),
        *(_category(name, [one.segments.get(name, "") for one in all_]) for name in names),
        Column("value", "number", tuple(str(one.value) for one in all_), tuple(one.value for one in all_)),
    )
    return Table(columns, len(all_), 0)


def _category(name: str, cells: list[str]) -> Column:
    return Column(name, "category", tuple(cells))


def _won(deals: Deals, reading: Reading) -> list[str]:
    """The win rate of the deals that are named, beside that of all."""
    if not reading.conditions:
        return []
    members = reading.members(len(deals.deals))
    decided = [one for one, member in zip(deals.deals, members, strict=True) if member and one.won is not None]
    if not decided:
        return [f"{NO_DEAL} with {reading.name()} is decided, so there is no win rate of them."]
    one = pipeline.share("", sum(deal.won is True for deal in decided), len(decided))
    whole = pipeline.won(deals)
    return [
        f"The win rate of deals with {reading.name()} is {percent(one.share)} ({one.hits:,} of {one.total:,} decided deals were"
        f" won, 95 % interval {percent(one.low)} to {percent(one.high)}); that of all decided deals is {percent(whole.share)}"
        f" ({whole.hits:,} of {whole.total:,})."
    ]


def _listed(deals: Deals, reading: Reading) -> str:
    """The most valuable ones by name."""
    members = reading.members(len(deals.deals))
    found = sorted(
        (one for one, in_ in zip(deals.deals, members, strict=True) if in_), key=lambda one: (-one.value, one.id)
    )
    if not found:
        return f"{NO_DEAL} with {reading.name()} is known."
    listed = "; ".join(_deal(one, deals.currency) for one in found[:LISTED_MAX])
    rest = f"; and {len(found) - LISTED_MAX:,} more" if len(found) > LISTED_MAX else ""
    total = money(sum(one.value for one in found), deals.currency)
    return f"The deals with {reading.name()} are {len(found):,} worth {total}, the most valuable first: {listed}{rest}."


def _deal(one: Deal, unit: str) -> str:
    ended = "won" if one.won else "lost"
    state = one.stage if one.won is None else f"{ended} on {one.closed}" if one.closed else ended
    return f"{one.id} ({', '.join(part for part in (one.customer, money(one.value, unit), state) if part)})"


def _of_segments(one: Deal) -> str:
    return "".join(f"; {name}: {value}" for name, value in sorted(one.segments.items()))
