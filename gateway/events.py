"""The log as a reader may see it: pages with a cursor, and live."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import cast

import msgspec
from msgspec import Struct

from contracts import subjects
from contracts.domains import Domain
from contracts.envelope import Stored
from contracts.http import Events, EventsQuery, EventView
from contracts.subjects import ActorRef, actor_ref
from gateway.commands import Incoming
from gateway.identity import Principal
from gateway.problems import ValidationProblemError
from gateway.services import Services
from gateway.views import event_view
from runtime.errors import UnavailableError

USER_KIND = "user"
BATCHES_WAITING_MAX = 8
_SEPARATOR = "~"


def visible(principal: Principal, event: EventView) -> bool:
    """Whether this reader may see the event: cleared for it, and it is of his own run or he may read those of others."""
    if event.label > principal.clearance:
        return False
    if event.kind == USER_KIND and event.principal != principal.username:
        return principal.may("system:admin")
    return event.principal == principal.username or principal.may("cross_domain:read", "system:monitor")


async def page(incoming: Incoming[EventsQuery]) -> Events:
    """The next events after the cursor, oldest first; at most `events_scanned_max` records a domain are looked at."""
    query, principal = incoming.body, incoming.principal
    positions = _positions(query.after)
    domains = _domains(query)
    scans = await asyncio.gather(*(_scan(incoming.services, principal, query, d, positions[d]) for d in domains))
    merged = sorted((view for scan in scans for view in scan.found), key=lambda e: (e.time, e.domain, e.sequence))
    shown = merged[: query.limit]
    more = len(merged) > query.limit
    for domain, scan in zip(domains, scans, strict=True):
        mine = [view.sequence for view in shown if view.domain is domain]
        if len(mine) == len(scan.found):
            positions[domain] = scan.reached
            more = more or not scan.complete
        elif mine:
            positions[domain] = mine[-1]
    return Events(events=tuple(shown), next=_cursor(positions) if more else None)


async def live(incoming: Incoming[EventsQuery]) -> AsyncIterator[tuple[str, EventView]]:
    """Every matching event after the cursor (or Last-Event-ID; else from now on) with its cursor, without end."""
    query, principal = incoming.body, incoming.principal
    given = incoming.last_event_id or query.after
    domains = _domains(query)
    positions = _positions(given)
    if not given:
        for domain in domains:
            positions[domain] = await incoming.services.log.last(domain)
    batches: asyncio.Queue[Sequence[Stored] | Exception] = asyncio.Queue(BATCHES_WAITING_MAX)
    tasks = [asyncio.create_task(_feed(incoming.services, domain, positions[domain], batches)) for domain in domains]
    try:
        while True:
            batch = await batches.get()
            if isinstance(batch, Exception):
                raise batch
            for stored in batch:
                view = event_view(stored, body=True)
                positions[view.domain] = stored.sequence
                if _matches(query, view) and visible(principal, view):
                    yield _cursor(positions), view
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _feed(
    services: Services, domain: Domain, after: int, batches: "asyncio.Queue[Sequence[Stored] | Exception]"
) -> None:
    try:
        async for batch in services.log.follow(domain, ("log",), after=after):
            await batches.put(batch)
    except UnavailableError as error:
        await batches.put(error)


class _Scan(Struct, frozen=True):
    """What one domain gave: matching events, how far was looked, and whether that was the end."""

    found: list[EventView]
    reached: int
    complete: bool


async def _scan(services: Services, principal: Principal, query: EventsQuery, domain: Domain, after: int) -> _Scan:
    """Up to `query.limit` visible matches of one domain after a sequence."""
    if query.correlation or (query.kind and query.id):
        return _limited(await _of_actors(services, principal, query, domain, after), query.limit, after)
    found: list[EventView] = []
    reached, looked = after, 0
    last = await services.log.last(domain)
    if reached >= last:
        return _Scan(found, reached, complete=True)
    # Both lanes of the stream, so that the last sequence is met whichever lane it is in.
    batches = cast("AsyncIterator[Sequence[Stored]]", services.log.follow(domain, ("log", "run"), after=after))
    async with aclosing(batches) as following:  # type: ignore[type-var]
        async for batch in following:
            for stored in batch:
                if len(found) >= query.limit or looked >= services.settings.events_scanned_max:
                    return _Scan(found, reached, complete=False)
                reached, looked = stored.sequence, looked + 1
                if subjects.parse(stored.subject).lane == "log":
                    found += _shown(principal, query, stored)
            if reached >= last:
                return _Scan(found, reached, complete=True)
    return _Scan(found, reached, complete=True)


def _limited(views: list[EventView], limit: int, after: int) -> _Scan:
    found = views[:limit]
    return _Scan(found, found[-1].sequence if found else after, complete=len(views) <= limit)


async def _of_actors(
    services: Services, principal: Principal, query: EventsQuery, domain: Domain, after: int
) -> list[EventView]:
    """All visible matches of the one actor asked for, or of the actors that the run read model names."""
    if query.kind and query.id:
        actors = {_actor(domain, query.kind, query.id)}
    else:
        events = await services.reads.run(query.correlation or "", clearance=principal.clearance)
        actors = {ActorRef(domain, event.kind, event.actor) for event in events if event.domain is domain}
    views: list[EventView] = []
    for actor in sorted(actors):
        for stored in await services.log.read(subjects.log(actor), after=after):
            views += _shown(principal, query, stored)
    return sorted(views, key=lambda view: view.sequence)


def _shown(principal: Principal, query: EventsQuery, stored: Stored) -> list[EventView]:
    bare = event_view(stored)
    if not _matches(query, bare) or not visible(principal, bare):
        return []
    return [event_view(stored, body=True)]


def _matches(query: EventsQuery, event: EventView) -> bool:
    return (
        (query.kind is None or event.kind == query.kind)
        and (query.id is None or event.actor == query.id)
        and (query.type is None or event.type == query.type)
        and (query.correlation is None or event.correlation == query.correlation)
        and (query.since is None or event.time >= query.since)
        and (query.until is None or event.time <= query.until)
    )


def _domains(query: EventsQuery) -> tuple[Domain, ...]:
    return (query.domain,) if query.domain else tuple(Domain)


def _actor(domain: Domain, kind: str, id: str) -> ActorRef:  # noqa: A002 - the field's name
    try:
        return actor_ref(domain, kind, id)
    except ValueError as error:
        raise ValidationProblemError("kind" if str(error).startswith("kind") else "id", str(error)) from error


def _cursor(positions: dict[Domain, int]) -> str:
    return _SEPARATOR.join(f"{domain.value}.{sequence}" for domain, sequence in sorted(positions.items()) if sequence)


def _positions(cursor: str | None) -> dict[Domain, int]:
    positions: dict[Domain, int] = defaultdict(int)
    for part in (cursor or "").split(_SEPARATOR) if cursor else ():
        name, _, number = part.partition(".")
        try:
            positions[Domain(name)] = msgspec.convert(number, int, strict=False)
        except (ValueError, msgspec.ValidationError) as error:
            raise ValidationProblemError("after", "is not a cursor that this API gave") from error
    if any(not 0 <= sequence < 2**63 for sequence in positions.values()):
        raise ValidationProblemError("after", "is not a cursor that this API gave")
    return positions
