"""Facts with figures about clients, deals, tickets and invoices, as other programs publish them (mission A1, B1).

To `sophia.pub.<kind>.<id>`, `POST /v1/events/sophia/<kind>/<id>` or `diarchy facts import`. Each says when it happened (`at`):
facts may arrive late and in any order. The id in the body is the thing's own, any text; that in the subject is the publisher's
token for it.
"""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta

from contracts.domains import Clearance
from contracts.envelope import Event, Message

Key = Annotated[
    str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x20\x7f]([^\x00-\x1f\x7f]*[^\x00-\x20\x7f])?$")
]
"""An id or a short name: no control characters, no space at either end."""
Moment = Annotated[datetime, Meta(tz=True)]
Amount = Annotated[float, Meta(ge=0, le=1e12)]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}$")]
Share = Annotated[float, Meta(ge=0, le=1)]
Reason = Annotated[str, Meta(min_length=1, max_length=1_000, pattern=r"\S")]
Users = Annotated[int, Meta(ge=0, le=1_000_000_000)]
Days = Annotated[int, Meta(ge=1, le=366)]
Severity = Literal["low", "medium", "high", "critical"]


class BusinessFact(Message, frozen=True, kw_only=True):
    """What each says: when it happened, which program knows it, how confidential it is.

    Where that is left out, a fact published to the broker is `internal`, one sent over HTTP as confidential as its sender is
    cleared. What is left out of the rest is not known, and stays as an earlier fact said.
    """

    at: Moment
    origin: Key
    confidentiality: Clearance | None = None


class ClientSigned(BusinessFact, frozen=True, kw_only=True, tag="client.signed.v1"):
    """A client from `at` on; after a cancellation: again. `monthly_value` is what it pays a month; `ends`: the contract's end."""

    client: Key
    name: Key | None = None
    segment: Key | None = None
    contract: Key | None = None
    monthly_value: Amount | None = None
    currency: Currency | None = None
    ends: Moment | None = None


class ClientRenewed(BusinessFact, frozen=True, kw_only=True, tag="client.renewed.v1"):
    client: Key
    contract: Key | None = None
    monthly_value: Amount | None = None
    currency: Currency | None = None
    ends: Moment | None = None


class ClientCancelled(BusinessFact, frozen=True, kw_only=True, tag="client.cancelled.v1"):
    client: Key
    reason: Reason | None = None


class ClientUsage(BusinessFact, frozen=True, kw_only=True, tag="client.usage.v1"):
    """How many people of the client used the product in the period of `period_days` that ended at `at`, of how many who may."""

    client: Key
    period_days: Days
    active_users: Users
    licensed_users: Users | None = None


class DealOpened(BusinessFact, frozen=True, kw_only=True, tag="deal.opened.v1"):
    """`value` is the deal's whole value; `expected`: when it should be decided; `probability`: of winning it, as sales judges."""

    deal: Key
    stage: Key
    value: Amount
    currency: Currency
    client: Key | None = None
    segment: Key | None = None
    probability: Share | None = None
    expected: Moment | None = None


class DealStageChanged(BusinessFact, frozen=True, kw_only=True, tag="deal.stage_changed.v1"):
    deal: Key
    stage: Key
    value: Amount | None = None
    currency: Currency | None = None
    probability: Share | None = None
    expected: Moment | None = None


class DealClosed(BusinessFact, frozen=True, kw_only=True, tag="deal.closed.v1"):
    deal: Key
    outcome: Literal["won", "lost"]
    value: Amount | None = None
    currency: Currency | None = None
    reason: Reason | None = None


class TicketOpened(BusinessFact, frozen=True, kw_only=True, tag="ticket.opened.v1"):
    """After it was resolved: opened again."""

    ticket: Key
    severity: Severity
    client: Key | None = None
    subject: Reason | None = None


class TicketResolved(BusinessFact, frozen=True, kw_only=True, tag="ticket.resolved.v1"):
    ticket: Key


class InvoiceIssued(BusinessFact, frozen=True, kw_only=True, tag="invoice.issued.v1"):
    invoice: Key
    client: Key
    amount: Amount
    currency: Currency
    due: Moment


class InvoicePaid(BusinessFact, frozen=True, kw_only=True, tag="invoice.paid.v1"):
    """Paid in full."""

    invoice: Key


ClientFact = ClientSigned | ClientRenewed | ClientCancelled | ClientUsage
DealFact = DealOpened | DealStageChanged | DealClosed
TicketFact = TicketOpened | TicketResolved
InvoiceFact = InvoiceIssued | InvoicePaid
AnyBusinessFact = ClientFact | DealFact | TicketFact | InvoiceFact

RecordKind = Literal["client", "deal", "ticket", "invoice"]
"""What a fact is about: the kind of actor that keeps it."""

BUSINESS_FACTS: dict[RecordKind, tuple[type[BusinessFact], ...]] = {
    "client": (ClientSigned, ClientRenewed, ClientCancelled, ClientUsage),
    "deal": (DealOpened, DealStageChanged, DealClosed),
    "ticket": (TicketOpened, TicketResolved),
    "invoice": (InvoiceIssued, InvoicePaid),
}
"""Those of one kind in the order in which they happen: of those at the same moment the later one counts."""

KIND_OF: dict[type[BusinessFact], RecordKind] = {fact: kind for kind, facts in BUSINESS_FACTS.items() for fact in facts}


def subject_of(fact: BusinessFact) -> str:
    """The own id of what the fact is about."""
    return str(getattr(fact, KIND_OF[type(fact)]))


class BusinessRecorded(Event, frozen=True, kw_only=True, tag="business.recorded.v1"):
    fact: AnyBusinessFact

    @property
    def label(self) -> Clearance:
        return self.fact.confidentiality or Clearance.PUBLIC
