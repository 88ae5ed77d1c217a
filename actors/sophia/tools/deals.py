"""Deals as the sales tools see them, whether they come from a table or from facts: when they stood where, and how they ended.

A table says where a deal stands today; only one with a date a stage, or facts, says where it stood before.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date

from msgspec import Struct

from actors.sophia.tools.customers import charge_column, roles
from actors.tables import Column, Table, moment
from contracts.records import DealRecord

SEGMENT_COLUMNS_MAX = 6
SEGMENT_VALUES_MAX = 12

STAGE = re.compile(r"stage|pipeline|deal_?status|^status$", re.IGNORECASE)
WON = re.compile(r"\bwon\b|closed[_ -]?won|^signed", re.IGNORECASE)
LOST = re.compile(r"\blost\b|closed[_ -]?lost|rejected|^declined", re.IGNORECASE)
_OPENED = re.compile(r"open|creat|start|first", re.IGNORECASE)
_EXPECTED = re.compile(r"expect|forecast|target|plan|due", re.IGNORECASE)
_CLOSED = re.compile(r"close|won|lost|sign|end", re.IGNORECASE)
_CUSTOMER = re.compile(r"account|customer|client|company|name", re.IGNORECASE)
SEGMENT = re.compile(r"segment|contract|plan|product|region|industry|tier|service|source|owner", re.IGNORECASE)
_ORDER = (
    "lead",
    "prospect",
    "contact",
    "qualif",
    "discover",
    "demo",
    "trial",
    "proposal",
    "quote",
    "offer",
    "negotiat",
    "contract",
)


_NO_DAY = date(1970, 1, 1)


class Step(Struct, frozen=True):
    """The day on which a deal came to a stage."""

    stage: str
    at: date


class Deal(Struct, frozen=True, kw_only=True):
    """`won` None: open. `steps` in their order, empty where only today's `stage` is known. `expected`: when it was to close."""

    id: str
    value: float = 0.0
    customer: str = ""
    stage: str = ""
    opened: date | None = None
    steps: tuple[Step, ...] = ()
    closed: date | None = None
    won: bool | None = None
    expected: date | None = None
    segments: dict[str, str] = {}

    def open_on(self, day: date) -> bool:
        """Whether it was open at the end of that day."""
        return self.opened is not None and self.opened <= day and (self.closed is None or self.closed > day)

    def stage_on(self, day: date) -> str:
        """Where it stood then; empty where that is not known."""
        return next((step.stage for step in reversed(self.steps) if step.at <= day), "")

    def won_within(self, after: date, until: date) -> bool:
        """Whether it was won after the one day and by the other."""
        return self.won is True and self.closed is not None and after < self.closed <= until


class Deals(Struct, frozen=True, kw_only=True):
    """What is known of all of them. `as_of`: the day up to which; `left_out`: deals in another currency, or too many."""

    deals: tuple[Deal, ...]
    as_of: date
    currency: str = ""
    left_out: int = 0

    @property
    def open(self) -> list[Deal]:
        return [deal for deal in self.deals if deal.won is None]

    @property
    def decided(self) -> list[Deal]:
        return [deal for deal in self.deals if deal.won is not None]

    @property
    def told(self) -> bool:
        """Whether it is known where deals stood before."""
        return any(deal.steps for deal in self.deals)


def is_pipeline(table: Table) -> Column | None:
    """The column of stages, if it is a table of deals."""
    return next((one for one in table.columns if one.kind == "category" and STAGE.search(one.name)), None)


def deals_of(table: Table, today: date | None = None) -> Deals | None:
    """The deals in a table; None where it has none, or no amounts. Its last day is what is known up to, `today` at the latest."""
    stage, value = is_pipeline(table), charge_column(table)
    if stage is None or value is None:
        return None
    days = {one.name: _days(one) for one in table.columns if one.kind in ("date", "text")}
    dates = {name: found for name, found in days.items() if any(found)}
    history = _history(dates, stage)
    rest = [name for name in dates if name not in {column for column, _ in history}]
    expected = next((name for name in rest if _EXPECTED.search(name)), None)
    opened = next((name for name in rest if name != expected and _OPENED.search(name)), None)
    closed = next((name for name in rest if name not in (expected, opened) and _CLOSED.search(name)), None)
    known = [day for name in rest if name != expected for day in dates[name] if day and (today is None or day <= today)]
    identity, customer = roles(table).identity, _customer(table, stage)
    segments = segment_columns(table, (stage.name, customer.name if customer else ""))
    found = []
    for row in range(table.rows):
        at, won = stage.cells[row], outcome(stage.cells[row])
        end, due = _at(dates, closed, row), _at(dates, expected, row)
        steps = sorted((Step(name, day) for column, name in history if (day := dates[column][row])), key=_when)
        found.append(
            Deal(
                id=identity.cells[row] if identity else f"row {row + 2}",
                value=value.numbers[row] or 0.0,
                customer=customer.cells[row] if customer else "",
                stage=at,
                opened=_at(dates, opened, row) or (steps[0].at if steps else None),
                steps=tuple(steps),
                closed=end if won is not None else None,
                won=won,
                expected=due or (end if won is None else None),
                segments={one.name: one.cells[row] for one in segments if one.cells[row]},
            )
        )
    return Deals(deals=tuple(found), as_of=max(known, default=today or _NO_DAY), currency=roles(table).currency)


