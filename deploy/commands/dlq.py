"""`diarchy dlq`: messages that could not be handled; looking at them, sending them again, dropping them."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from deploy.commands import options
from deploy.commands.events import MOMENT

if TYPE_CHECKING:
    from contracts.letters import LetterFilter, LetterOutcome
    from runtime.ports import DeadLetters, KeptLetter
    from runtime.redriving import Redriving

ALL_MAX = 100_000
F = TypeVar("F", bound=Callable[..., Any])
FILTERS = ("domain", "lane", "kind", "type", "reason", "since", "until")


def filter_options(function: F) -> F:
    """The options that say which letters are meant, given to the command by their names."""
    domains = ["sophia", "artemis", "ceo", "embedding", "system"]
    for option in (
        click.option("--until", type=MOMENT, metavar="TIME", help="Put aside not after."),
        click.option("--since", type=MOMENT, metavar="TIME", help="Put aside not before: 2026-01-31 (your time)."),
        click.option("--reason", metavar="TEXT", help="Whose reason contains this."),
        click.option("--type", metavar="TYPE", help="Of this type, such as conversation.ask.v1."),
        click.option("--kind", metavar="KIND", help="For this kind of actor."),
        click.option(
            "--lane", type=click.Choice(["in", "pub", "log"]), help="Requests, facts from outside, reactions."
        ),
        click.option("--domain", type=click.Choice(domains), help="Of this domain."),
    ):
        function = option(function)
    return function


@click.group(short_help="Messages that could not be handled")
def dlq() -> None:
    """Look at the dead letters: messages that could not be handled. Send them again, or drop them."""


@dlq.command("list")
@filter_options
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, metavar="N", help="The newest N."
)
@options.data_option
@click.option("--json", "as_json", is_flag=True, help="JSON lines; bodies above 16 KiB are left out.")
def list_(*, limit: int, data: str | None, as_json: bool, **filters: object) -> None:
    """List the newest dead letters, newest first. Filters are joined by AND.

    Where stdout is no terminal: a line a letter, with tabs between the values, nothing cut.

    \b
    Examples:
      diarchy dlq list
      diarchy dlq list --domain sophia --reason TimeoutError
      diarchy dlq list --json | jq -r '[.id, .reason] | @tsv'
    """
    from deploy.letters_shown import as_line, listing, tabbed
    from deploy.progress import err, show

    wanted = _wanted(filters)

    async def found() -> "list[KeptLetter]":
        async with _letters(data) as letters:
            return await letters.find(wanted, limit=limit)

    letters = [one.letter for one in asyncio.run(found())]
    if as_json:
        for one in letters:
            click.echo(as_line(one))
    elif letters and sys.stdout.isatty():
        show(listing(letters))
    elif letters:
        for line in tabbed(letters):
            click.echo(line)
    else:
        err("there are no dead letters" + (" like that" if any(filters.values()) else ""))


@dlq.command("show")
@click.argument("id")
@options.data_option
@options.json_option
def show_(*, id: str, data: str | None, as_json: bool) -> None:  # noqa: A002 - the argument's name
    """Show one dead letter: origin, reason, attempts, stack, envelope, body; or who ended it.

    \b
    Examples:
      diarchy dlq show 5b1f0a4e-7c1d-8e5f-9a0b-1c2d3e4f5a6b
      diarchy dlq show 5b1f0a4e-7c1d-8e5f-9a0b-1c2d3e4f5a6b --json | jq .body
    """
    from deploy.letters_shown import as_line, paragraphs

    async def found() -> "KeptLetter | None":
        async with _letters(data) as letters:
            return await letters.get(_pasted(id))

    kept = asyncio.run(found())
    if kept is None:
        raise options.FailedError(f"there is no dead letter {id[:60]}; `diarchy dlq list` lists them")
    click.echo(as_line(kept.letter) if as_json else paragraphs(kept.letter))


@dlq.command("redrive")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--all", "everything", is_flag=True, help="All that the filters leave, oldest first.")
@filter_options
@click.option("--yes", is_flag=True, help="Do not ask.")
@options.data_option
@click.option("--json", "as_json", is_flag=True, help="JSON lines: what became of each.")
def redrive(
    *, ids: tuple[str, ...], everything: bool, yes: bool, data: str | None, as_json: bool, **filters: object
) -> None:
    """Send dead letters' messages again, and run dead reactions on.

    What was handled meanwhile changes nothing: each message has one effect, however often it is redriven. What fails
    again is back with its history.

    \b
    Examples:
      diarchy dlq redrive 5b1f0a4e-7c1d-8e5f-9a0b-1c2d3e4f5a6b
      diarchy dlq redrive --all --domain artemis --reason TimeoutError
      diarchy dlq redrive --all --since 2026-01-31 --yes
    """
    _treat("redrive", Treating(ids, filters, everything, yes, data, as_json))


@dlq.command("drop")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--all", "everything", is_flag=True, help="All that the filters leave.")
@filter_options
@click.option("--yes", is_flag=True, help="Do not ask.")
@options.data_option
@click.option("--json", "as_json", is_flag=True, help="JSON lines: what became of each.")
def drop(
    *, ids: tuple[str, ...], everything: bool, yes: bool, data: str | None, as_json: bool, **filters: object
) -> None:
    """Drop dead letters: their content is deleted for good; that you dropped them is kept.

    \b
    Examples:
      diarchy dlq drop 5b1f0a4e-7c1d-8e5f-9a0b-1c2d3e4f5a6b
      diarchy dlq drop --all --lane pub --reason "is no fact" --yes
    """
    _treat("drop", Treating(ids, filters, everything, yes, data, as_json))


@dataclass(frozen=True)
class Treating:
    """Which letters to treat, where, and how to talk about it."""

    ids: tuple[str, ...]
    filters: dict[str, object]
    everything: bool
    yes: bool
    data: str | None
    as_json: bool


def _treat(verb: str, told: Treating) -> None:
    """Ask, treat each, say what became of it. Raises UsageError, FailedError where some are still there."""
    from deploy.letters_shown import as_line, outcome_line
    from deploy.progress import err

    if bool(told.ids) == told.everything:
        raise click.UsageError(f"name the letters to {verb}, or --all with filters")
    if told.ids and any(told.filters.values()):
        raise click.UsageError("filters go with --all, not with ids")
    named, wanted = tuple(dict.fromkeys(map(_pasted, told.ids))), _wanted(told.filters)

    async def work() -> "list[LetterOutcome]":
        async with _letters(told.data) as letters, _redriving(told.data, letters) as redriving:
            chosen = named or await _chosen(redriving, wanted)
            if not chosen:
                err("there are no dead letters" + (" like that" if any(told.filters.values()) else ""))
                return []
            if not told.yes and not await asyncio.to_thread(_agreed, verb, chosen):
                raise options.FailedError("nothing was done")
            return await _each(redriving.redrive if verb == "redrive" else redriving.drop, chosen, say)

    def say(outcome: "LetterOutcome") -> None:
        click.echo(as_line(outcome) if told.as_json else outcome_line(outcome))

    outcomes = asyncio.run(work())
    left = [one for one in outcomes if one.outcome not in ("redriven", "dropped", "already")]
    if left:
        raise options.FailedError(f"{len(left)} of {len(outcomes)} could not be ended")


async def _chosen(redriving: "Redriving", wanted: "LetterFilter") -> tuple[str, ...]:
    selected = await redriving.select(wanted, limit=ALL_MAX)  # An operator may touch all: none is withheld.
    return tuple(one.letter.id for one in selected.letters)


async def _each(
    do: "Callable[[str], Awaitable[LetterOutcome]]", ids: Sequence[str], say: "Callable[[LetterOutcome], None]"
) -> "list[LetterOutcome]":
    outcomes = []
    for id_ in ids:
        outcomes.append(await do(id_))
        say(outcomes[-1])
    return outcomes


def _agreed(verb: str, ids: Sequence[str]) -> bool:
    if not options.terminal():
        raise click.UsageError("there is no terminal to ask at; say --yes")
    what = "1 dead letter" if len(ids) == 1 else f"{len(ids):,} dead letters"
    return click.confirm(f"{verb} {what}?", err=True)


def _pasted(id_: str) -> str:
    """The id as letters have it, however it was copied."""
    return id_.strip().lower()


def _wanted(filters: dict[str, Any]) -> "LetterFilter":
    """Raises UsageError for a time that cannot be."""
    from contracts.domains import Domain
    from contracts.letters import LetterFilter

    given = {name: filters[name] for name in FILTERS if filters.get(name) is not None}
    if "domain" in given:
        given["domain"] = Domain(given["domain"])
    for name in ("since", "until"):
        if name in given:
            given[name] = given[name].astimezone()
    if "since" in given and "until" in given and given["until"] < given["since"]:
        raise click.UsageError("--until lies before --since: there are no letters between them")
    return LetterFilter(**given)


@asynccontextmanager
async def _letters(data: str | None) -> "AsyncIterator[DeadLetters]":
    from adapters.jetstream_letters import JetStreamLetters
    from deploy.stack import broker

    async with broker(options.stack_settings(data)) as connection:
        yield JetStreamLetters(connection)


@asynccontextmanager
async def _redriving(data: str | None, letters: "DeadLetters") -> "AsyncIterator[Redriving]":
    """In the name of whoever is logged in to this machine: who has the broker's password may see everything."""
    import getpass

    from adapters.jetstream_queue import JetStreamQueue
    from contracts.domains import Clearance
    from deploy.clock import now
    from deploy.stack import broker
    from runtime.redriving import Redriving

    async with broker(options.stack_settings(data)) as connection:
        by = f"operator {getpass.getuser()}"
        yield Redriving(letters, JetStreamQueue(connection), now, by=by, clearance=Clearance.TOP_SECRET)
