"""`diarchy dlq`: messages that could not be handled."""

import asyncio
from typing import TYPE_CHECKING

import click

from deploy.commands import options

if TYPE_CHECKING:
    from contracts.kernel import DeadLetter


@click.group(short_help="Messages that could not be handled")
def dlq() -> None:
    """Look at the dead letters: messages that could not be handled, each with its reason."""


@dlq.command("list")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, metavar="N", help="The newest N."
)
@options.data_option
@click.option("--json", "as_json", is_flag=True, help="JSON lines, with bodies, headers and stacks.")
def list_(*, limit: int, data: str | None, as_json: bool) -> None:
    """List the newest dead letters, newest first.

    \b
    Examples:
      diarchy dlq list
      diarchy dlq list --json | jq -r '[.subject, .reason] | @tsv'
    """
    import msgspec
    from rich.text import Text

    from deploy.progress import err, show
    from deploy.rendering import clean, shortened, table

    letters = asyncio.run(_letters(data, limit))
    if as_json:
        for letter in letters:
            click.echo(msgspec.json.encode(letter))
        return
    if not letters:
        err("there are no dead letters")
        return
    shown = table(None)
    shown.add_column("Time", no_wrap=True)
    shown.add_column("Subject", ratio=3, overflow="fold")
    shown.add_column("Reason", ratio=3, overflow="fold")
    shown.add_column("Tries", justify="right")
    for letter in letters:
        row = (letter.time[:19].replace("T", " "), clean(letter.subject), shortened(letter.reason, 400))
        shown.add_row(*map(Text, row), Text(str(letter.attempts)))
    show(shown)


async def _letters(data: str | None, limit: int) -> "list[DeadLetter]":
    from adapters.jetstream_queue import JetStreamQueue
    from deploy.stack import broker

    async with broker(options.stack_settings(data)) as connection:
        return await JetStreamQueue(connection).dead_letters(limit=limit)
