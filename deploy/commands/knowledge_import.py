"""`diarchy import`: folders of documents and tables into the knowledge base."""

import asyncio
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click
import msgspec
from msgspec import Struct

from contracts.domains import ItemPartition
from contracts.knowledge import Category
from deploy.commands import options

if TYPE_CHECKING:
    from contracts.curating import ImportedItem
    from deploy.client import Gateway
    from deploy.folder_import import Import
    from deploy.importing import Plan
    from deploy.items import Defaults, Failure
    from deploy.progress import Steps

FAILURES_SHOWN_MAX = 50
FAILURE_CHARS_MAX = 1_000
KEY_CHARS_MAX = 200
GONE_SHOWN_MAX = 20


class Options(Struct, frozen=True, kw_only=True):
    confidentiality: str = "internal"
    partition: str | None = None
    category: str = "operational_metrics"
    priority: int = 5
    concurrency: int = 16
    source: tuple[str, ...] = ()
    collection: str | None = None
    prune: bool = False
    yes: bool = False
    wait: bool = True


class _Summary(Struct, frozen=True):
    """What --json prints. `documents` were sent: `new` and `changed` ones, without those that failed."""

    documents: int
    failed: int
    seconds: float
    documents_per_second: float
    searchable_after_seconds: float | None
    failures: tuple["Failure", ...]
    new: int
    changed: int
    unchanged: int
    deleted: int
    gone: int
    kept: int


class Done(Struct):
    """How it went. `late` could not be found in time; `gone` were imported before, and of their files nothing is there; `kept`
    stay more confidential than their files say."""

    runs: list[str] = []
    failures: "list[Failure]" = []
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    seconds: float = 0.0
    searchable_s: float | None = None
    began: float = 0.0
    late: int = 0
    deleted: int = 0
    kept: int = 0
    unasked: bool = False
    gone: "list[ImportedItem]" = []


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
    type=click.Choice(get_args(ItemPartition)),
    metavar="NAME",
    help=f"Put everything there: {', '.join(get_args(ItemPartition))}.",
)
@click.option(
    "--source", multiple=True, type=click.Path(exists=True), metavar="PATH", help="A source tree; repeatable."
)
@click.option(
    "--concurrency", type=click.IntRange(1, 128), default=16, metavar="N", help="Requests at a time.  [default: 16]"
)
@click.option("--as", "collection", metavar="NAME", help="Import as this collection.  [default: the folder's path]")
@click.option("--prune", is_flag=True, help="Delete the items whose file is gone; asks before.")
@click.option("--yes", is_flag=True, help="Do not ask before deleting.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Wait until everything can be found.")
@options.target_options
@options.json_option
def import_(paths: tuple[str, ...], *, target: options.Target, as_json: bool, **given: object) -> None:
    """Import folders or files: Markdown, text, HTML and PDF (an item a file), JSONL (an item a line), CSV (a table each), and
    profiles of programs as py-spy and pyinstrument write them (speedscope, collapsed stacks, JSON).

    Markdown may begin with front matter (title, category, confidentiality …). Importing again updates what changed and leaves the
    rest alone, so after Ctrl-C the same command goes on. What is imported under one name (`--as`, else the folder's path) is
    compared with what you imported under it before. Exit status 1 when anything could not be imported; the rest is.

    \b
    Examples:
      diarchy import ./handbook --confidentiality internal
      diarchy import ./handbook --prune
      diarchy import notes.jsonl customers.csv --partition sophia_business
      diarchy import --source ./backend
    """
    from deploy.client import pretty_json
    from deploy.progress import err

    wanted = msgspec.convert(given, Options)
    if not paths and not wanted.source:
        raise click.UsageError("name a folder or file to import, or --source a source tree")
    try:
        done = asyncio.run(_import(paths, target, wanted))
    except KeyboardInterrupt:
        err("stopped; what was sent is kept, and the same command goes on from there")
        raise
    if done.gone and wanted.prune:
        done.unasked = not wanted.yes and not options.terminal()
        if wanted.yes or (not done.unasked and _confirmed(done.gone)):
            asyncio.run(_prune(done, target, wanted))
    rate = len(done.runs) / done.seconds if done.seconds else 0.0
    if as_json:
        summary = _Summary(
            documents=len(done.runs),
            failed=len(done.failures),
            seconds=done.seconds,
            documents_per_second=rate,
            searchable_after_seconds=done.searchable_s,
            failures=tuple(done.failures),
            new=done.new,
            changed=done.changed,
            unchanged=done.unchanged,
            deleted=done.deleted,
            gone=len(done.gone),
            kept=done.kept,
        )
        click.echo(pretty_json(summary))
    else:
        click.echo(_summary_line(done, rate))
    tell_failures(done)


