"""Recorded events as a reader may see them: pages with a cursor, and live."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from msgspec.structs import replace

from contracts.http import Events, EventsQuery, EventView
from contracts.memory import MEMORY
from gateway.commands import Incoming
from gateway.identity import Principal
from gateway.standing import standing
from runtime.errors import InvalidError

USER_KIND = "user"
YEAR_MAX = 9_000


async def visible(incoming: Incoming[Any], events: Sequence[EventView]) -> tuple[EventView, ...]:
    """Those that this reader may see: cleared for them, and they are of his own run or he may read those of others.

    What agents remember of somebody is his alone, as it is under /v1/memories.
    What others' runs left is as confidential as what it rests on is now.
    """
    principal = incoming.principal
    mine = [event for event in events if _may_read(principal, event)]
    now = await standing(incoming.services, principal, ((event.principal, event.correlation) for event in mine))
    labelled = (replace(one, label=now.label(one.principal, one.correlation, one.label)) for one in mine)
    return tuple(event for event in labelled if event.label <= principal.clearance)


def _may_read(principal: Principal, event: EventView) -> bool:
    if event.principal == principal.username:
        return True
    if event.kind == MEMORY:
        return False
    return principal.may("system:admin" if event.kind == USER_KIND else "cross_domain:read", "system:monitor")


async def page(incoming: Incoming[EventsQuery]) -> Events:
    """The next events after the cursor, oldest first; those that are not this reader's to see are left out."""
    read = await incoming.services.reads.events(_checked(incoming.body), clearance=incoming.principal.clearance)
    shown = await visible(incoming, read.events)
    return Events(events=shown, next=read.cursor if read.more else None)


async def live(incoming: Incoming[EventsQuery]) -> AsyncIterator[tuple[str | None, EventView]]:
    """Every matching event after the cursor (or Last-Event-ID; else from now on), without end.

    The last event of each batch comes with the cursor behind it: going on from there repeats at most one batch.
    """
    services = incoming.services
    after = incoming.last_event_id or incoming.body.after or await services.reads.end_of_events()
    while True:
        query = _checked(replace(incoming.body, after=after))
        read = await services.reads.events(query, clearance=incoming.principal.clearance)
        after = read.cursor
        shown = await visible(incoming, read.events)
        for number, event in enumerate(shown, start=1):
            yield after if number == len(shown) else None, event
        if not read.more:
            await services.watch.advance(timeout_s=services.settings.events_poll_s)


def _checked(query: EventsQuery) -> EventsQuery:
    if query.since and query.until and query.since > query.until:
        raise InvalidError("lies before `since`", "until")
    for name, moment in (("since", query.since), ("until", query.until)):
        if moment is not None and not 1970 <= moment.year < YEAR_MAX:
            raise InvalidError(f"must lie between 1970 and {YEAR_MAX}", name)
    return query
