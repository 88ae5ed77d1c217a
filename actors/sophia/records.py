"""Clients, deals, tickets and invoices: what other programs know of each, fact by fact as it came.

Nothing is refused: a fact says what happened elsewhere. What they come to stands in the read model (`projections.records`).
"""

from typing import Any, assert_never

from msgspec import Struct

from contracts.business import AnyBusinessFact, BusinessRecorded, ClientFact, DealFact, InvoiceFact, TicketFact
from runtime.actor import Actor


class State(Struct, frozen=True):
    """The last fact of each type, so that the same one sent again changes nothing."""

    last: dict[str, AnyBusinessFact] = {}


def evolve(state: State, event: BusinessRecorded) -> State:
    match event:
        case BusinessRecorded():
            return State({**state.last, type(event.fact).__name__: event.fact})
        case _:
            assert_never(event)


def _recorded(state: State, fact: AnyBusinessFact) -> list[BusinessRecorded]:
    known = state.last.get(type(fact).__name__) == fact
    return [] if known else [BusinessRecorded(fact=fact)]


def decide_client(state: State, message: ClientFact) -> list[BusinessRecorded]:
    return _recorded(state, message)


def decide_deal(state: State, message: DealFact) -> list[BusinessRecorded]:
    return _recorded(state, message)


def decide_ticket(state: State, message: TicketFact) -> list[BusinessRecorded]:
    return _recorded(state, message)


def decide_invoice(state: State, message: InvoiceFact) -> list[BusinessRecorded]:
    return _recorded(state, message)


RECORDS: tuple[Actor[State, Any, BusinessRecorded], ...] = (
    Actor("client", State(), decide_client, evolve),
    Actor("deal", State(), decide_deal, evolve),
    Actor("ticket", State(), decide_ticket, evolve),
    Actor("invoice", State(), decide_invoice, evolve),
)
