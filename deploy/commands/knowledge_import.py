"""`diarchy import`: folders of documents and tables into the knowledge base."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click
import msgspec
from msgspec import Struct

from contracts.domains import Partition
from contracts.knowledge import Category
from deploy.commands import options

if TYPE_CHECKING:
    from deploy.client import OnWait
    from deploy.folder_import import Failure, Item
    from deploy.importing import Imported
    from deploy.progress import Steps

FAILURES_SHOWN_MAX = 50


class _Options(Struct, frozen=True):
    confidentiality: str
    partition: str | None
    category: str
    priority: int
    concurrency: int
    source: tuple[str, ...]
    wait: bool


class _Summary(Struct, frozen=True):
    """What --json prints."""

    documents: int
    failed: int
    seconds: float
    documents_per_second: float
    searchable_after_seconds: float | None
    failures: tuple["Failure", ...]


@click.command("import", short_help="Import folders of documents and tables")
@click.argument("paths", nargs=-1, metavar="PATH...", type=click.Path(exists=True))
@click.option(
    "--confidentiality",
    type=click.Choice(options.LEVELS),
    default="internal",
    metavar="LEVEL",
    help=f"Of what does not say itself: {', '.join(options.LEVELS)}.  [default: internal]",
)
@click.option(
    "--category",
    type=click.Choice(get_args(Category)),
    default="operational_metrics",
    metavar="NAME",
    help=f"Likewise: {', '.join(get_args(Category))}.  [default: operational_metrics]",
)
@click.option(
    "--priority",
    type=click.IntRange(1, 10),
    default=5,
    metavar="1-10",
    help="Strategic priority, likewise.  [default: 5]",
)
@click.option(
    "--partition",
    type=click.Choice(get_args(Partition)),
    metavar="NAME",
    help=f"Put everything there: {', '.join(get_args(Partition))}.",
)
@click.option(
    "--source", multiple=True, type=click.Path(exists=True), metavar="PATH", help="A source tree; repeatable."
)
@click.option(
    "--concurrency", type=click.IntRange(1, 128), default=16, metavar="N", help="Requests at a time.  [default: 16]"
)
@click.option("--wait/--no-wait", default=True, show_default=True, help="Wait until everything can be found.")
@options.target_options
@options.json_option
def import_(paths: tuple[str, ...], *, target: options.Target, as_json: bool, **given: object) -> None:
    """Import folders or files: Markdown and text (an item a file), JSONL (an item a line), CSV (a table each).

    Markdown may begin with front matter (title, category, confidentiality …). Importing the same again changes nothing.
    Exit status 1 when anything could not be imported; the rest is.

    \b
    Examples:
      diarchy import ./handbook --confidentiality internal
      diarchy import notes.jsonl customers.csv --partition sophia_business
      diarchy import --source ./backend
    """
    from deploy.client import pretty_json
    from deploy.progress import err

    wanted = msgspec.convert(given, _Options)
    if not paths and not wanted.source:
        raise click.UsageError("name a folder or file to import, or --source a source tree")
    items, failures = _read(paths, wanted)
    imported, searchable_s, late = asyncio.run(_import(items, target, wanted))
    failures += imported.failures
    rate = len(imported.runs) / imported.seconds if imported.seconds else 0.0
    if as_json:
        click.echo(
            pretty_json(
                _Summary(len(imported.runs), len(failures), imported.seconds, rate, searchable_s, tuple(failures))
            )
        )
    else:
        found = "" if searchable_s is None else f"; searchable after {searchable_s:.1f} s"
        count = len(imported.runs)
        click.echo(
            f"{count:,} document{'' if count == 1 else 's'} in {imported.seconds:.1f} s, {rate:.0f} documents/s{found}"
        )
    for failure in failures[:FAILURES_SHOWN_MAX]:
        err(f"{failure.path}{f', line {failure.line}' if failure.line else ''}: {failure.reason}")
    if len(failures) > FAILURES_SHOWN_MAX:
        err(f"… and {len(failures) - FAILURES_SHOWN_MAX:,} more")
    if failures:
        raise options.FailedError(
            f"{len(failures):,} of {len(failures) + len(imported.runs):,} documents were not imported"
        )
    if late:
        raise options.FailedError(
            f"{late:,} are stored but could not be found yet; `diarchy doctor` says whether the embedding role runs"
        )


def _read(paths: tuple[str, ...], wanted: _Options) -> "tuple[list[Item], list[Failure]]":
    """Everything that was named, or why not."""
    from deploy.folder_import import Defaults
    from deploy.importing import read_path, read_source
    from deploy.progress import err

    given = {
        "category": wanted.category,
        "confidentiality": wanted.confidentiality,
        "strategic_priority": wanted.priority,
    }
    defaults = msgspec.convert(given, Defaults)
    items: list[Item] = []
    failures: list[Failure] = []
    for path in paths:
        found = read_path(Path(path), defaults)
        items += found.items
        failures += found.failures
        for note in found.notes:
            err(note)
        if found.skipped:
            shown = ", ".join(found.skipped[:5]) + (" …" if len(found.skipped) > 5 else "")
            err(f"{path}: left out {len(found.skipped):,} files of other kinds ({shown})")
    items += [read_source(Path(path), defaults) for path in wanted.source]
    if wanted.partition:
        moved = {"partition": wanted.partition}
        items = [
            msgspec.structs.replace(item, knowledge=msgspec.structs.replace(item.knowledge, **moved)) for item in items
        ]
    return items, failures


async def _import(
    items: "list[Item]", target: options.Target, wanted: _Options
) -> "tuple[Imported, float | None, int]":
    """How it went, after how many seconds everything could be found (None: not waited for), and how many never could."""
    import time

    from deploy.importing import post_items, until_searchable
    from deploy.progress import Steps

    began = time.monotonic()
    with Steps() as steps:
        async with target.gateway() as gateway:
            step = steps.begin("Importing", len(items))

            def count(done: int) -> None:
                steps.advance(step, done, rate=f"{done / max(time.monotonic() - began, 1e-9):.0f} items/s")

            imported = await post_items(
                gateway, items, concurrency=wanted.concurrency, on_count=count, on_wait=_told(steps)
            )
            steps.end(step)
            if not wanted.wait or not imported.runs:
                return imported, None, 0
            step = steps.begin("Making searchable", len(set(imported.runs)))
            late = await until_searchable(gateway, imported.runs, lambda done: steps.advance(step, done))
            if late:
                return imported, None, late
            steps.end(step)
            return imported, time.monotonic() - began, 0


def _told(steps: "Steps") -> "OnWait":
    """Says once a second at most that the gateway asked for a pause."""
    import time

    last = 0.0

    def tell(seconds: float, why: str) -> None:
        nonlocal last
        if time.monotonic() - last > 1:
            last = time.monotonic()
            steps.say(f"{why}; again in {seconds:g} s")

    return tell
