"""What the columns of a customer table mean: who left, what they pay, how long they have been there."""

import re
from collections.abc import Sequence

from msgspec import Struct

from actors.tables import Column, Table, truth

_OUTCOME = re.compile(r"churn|attrition|exited|cancell?ed|has_?left|lapsed|lost_customer", re.IGNORECASE)
_LEFT = frozenset({"churned", "left", "cancelled", "canceled", "lapsed", "exited", "lost", "churn"})
_MONTHLY = re.compile(r"month|mrr|arpu|recurring", re.IGNORECASE)
_MONEY = re.compile(
    r"charge|fee|price|revenue|amount|value|spend|spent|sales|mrr|arr\b|acv|arpu|turnover|bill", re.IGNORECASE
)
_CURRENCIES = {"eur": "EUR", "usd": "USD", "gbp": "GBP", "chf": "CHF"}


class Roles(Struct, frozen=True):
    """Which column plays which part; None where the table has none."""

    outcome: Column | None
    charge: Column | None
    identity: Column | None
    currency: str


def roles(table: Table) -> Roles:
    """The parts the columns play, by their names and kinds."""
    charge = charge_column(table)
    name = charge.name.lower() if charge else ""
    currency = next(
        (code for token, code in _CURRENCIES.items() if re.search(rf"(?:^|[_\W]){token}(?:$|[_\W])", name)), ""
    )
    identity = next((column for column in table.columns if column.kind == "id"), None)
    return Roles(outcome_column(table), charge, identity, currency)


def outcome_column(table: Table) -> Column | None:
    """The yes/no column that says who left, or None."""
    return next((column for column in table.columns if _OUTCOME.search(column.name) and _is_outcome(column)), None)


def _is_outcome(column: Column) -> bool:
    values = {cell.lower() for cell in column.cells if cell}
    return column.kind == "boolean" or (len(values) == 2 and bool(values & _LEFT))


def restates(column: Column) -> bool:
    """Whether a column tells of the leaving by its name (`Churn Reason`, `exited_on`): nobody still here can have it."""
    return bool(_OUTCOME.search(column.name))


def outcomes(column: Column) -> tuple[bool | None, ...]:
    """A row each: whether the customer left, None where the cell is missing."""
    if column.kind == "boolean":
        return tuple(truth(cell) for cell in column.cells)
    return tuple(None if not cell else cell.lower() in _LEFT for cell in column.cells)


def charge_column(table: Table) -> Column | None:
    """The monthly charge if there is one, else the first amount of money."""
    money = [column for column in table.columns if column.kind == "number" and _MONEY.search(column.name)]
    return next((column for column in money if _MONTHLY.search(column.name)), money[0] if money else None)


def money(value: float, currency: str) -> str:
    """An amount for a sentence, with the currency where the table names one."""
    return f"{value:,.2f} {currency}".rstrip()


def total(column: Column, members: Sequence[bool]) -> float:
    """The column's sum over the rows that are members."""
    return sum(value or 0.0 for value, member in zip(column.numbers, members, strict=True) if member)