def deals_told(records: Sequence[DealRecord], today: date, left_out: int = 0) -> Deals:
    """What facts say; of deals in several currencies those in the commonest one. `left_out`: how many more there are."""
    named = Counter(one.currency for one in records if one.currency)
    currency = max(sorted(named), key=lambda one: named[one], default="")
    kept = [one for one in records if one.currency in (None, currency)]
    found = tuple(_told(one) for one in kept)
    return Deals(deals=found, as_of=today, currency=currency, left_out=left_out + len(records) - len(kept))


def _told(one: DealRecord) -> Deal:
    steps = tuple(Step(step.stage, step.at.date()) for step in one.steps)
    return Deal(
        id=one.id,
        value=one.value or 0.0,
        customer=one.client or "",
        stage=one.stage or "",
        opened=one.opened.date() if one.opened else steps[0].at if steps else None,
        steps=steps,
        closed=one.closed.date() if one.closed else None,
        won=None if one.outcome is None else one.outcome == "won",
        expected=one.expected.date() if one.expected else None,
        segments={"segment": one.segment} if one.segment else {},
    )


def outcome(stage: str) -> bool | None:
    """Whether a stage says that the deal was won; None: it is open."""
    return True if WON.search(stage.replace("_", " ")) else False if LOST.search(stage.replace("_", " ")) else None


def order(deals: Sequence[Deal]) -> list[str]:
    """The stages of open deals in their order: by where they stand in the steps, else by what they are usually called."""
    places: dict[str, list[int]] = {}
    for deal in deals:
        for at, step in enumerate(deal.steps):
            places.setdefault(step.stage, []).append(at)
        if deal.won is None and deal.stage:
            places.setdefault(deal.stage, [])
    named = [stage for stage in places if outcome(stage) is None]
    return sorted(named, key=lambda stage: (_mean(places[stage]), _usual(stage), stage))


def segment_columns(table: Table, taken: Iterable[str]) -> list[Column]:
    """The categories by which deals or customers can be told apart, the telling names first."""
    found = [one for one in table.columns if one.kind == "category" and one.name not in taken and one.distinct <= 20]
    return sorted(found, key=lambda one: not SEGMENT.search(one.name))[:SEGMENT_COLUMNS_MAX]


def _customer(table: Table, stage: Column) -> Column | None:
    kinds = ("text", "category", "id")
    names = [one for one in table.columns if one.kind in kinds and one is not stage and _CUSTOMER.search(one.name)]
    return next((one for one in names if one is not roles(table).identity), None)


def _history(dates: dict[str, list[date | None]], stage: Column) -> list[tuple[str, str]]:
    """The columns that say when a deal came to a stage, and the stage."""
    stages = {_bare(cell): cell for cell in stage.cells if cell and outcome(cell) is None}
    return [(name, stages[bare]) for name in dates if (bare := _bare(name)) in stages]


def _bare(name: str) -> str:
    return re.sub(r"[_\s-]*(?:date|at|on|entered|since|day)[_\s-]*", "", name.lower().strip())


def _days(column: Column) -> list[date | None]:
    return [found.date() if (found := moment(cell)) else None for cell in column.cells]


def _at(dates: dict[str, list[date | None]], name: str | None, row: int) -> date | None:
    return dates[name][row] if name is not None else None


def _when(step: Step) -> date:
    return step.at


def _mean(places: Sequence[int]) -> float:
    return sum(places) / len(places) if places else float(len(_ORDER))


def _usual(stage: str) -> int:
    return next((at for at, name in enumerate(_ORDER) if name in stage.lower()), len(_ORDER))