def _summary_line(done: Done, rate: float) -> str:
    counts = {"new": done.new, "changed": done.changed, "unchanged": done.unchanged, "deleted": done.deleted}
    told = [f"{count:,} {name}" for name, count in counts.items() if count] or ["nothing"]
    sent = f" in {done.seconds:.1f} s, {rate:.0f} documents/s" if done.runs else ""
    found = "" if done.searchable_s is None else f"; searchable after {done.searchable_s:.1f} s"
    return f"{', '.join(told)}{sent}{found}"


def tell_failures(done: Done) -> None:
    """Raises FailedError where something was not imported or deleted, or cannot be found yet."""
    from deploy.progress import err
    from deploy.rendering import shortened

    for failure in done.failures[:FAILURES_SHOWN_MAX]:
        place = f"{failure.path}{f', line {failure.line}' if failure.line else ''}"
        err(shortened(f"{place}: {failure.reason}", FAILURE_CHARS_MAX))
    if len(done.failures) > FAILURES_SHOWN_MAX:
        err(f"… and {len(done.failures) - FAILURES_SHOWN_MAX:,} more")
    if done.kept:
        err(
            f"{_items(done.kept)} more confidential than the file says: an import lowers nothing, "
            "`diarchy knowledge declassify` does"
        )
    if done.gone:
        err(f"{_items(len(done.gone))} of files that are gone; --prune deletes them")
    if done.failures:
        total = len(done.failures) + len(done.runs) + done.unchanged
        raise options.FailedError(f"{len(done.failures):,} of {total:,} documents were not imported")
    if done.unasked:
        raise options.FailedError("nothing was deleted: there is no terminal to ask at; --yes deletes without asking")
    if done.late:
        raise options.FailedError(
            f"{done.late:,} are stored but could not be found yet; `diarchy doctor` says whether the embedding role runs"
        )


def _items(count: int) -> str:
    return f"{count:,} item{'' if count == 1 else 's'}"


def _confirmed(gone: "list[ImportedItem]") -> bool:
    """Whether somebody says so."""
    from deploy.rendering import shortened

    shown = "\n".join(f"  {shortened(item.key, KEY_CHARS_MAX)}" for item in gone[:GONE_SHOWN_MAX])
    more = f"\n  … and {len(gone) - GONE_SHOWN_MAX:,} more" if len(gone) > GONE_SHOWN_MAX else ""
    return click.confirm(f"{shown}{more}\nDelete these {len(gone):,} items, whose files are gone?", err=True)


async def _import(paths: tuple[str, ...], target: options.Target, wanted: Options) -> Done:
    """Read, compare, send and wait until it can be found."""
    import time

    from deploy.importing import until_searchable
    from deploy.progress import Steps

    done = Done()
    with Steps() as steps:
        async with target.gateway() as gateway:
            for place in (*paths, *wanted.source):
                await follow(gateway, Path(place), steps, wanted, done, source=place in wanted.source)
            if not wanted.wait or not done.runs:
                return done
            step = steps.begin("Making searchable", len(set(done.runs)))
            done.late = await until_searchable(gateway, done.runs, lambda count: steps.advance(step, count))
            if not done.late:
                steps.end(step)
                done.searchable_s = time.monotonic() - done.began
    return done


async def follow(gateway: "Gateway", path: Path, steps: "Steps", wanted: Options, done: Done, *, source: bool) -> None:
    """Read what stands at the path, and bring its collection to that."""
    import time

    from deploy.folder_import import collections_of
    from deploy.importing import place_of

    if wanted.collection:
        place = wanted.collection, ""
    elif source:
        place = collections_of(path)[0]
    else:
        place = await place_of(gateway, path)
    found = await _read(path, place[1], steps, wanted, source=source)
    done.began = done.began or time.monotonic()
    done.failures += found.failures
    plan = await _plan(gateway, path, found, place)
    if wanted.prune and wanted.yes and plan.gone and not found.items:
        raise options.FailedError(
            f"{path} holds nothing that is imported, so {_items(len(plan.gone))} would go: --prune without --yes asks"
        )
    await _send(gateway, plan, place[0], steps, wanted, done)


