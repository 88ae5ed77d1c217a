"""`diarchy facts`: figures about clients, deals, tickets and invoices, from files."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from deploy.commands import options

if TYPE_CHECKING:
    from deploy.facts_import import Given
    from deploy.items import Failure


class _Summary(Struct, frozen=True):
    """What --json prints."""

    facts: int
    failed: int
    seconds: float
    failures: "tuple[Failure, ...]"


@click.group(short_help="Import facts about clients, deals, tickets and invoices")
def facts() -> None:
    """Facts with figures, as other programs publish them: what Sophia's teams compute with."""


@facts.command("types", short_help="List the types of facts and their fields")
def types() -> None:
    """List the types of facts and their fields; [those in brackets] may be left out.

    \b
    Examples:
      diarchy facts types
    """
    import msgspec

    from deploy.facts_import import TYPES

    for name, kind in TYPES.items():
        fields = [f"{one.name}" if one.required else f"[{one.name}]" for one in msgspec.structs.fields(kind)]
        click.echo(f"{name}: {' '.join(fields)}")


@facts.command("import", short_help="Import files of facts")
@click.argument("paths", nargs=-1, required=True, metavar="FILE...", type=click.Path(exists=True, dir_okay=False))
@click.option("--type", "type_", metavar="TYPE", help="Of lines that do not say it, such as client.signed.")
@click.option("--origin", metavar="NAME", help="Likewise: which program knows it.  [default: the file's name]")
@click.option(
    "--confidentiality",
    type=click.Choice(options.LEVELS),
    default="internal",
    metavar="LEVEL",
    help=f"Likewise: {', '.join(options.LEVELS)}.  [default: internal]",
)
@click.option(
    "--concurrency", type=click.IntRange(1, 128), default=16, metavar="N", help="Requests at a time.  [default: 16]"
)
@options.target_options
@options.json_option
def import_(  # noqa: PLR0913 - the command's options
    paths: tuple[str, ...],
    *,
    type_: str | None,
    origin: str | None,
    confidentiality: str,
    concurrency: int,
    target: options.Target,
    as_json: bool,
) -> None:
    """Import files of facts: JSON lines, or CSV with a column a field (dates may be days). `diarchy facts types` lists them.

    Importing a file again changes nothing, so after Ctrl-C the same command goes on. Exit status 1 when a line is no fact or
    was refused; the others are imported.

    \b
    Examples:
      diarchy facts import crm.jsonl
      diarchy facts import clients.csv --type client.signed --confidentiality confidential
    """
    from contracts.domains import Clearance
    from deploy.client import pretty_json
    from deploy.commands.knowledge_import import FAILURE_CHARS_MAX, FAILURES_SHOWN_MAX
    from deploy.facts_import import Given
    from deploy.progress import err
    from deploy.rendering import shortened

    def given(path: str) -> Given:
        return Given(origin=origin or Path(path).name, confidentiality=Clearance(confidentiality), type=type_)

    try:
        summary = asyncio.run(_import([(Path(path), given(path)) for path in paths], target, concurrency))
    except KeyboardInterrupt:
        err("stopped; what was sent is kept, and the same command goes on from there")
        raise
    if as_json:
        click.echo(pretty_json(summary))
    else:
        click.echo(f"{summary.facts:,} facts in {summary.seconds:.1f} s; those that were known change nothing")
    for failure in summary.failures[:FAILURES_SHOWN_MAX]:
        place = f"{failure.path}{f', line {failure.line}' if failure.line else ''}"
        err(shortened(f"{place}: {failure.reason}", FAILURE_CHARS_MAX))
    if len(summary.failures) > FAILURES_SHOWN_MAX:
        err(f"… and {len(summary.failures) - FAILURES_SHOWN_MAX:,} more")
    if summary.failures:
        raise options.FailedError(f"{summary.failed:,} of {summary.facts + summary.failed:,} facts were not imported")


async def _import(files: "list[tuple[Path, Given]]", target: options.Target, concurrency: int) -> _Summary:
    import time
    from functools import partial

    from deploy.facts_import import publish_facts, read_facts
    from deploy.progress import Steps

    failures: list[Failure] = []
    sent = 0
    began = time.monotonic()
    with Steps() as steps:
        async with target.gateway() as gateway:
            for path, given in files:
                read = await asyncio.to_thread(read_facts, path, given)
                step = steps.begin(f"Importing {path}", len(read.facts))
                refused = await publish_facts(
                    gateway,
                    read,
                    path=path,
                    concurrency=concurrency,
                    on_count=partial(steps.advance, step),
                    on_wait=partial(steps.waits, step),
                )
                steps.end(step)
                failures += [*read.failures, *refused]
                sent += len(read.facts) - len(refused)
    return _Summary(sent, len(failures), time.monotonic() - began, tuple(failures))
