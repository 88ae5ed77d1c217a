"""How clients are doing, from the facts about them: a health score with a written formula, and who left, by segment and contract.

The score is 100 × Σ w·c / Σ w over the parts that are known of a client, each c from 0 (bad) to 1 (good):

* usage, w 0.4: of the last period the share of licensed users who were active (where licences are known), and its active users
  over the mean of up to three periods before, at most 1 (where there are some); the mean of the two that are known;
* tickets, w 0.2: 1 / (1 + s), where s counts those opened in the last 90 days (low 0.25, medium 0.5, high 1, critical 2; twice
  while unresolved); known where any ticket of any client is known;
* renewal, w 0.2: days to the contract's end over 180, from 0 to 1, and at least 0.5 where it was renewed before;
* invoices, w 0.2: of those due in the last 365 days the share that was paid in time, one that was paid late counting a half.

It is a rule, fitted to nothing: it orders clients, it does not predict. Under AT_RISK_BELOW it calls a client at risk.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType

from actors.sophia.tools import risk
from actors.sophia.tools.clients_asked import clients_asked
from actors.sophia.tools.customers import money
from actors.tables import percent
from actors.tool import Fetch, tool
from contracts.grounds import Basis
from contracts.model import NO_CLIENT
from contracts.records import ClientRecord, InvoiceRecord, TicketRecord
from runtime.errors import OutcomeError
from runtime.ports import Tool, ToolLimits

WEIGHTS = {"usage": 0.4, "tickets": 0.2, "renewal": 0.2, "invoices": 0.2}
SEVERITIES = {"low": 0.25, "medium": 0.5, "high": 1.0, "critical": 2.0}
TICKET_DAYS, RENEWAL_DAYS, INVOICE_DAYS, BEFORE_MAX = 90, 180, 365, 3
AT_RISK_BELOW = 50.0
CLIENTS_MAX = 1_000
GROUPS_MAX = 20

R = TypeVar("R", TicketRecord, InvoiceRecord)

_clients = msgspec.json.Decoder(tuple[ClientRecord, ...])
_all_tickets = msgspec.json.Decoder(tuple[TicketRecord, ...])
_all_invoices = msgspec.json.Decoder(tuple[InvoiceRecord, ...])


class ClientHealthArguments(Struct, frozen=True, kw_only=True):
    """Digests of client, ticket and invoice records as JSON ("" where they are not to be had), and the moment of asking."""

    clients: str
    tickets: str
    invoices: str
    now: datetime
    left_out: int = 0
    question: str = ""


class Health(Struct, frozen=True, kw_only=True):
    """A client still there. `score` None: nothing that it is made of is known. `parts` by name, 0 to 1, the known ones."""

    id: str
    score: float | None
    parts: dict[str, float]
    segment: str
    monthly_value: float
    currency: str


class ClientHealthResult(Struct, frozen=True, kw_only=True):
    """`clients`: those still there, the worst first (the first CLIENTS_MAX). `rates`: of cancellation by segment and contract."""

    findings: tuple[str, ...]
    known: int
    cancelled: int
    rates: tuple[risk.Segment, ...]
    clients: tuple[Health, ...]
    at_risk: int
    unknown: int
    basis: Basis | UnsetType = UNSET


class _Known(Struct, frozen=True):
    """All records, by client, and the moment of asking."""

    tickets: dict[str, list[TicketRecord]]
    invoices: dict[str, list[InvoiceRecord]]
    now: datetime


def health(client: ClientRecord, known: _Known) -> Health:
    """The score of one client, by the formula above."""
    parts = {name: part for name, of in _PARTS.items() if (part := of(client, known)) is not None}
    weight = sum(WEIGHTS[name] for name in parts)
    return Health(
        id=client.id,
        score=100 * sum(WEIGHTS[name] * part for name, part in parts.items()) / weight if parts else None,
        parts=parts,
        segment=client.segment or "",
        monthly_value=client.monthly_value or 0.0,
        currency=client.currency or "",
    )


def _usage(client: ClientRecord, _known: _Known) -> float | None:
    if not client.usage:
        return None
    *before, last = client.usage
    parts = []
    if last.licensed_users:
        parts.append(min(1.0, last.active_users / last.licensed_users))
    usual = [one.active_users for one in before[-BEFORE_MAX:]]
    if sum(usual):
        parts.append(min(1.0, last.active_users / (sum(usual) / len(usual))))
    return sum(parts) / len(parts) if parts else None


def _tickets(client: ClientRecord, known: _Known) -> float | None:
    if not known.tickets:
        return None
    since = known.now - timedelta(days=TICKET_DAYS)
    load = sum(
        SEVERITIES[one.severity or "medium"] * (1 if one.resolved else 2)
        for one in known.tickets.get(client.id, ())
        if one.opened is not None and since <= one.opened <= known.now
    )
    return 1 / (1 + load)


def _renewal(client: ClientRecord, known: _Known) -> float | None:
    if client.ends is None:
        return None
    left = (client.ends - known.now) / timedelta(days=RENEWAL_DAYS)
    return max(0.5 if client.renewals else 0.0, min(1.0, max(0.0, left)))


def _invoices(client: ClientRecord, known: _Known) -> float | None:
    since = known.now - timedelta(days=INVOICE_DAYS)
    due = [one for one in known.invoices.get(client.id, ()) if one.due is not None and since <= one.due <= known.now]
    if not due:
        return None
    return sum(0.0 if one.paid is None else 1.0 if one.due and one.paid <= one.due else 0.5 for one in due) / len(due)


_PARTS: dict[str, Callable[[ClientRecord, _Known], float | None]] = {
    "usage": _usage,
    "tickets": _tickets,
    "renewal": _renewal,
    "invoices": _invoices,
}


def analyse_health(
    clients: Sequence[ClientRecord],
    tickets: Sequence[TicketRecord],
    invoices: Sequence[InvoiceRecord],
    now: datetime,
    left_out: int = 0,
    *,
    question: str = "",
) -> ClientHealthResult:
    """The whole analysis of what facts say; what the question asks of some clients comes first."""
    known = _Known(_by_client(tickets), _by_client(invoices), now)
    there = [one for one in clients if one.cancelled is None or one.cancelled > now]
    scored = [health(one, known) for one in there]
    ranked = sorted(scored, key=lambda one: (one.score is None, one.score or 0.0, -one.monthly_value, one.id))
    bad = [one for one in ranked if one.score is not None and one.score < AT_RISK_BELOW]
    rates = _rates(clients, now)
    unknown = sum(one.score is None for one in scored)
    by_id = {one.id: one for one in scored}
    asked = clients_asked(clients, now, question, {one.id: _client(one, by_id.get(one.id)) for one in clients})
    others = (
        _headline(len(clients), len(clients) - len(there)),
        *_worst(bad, len(scored) - unknown),
        *(_rate(one) for one in rates[:8]),
    )
    findings = (
        *asked.told,
        *(() if asked.only else others),
        *(() if asked.only else _gaps(there, known, unknown)),
        *_left_out(left_out),
    )
    return ClientHealthResult(
        findings=findings,
        known=len(clients),
        cancelled=len(clients) - len(there),
        rates=tuple(rates),
        clients=tuple(ranked[:CLIENTS_MAX]),
        at_risk=len(bad),
        unknown=unknown,
        basis=Basis(
            read=len(clients),
            given=len(clients) + left_out,
            tried=len(there) * len(WEIGHTS),
            done=sum(len(one.parts) for one in scored),
            newest=_newest(clients, tickets, invoices, now),
        ),
    )


def _newest(
    clients: Sequence[ClientRecord], tickets: Sequence[TicketRecord], invoices: Sequence[InvoiceRecord], now: datetime
) -> datetime | UnsetType:
    """Of when the last thing is that facts say has happened."""
    moments = [
        *(moment for one in clients for moment in (one.signed, one.renewed, one.cancelled)),
        *(use.at for one in clients for use in one.usage[-1:]),
        *(moment for one in tickets for moment in (one.opened, one.resolved)),
        *(moment for one in invoices for moment in (one.issued, one.paid)),
    ]
    return max((moment for moment in moments if moment is not None and moment <= now), default=UNSET)


def _by_client(records: Sequence[R]) -> dict[str, list[R]]:
    found: dict[str, list[R]] = defaultdict(list)
    for one in records:
        found[one.client or ""].append(one)
    return dict(found)


def _rates(clients: Sequence[ClientRecord], now: datetime) -> list[risk.Segment]:
    """Cancellation by segment and by contract, highest first, adjusted together."""
    flags = [one.cancelled is not None and one.cancelled <= now for one in clients]
    if not flags:
        return []
    whole = risk.Whole(len(flags), sum(flags))
    found: list[risk.Segment] = []
    for name, labels in (
        ("segment", [one.segment or "" for one in clients]),
        ("contract", [one.contract or "" for one in clients]),
    ):
        if 2 <= len(set(labels) - {""}) <= GROUPS_MAX:
            found += risk.segments(risk.Factor(name, tuple(labels)), flags, whole)
    return sorted(risk.adjusted(found), key=lambda one: (-one.rate, one.name))


def _headline(known: int, cancelled: int) -> str:
    if not known:
        return f"{NO_CLIENT} is known by facts."
    low, high = risk.wilson(cancelled, known)
    return (
        f"{known:,} clients are known by facts; {percent(cancelled / known)} of them cancelled ({cancelled:,} of {known:,},"
        f" 95 % interval {percent(low)} to {percent(high)})."
    )


def _client(one: ClientRecord, doing: Health | None) -> str:
    """One client: how it is doing and what that is made of, then what else is known."""
    name = f" ({one.name})" if one.name and one.name != one.id else ""
    known = [
        f"segment {one.segment}" if one.segment else "",
        f"contract {one.contract}" if one.contract else "",
        f"{money(one.monthly_value, one.currency or '')} a month" if one.monthly_value else "",
        f"signed on {one.signed.date()}" if one.signed else "",
        f"ends on {one.ends.date()}" if one.ends else "",
    ]
    rest = ", ".join(part for part in known if part)
    if doing is None:
        state = f"cancelled on {one.cancelled.date()}" if one.cancelled else "cancelled"
    elif doing.score is None:
        state = "is a client still, and has no health score, for nothing is known that it is made of"
    else:
        below = "below" if doing.score < AT_RISK_BELOW else "not below"
        score = f"has a health score of {doing.score:.0f} of 100, {below} {AT_RISK_BELOW:.0f}"
        state = f"{score}, {_made_of(doing)}: {_reasons(doing)}"
    return f"Client {one.id}{name} {state}{f'; {rest}' if rest else ''}."


def _made_of(one: Health) -> str:
    """How much of the formula the score rests on."""
    weight = sum(WEIGHTS[name] for name in one.parts)
    alone = " alone" if len(one.parts) == 1 else ""
    return f"made of {' and '.join(sorted(one.parts))}{alone}, {percent(weight)} of the formula's weight"


def _worst(bad: Sequence[Health], scored: int) -> list[str]:
    if not scored:
        return []
    if not bad:
        return [f"None of the {scored:,} clients with a health score is below {AT_RISK_BELOW:.0f} of 100."]
    low, high = risk.wilson(len(bad), scored)
    at_stake: dict[str, float] = defaultdict(float)
    for one in bad:
        at_stake[one.currency] += one.monthly_value
    sums = " and ".join(money(value, currency) for currency, value in sorted(at_stake.items()) if value)
    findings = [
        f"{len(bad):,} of {scored:,} clients still here are at risk by their health score, below {AT_RISK_BELOW:.0f} of 100"
        f" ({percent(len(bad) / scored)}, 95 % interval {percent(low)} to {percent(high)})"
        f"{f'; they pay {sums} a month' if sums else ''}."
    ]
    return findings + [
        f"Client {one.id} is at risk with a health score of {one.score:.0f} of 100 ({_made_of(one)}), for these reasons:"
        f" {_reasons(one)}."
        for one in bad[:5]
    ]


def _reasons(one: Health) -> str:
    lowest = sorted(one.parts.items(), key=lambda pair: (pair[1], pair[0]))
    return ", ".join(f"{name} {part:.2f} of 1" for name, part in lowest[:3])


def _rate(one: risk.Segment) -> str:
    return (
        f"{percent(one.rate)} of clients with {one.name} cancelled ({one.churned:,} of {one.customers:,}, 95 % interval"
        f" {percent(one.low)} to {percent(one.high)}), {one.lift:.2f} times the average."
    )


def _gaps(there: Sequence[ClientRecord], known: _Known, unknown: int) -> list[str]:
    """What facts do not say."""
    findings = []
    missing = [
        f"{name} of {count:,} of {len(there):,} clients"
        for name, of in _PARTS.items()
        if (count := sum(of(one, known) is None for one in there))
    ]
    if missing:
        findings.append(
            f"Facts say nothing about {', '.join(missing)}; a health score is made of the parts that are known."
        )
    if unknown:
        findings.append(f"{unknown:,} clients have no health score: facts say nothing that it is made of.")
    return findings


def _left_out(count: int) -> list[str]:
    if not count:
        return []
    return [f"{count:,} more clients are known than one analysis reads: those that changed last were taken."]


def _run(arguments: ClientHealthArguments, blobs: Fetch) -> ClientHealthResult:
    try:
        return analyse_health(
            _clients.decode(_content(arguments.clients, blobs)),
            _all_tickets.decode(_content(arguments.tickets, blobs)),
            _all_invoices.decode(_content(arguments.invoices, blobs)),
            arguments.now,
            arguments.left_out,
            question=arguments.question,
        )
    except msgspec.DecodeError as error:
        raise OutcomeError(f"the records cannot be read: {error}") from error


def _content(digest: str, blobs: Fetch) -> bytes:
    return blobs(digest) if digest else b"[]"


CLIENT_HEALTH: Tool = tool(
    "client_health",
    _run,
    "From facts about clients, tickets and invoices: a health score for each client, who is at risk and why, cancellations by"
    " segment and contract.",
    permission="sophia:read",
    limits=ToolLimits(preload=("scipy.stats", "statsmodels.stats.proportion")),
)