async def _read(path: Path, under: str, steps: "Steps", wanted: Options, *, source: bool) -> "Import":
    """What stands at the path, moved to the partition that was asked for."""
    from deploy.folder_import import Import, read_path, read_source

    step = steps.begin(f"Reading {path}")
    if source:
        item = await asyncio.to_thread(read_source, path, _defaults(wanted))
        found = Import(items=(item,), failures=(), skipped=(), notes=(), whole=False)
    else:
        loop = asyncio.get_running_loop()

        def on_file(count: int, name: str) -> None:
            loop.call_soon_threadsafe(lambda: steps.advance(step, count, rate=name[-40:]))

        found = await asyncio.to_thread(read_path, path, _defaults(wanted), on_file, under=under)
    steps.end(step, f"{len(found.items):,} items")
    for note in found.notes:
        steps.say(note)
    if found.skipped:
        shown = ", ".join(found.skipped[:5]) + (" …" if len(found.skipped) > 5 else "")
        steps.say(f"{path}: left out {len(found.skipped):,} files of other kinds ({shown})")
    if not wanted.partition:
        return found
    moved = {"partition": wanted.partition}
    items = [
        msgspec.structs.replace(item, knowledge=msgspec.structs.replace(item.knowledge, **moved))
        for item in found.items
    ]
    return msgspec.structs.replace(found, items=tuple(items))


def _defaults(wanted: Options) -> "Defaults":
    from deploy.items import Defaults

    given = {
        "category": wanted.category,
        "confidentiality": wanted.confidentiality,
        "strategic_priority": wanted.priority,
    }
    return msgspec.convert(given, Defaults)


async def _send(gateway: "Gateway", plan: "Plan", collection: str, steps: "Steps", wanted: Options, done: Done) -> None:
    """Bring the collection to what is planned, and note in `done` how that went."""
    import time

    from deploy.importing import delete_items, post_items, without_those_of

    began = time.monotonic()
    step = steps.begin("Importing", len(plan.posts))

    def count(through: int) -> None:
        steps.advance(step, through, rate=f"{through / max(time.monotonic() - began, 1e-9):.0f} items/s")

    waits = partial(steps.waits, step)
    imported = await post_items(
        gateway,
        plan.posts,
        collection=collection,
        concurrency=wanted.concurrency,
        on_count=count,
        on_wait=waits,
    )
    failed = {failure.path for failure in imported.failures}
    stale = without_those_of(imported.failures, plan.stale)
    not_deleted = await delete_items(gateway, stale, concurrency=wanted.concurrency, on_wait=waits)
    steps.end(step)
    done.runs += imported.runs
    done.failures += [*plan.expired, *imported.failures, *not_deleted]
    done.seconds += imported.seconds
    done.new += sum(item.key not in failed for item in plan.new)
    done.changed += sum(item.key not in failed for item in plan.changed)
    done.unchanged += plan.unchanged
    done.deleted += len(stale) - len(not_deleted)
    done.gone += plan.gone
    done.kept += imported.kept


async def _plan(gateway: "Gateway", path: Path, found: "Import", place: tuple[str, str]) -> "Plan":
    """What importing does; what was added before without its source is looked for only where something seems to be new."""
    from datetime import UTC, datetime

    from deploy.importing import adoptable, adopting, imported_before, planned

    collection, under = place
    there = await imported_before(gateway, collection)
    if found.whole:
        there = [one for one in there if one.key.startswith(under)]
    else:  # Of one file: what else stands in its folder is not looked at.
        name = under + path.name
        there = [one for one in there if one.key == name or one.key.startswith(f"{name}#")]
    plan = planned(found.items, there, datetime.now(UTC), [failure.path for failure in found.failures])
    return adopting(plan, await adoptable(gateway)) if plan.new else plan


async def _prune(done: Done, target: options.Target, wanted: Options) -> None:
    from deploy.importing import delete_items

    async with target.gateway() as gateway:
        failures = await delete_items(gateway, done.gone, concurrency=wanted.concurrency)
    done.deleted += len(done.gone) - len(failures)
    done.failures += failures
    done.gone = []
