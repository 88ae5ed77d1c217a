"""`diarchy timers`: messages that will be sent later, once or again and again."""

import asyncio
from typing import TYPE_CHECKING

import click

from contracts.domains import Domain
from deploy.commands import options

if TYPE_CHECKING:
    from runtime.ports import Timer

NAMES = [domain.value for domain in Domain]


@click.group(short_help="Messages that will be sent later")
def timers() -> None:
    """Look at the timers of the actors, and take one back."""


@timers.command("list")
@click.option("--domain", "names", multiple=True, type=click.Choice(NAMES), help="Only of this one; repeatable.")
@click.option(
    "--limit", type=click.IntRange(1, 100_000), default=1_000, show_default=True, metavar="N", help="N of each domain."
)
@options.data_option
@options.json_option
def list_(*, names: tuple[str, ...], limit: int, data: str | None, as_json: bool) -> None:
    """List the timers that wait, those that were set first before the others.

    \b
    Examples:
      diarchy timers list --domain sophia
      diarchy timers list --json | jq -r .name
    """
    import msgspec
    from rich.text import Text

    from deploy.progress import err, show
    from deploy.rendering import clean, table

    found = asyncio.run(_timers(data, [Domain(name) for name in names or NAMES], limit))
    if as_json:
        for timer in found:
            click.echo(msgspec.json.encode(timer))
        return
    if not found:
        err("there are no timers")
        return
    shown = table(None)
    for heading in ("Actor", "Name", "Message", "When", "Set at"):
        shown.add_column(heading, overflow="fold")
    for timer in found:
        row = (str(timer.target), timer.name, timer.type, _shown(timer), timer.since.isoformat(" ", "seconds"))
        shown.add_row(*(Text(clean(cell)) for cell in row))
    show(shown)


@timers.command()
@click.argument("actor", metavar="DOMAIN/KIND/ID")
@click.argument("name")
@options.data_option
def cancel(*, actor: str, name: str, data: str | None) -> None:
    """Take a timer back; one that is not there is no error.

    A reaction that sleeps for long waits by a timer: without it, it does not wake up. `diarchy timers list` shows both
    arguments.

    \b
    Examples:
      diarchy timers cancel sophia/conversation/sophia-01JD nightly
    """
    from contracts.subjects import actor_ref

    try:
        domain, kind, identity = actor.split("/")
        target = actor_ref(Domain(domain), kind, identity)
    except ValueError:
        raise click.UsageError(f"{actor!r} is no actor; `diarchy timers list` shows them as DOMAIN/KIND/ID") from None

    async def run() -> None:
        from adapters.jetstream_timers import JetStreamTimers
        from deploy.stack import broker

        async with broker(options.stack_settings(data)) as connection:
            await JetStreamTimers(connection).cancel(target, name)

    asyncio.run(run())


def _shown(timer: "Timer") -> str:
    from runtime.schedule import Cron, Every

    match timer.when:
        case Every(seconds=seconds):
            return f"every {seconds} s"
        case Cron(expression=expression):
            return expression
        case moment:
            return moment.isoformat(" ", "seconds")


async def _timers(data: str | None, domains: list[Domain], limit: int) -> "list[Timer]":
    from adapters.jetstream_timers import JetStreamTimers
    from deploy.stack import broker

    async with broker(options.stack_settings(data)) as connection:
        timers = JetStreamTimers(connection)
        return [timer for domain in domains for timer in await timers.list(domain, limit=limit)]
