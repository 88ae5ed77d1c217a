"""`diarchy events`: what was recorded, a page after the other, or live."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from datetime import datetime
from typing import TYPE_CHECKING

import click
import msgspec
from msgspec import Raw, Struct

from deploy.commands import options
from runtime.errors import DiarchyError

if TYPE_CHECKING:
    from contracts.http import EventView
    from deploy.client import Gateway

PAGE = 200
WAITING_MAX = 10_000  # live events not printed yet
PATIENCE_S = 60.0
MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"])


class _Page(Struct, frozen=True):
    """A page as it came: events are printed as they are."""

    events: tuple[Raw, ...]
    next: str | None = None


@click.command(short_help="List or follow what was recorded")
@click.option(
    "--domain", type=click.Choice(["sophia", "artemis", "ceo", "embedding", "system"]), help="Of this domain."
)
@click.option("--kind", metavar="KIND", help="Of this kind of actor, such as conversation.")
@click.option("--id", "id", metavar="ID", help="Of this actor.")
@click.option("--type", "type", metavar="TYPE", help="Of this type, such as conversation.answered.v1.")
@click.option("--correlation", metavar="ID", help="Of this run.")
@click.option("--since", type=MOMENT, metavar="TIME", help="Not before: 2026-01-31 or 2026-01-31T14:00:00 (your time).")
@click.option("--until", type=MOMENT, metavar="TIME", help="Not after.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most so many.  [default: all]")
@click.option(
    "--follow", "-f", is_flag=True, help="New ones as they are recorded, until Ctrl-C; with --since old ones first."
)
@options.target_options
@click.option("--json", "as_json", is_flag=True, help="JSON lines, with the events' bodies.")
def events(*, target: options.Target, as_json: bool, follow: bool, limit: int | None, **filters: object) -> None:
    """List recorded events that you may see, oldest first. Filters are joined by AND.

    \b
    Examples:
      diarchy events --domain sophia --type conversation.answered.v1
      diarchy events --follow
      diarchy events --since 2026-01-31 --json | jq -r .type | sort | uniq -c
    """
    from deploy.rendering import event_line

    parameters = {name: _text(value) for name, value in filters.items() if value is not None}

    async def show() -> None:
        shown = 0
        async with target.gateway() as gateway, contextlib.aclosing(_wanted(gateway, parameters, follow)) as found:
            async for event in found:
                click.echo(bytes(event) if as_json else event_line(_view(event)))
                shown += 1
                if shown == limit:
                    return

    asyncio.run(show())


async def _wanted(gateway: "Gateway", parameters: dict[str, str], follow: bool) -> "AsyncGenerator[Raw, None]":
    """The recorded ones unless only new ones are wanted, then the new ones if any are wanted."""
    if not follow:
        async for event in _recorded(gateway, parameters):
            yield event
        return
    live: asyncio.Queue[Raw | DiarchyError] = asyncio.Queue(WAITING_MAX)
    opened = asyncio.Event()
    following = asyncio.create_task(_follow(gateway, parameters, live, opened))
    try:
        seen: set[bytes] = set()
        if "since" in parameters:
            await opened.wait()  # Before the old ones are read: so that none falls between.
            async for event in _recorded(gateway, parameters):
                seen.add(bytes(event))
                yield event
        while True:
            incoming = await live.get()
            if isinstance(incoming, DiarchyError):
                raise incoming
            if bytes(incoming) not in seen:
                yield incoming
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def _recorded(gateway: "Gateway", parameters: dict[str, str]) -> "AsyncGenerator[Raw, None]":
    after: str | None = None
    while True:
        page = await gateway.get("/v1/events", _Page, {**parameters, "limit": PAGE, "after": after})
        for event in page.events:
            yield event
        if page.next is None:
            return
        after = page.next


async def _follow(
    gateway: "Gateway", parameters: dict[str, str], live: "asyncio.Queue[Raw | DiarchyError]", opened: asyncio.Event
) -> None:
    """Live events into the queue; a broken stream is taken up after its last event. In the end, why there are no more."""
    from deploy.client import patiently
    from deploy.progress import err

    last = ""

    async def once() -> None:
        nonlocal last
        headers = {"Last-Event-ID": last} if last else {}
        stream = gateway.stream("GET", "/v1/events", headers=headers, parameters=parameters, on_open=opened.set)
        async with contextlib.aclosing(stream) as incoming:
            async for event in incoming:
                last = event.id or last
                if event.name == "event":
                    await live.put(Raw(event.data))
        raise gateway.ended("the stream ended")

    try:
        await patiently(once, patience_s=PATIENCE_S, on_wait=lambda seconds, why: err(f"{why}; again in {seconds:g} s"))
    except DiarchyError as error:
        opened.set()
        await live.put(error)


def _view(event: Raw) -> "EventView":
    from contracts.http import EventView

    fields = msgspec.json.decode(event, type=dict[str, object])
    fields.pop("body", None)
    return msgspec.convert(fields, EventView)


def _text(value: object) -> str:
    return value.astimezone().isoformat() if isinstance(value, datetime) else str(value)
