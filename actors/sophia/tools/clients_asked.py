"""What a question asks of the clients that facts tell of: one by name, those who cancelled, a segment, a contract, a period."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from actors.sophia.tools.asked import answers, with_unread
from actors.sophia.tools.conditions import read
from actors.sophia.tools.customers import money
from actors.sophia.tools.named import alike, stands
from actors.sophia.tools.periods import period
from actors.tables import Column, Table
from contracts.model import NO_CLIENT
from contracts.records import ClientRecord

LISTED_MAX = 10
NAMED_MAX = 5

_LEFT = re.compile(r"\b(?:cancel\w*|left|leaving|lost|lose|churn\w*)\b", re.IGNORECASE)
_WHICH = re.compile(r"\b(?:which|who|list|name|show)\b", re.IGNORECASE)
_CALLED = re.compile(r"\b(?:client|customer|account)\s+(?P<name>[A-Z0-9][\w-]*(?:\s+[A-Z0-9][\w-]*){0,4})")


class Asked(Struct, frozen=True):
    """`only`: clients are asked for by name, so what is said of all others is no answer."""

    told: tuple[str, ...]
    only: bool = False


def clients_asked(clients: Sequence[ClientRecord], now: datetime, question: str, told: Mapping[str, str]) -> Asked:
    """What is asked of some of the clients, first things first; `told`: of each client by its id how it is doing."""
    named = _named(clients, question)
    found = [told[one.id] for one in named]
    found += [f"{NO_CLIENT} {name} is known." for name in _unknown(clients, question)]
    if found:
        return Asked(tuple(found), only=True)
    table = _table(clients, now)
    during = period(question)
    reading = read(table, during.rest if during else question)
    if during is not None:
        left = bool(_LEFT.search(question))
        days = [one.cancelled if left else one.signed for one in clients]
        reading = during.limiting(
            reading, "cancelled" if left else "signed", [day.date() if day else None for day in days]
        )
    which = bool(_LEFT.search(question) and _WHICH.search(question))
    if which:
        members = reading.members(len(clients))
        gone = [
            one
            for one, member in zip(clients, members, strict=True)
            if member and one.cancelled is not None and one.cancelled <= now
        ]
        found.append(_cancelled(gone, sum(members), reading.name()))
    else:
        found += answers(table, reading, question, "clients")
    return Asked(tuple(with_unread(found, reading, "clients")), only=which)


def _named(clients: Sequence[ClientRecord], question: str) -> list[ClientRecord]:
    """Those whose id or name stands in the question, as a whole."""
    return [one for one in clients if stands(one.id, question) or stands(one.name, question)][:NAMED_MAX]


def _unknown(clients: Sequence[ClientRecord], question: str) -> list[str]:
    """What the question calls a client, or what looks like an id of one but for its number, and is none."""
    names = {name.lower() for one in clients for name in (one.id, one.name) if name}
    asked = [match["name"] for match in _CALLED.finditer(question)]
    asked += alike((one.id for one in clients), question)
    return [one for one in dict.fromkeys(asked) if one.lower() not in names][:NAMED_MAX]


def _table(clients: Sequence[ClientRecord], now: datetime) -> Table:
    """A row a client, as `conditions` reads it."""
    gone = ("Yes" if one.cancelled is not None and one.cancelled <= now else "No" for one in clients)
    values = tuple(one.monthly_value for one in clients)
    columns = (
        Column("segment", "category", tuple(one.segment or "" for one in clients)),
        Column("contract", "category", tuple(one.contract or "" for one in clients)),
        Column("monthly value", "number", tuple("" if one is None else str(one) for one in values), values),
        Column("cancelled", "boolean", tuple(gone)),
    )
    return Table(columns, len(clients), 0)


def _cancelled(gone: Sequence[ClientRecord], count: int, name: str) -> str:
    if not gone:
        return f"{NO_CLIENT}{f' with {name}' if name else ''} is known to have cancelled."
    ranked = sorted(gone, key=lambda one: (one.cancelled is None or -one.cancelled.timestamp(), one.id))
    listed = "; ".join(_client(one) for one in ranked[:LISTED_MAX])
    rest = f"; and {len(ranked) - LISTED_MAX:,} more" if len(ranked) > LISTED_MAX else ""
    return f"Of {count:,} clients{f' with {name}' if name else ''} {len(gone):,} cancelled, the last first: {listed}{rest}."


def _client(one: ClientRecord) -> str:
    day = f"on {one.cancelled.date()}" if one.cancelled else ""
    worth = f"{money(one.monthly_value, one.currency or '')} a month" if one.monthly_value else ""
    why = f"reason: {one.reason}" if one.reason else ""
    return f"{one.id} ({', '.join(part for part in (day, one.segment, worth, why) if part)})"
