"""`diarchy rebuild`: read models anew from the logs, compared with the serving ones, swapped in."""

import asyncio
import logging
import time
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from deploy.commands import options

if TYPE_CHECKING:
    from rich.progress import TaskID

    from deploy.settings import Settings
    from runtime.read_models import AnyProjection


class _Result(Struct, frozen=True, kw_only=True):
    """One table, or (table empty) why its projection was not rebuilt."""

    projection: str
    version: int
    table: str = ""
    rows: int = 0
    checksum: str = ""
    live_rows: int = 0
    live_checksum: str = ""
    compared: bool = False
    equal: bool = False
    swapped: bool = False
    events: int = 0
    seconds: float = 0.0
    error: str = ""


@click.command(short_help="Fold read models anew, compare, swap")
@click.argument("projections", nargs=-1, metavar="[PROJECTION]...")
@click.option("--all", "every", is_flag=True, help="Every projection.")
@click.option("--replace", is_flag=True, help="Swap also where the rows differ: repairs a damaged table.")
@options.data_option
@options.json_option
def rebuild(projections: tuple[str, ...], *, every: bool, replace: bool, data: str | None, as_json: bool) -> None:
    """Fold projections anew from the logs beside the serving tables, compare row by row, and swap.

    Traffic may go on meanwhile. Where a rebuilt table differs from the serving one, nothing is swapped and the exit status is
    1; with --replace it is swapped all the same, and the difference shown.

    Projections: analyses, collaborations, knowledge, messages, runs, sessions, users.

    \b
    Examples:
      diarchy rebuild --all
      diarchy rebuild sessions messages --json
      diarchy rebuild runs --replace
    """
    import uvloop

    from deploy.client import pretty_json
    from projections.catalogue import PROJECTIONS

    known = {projection.name: projection for projection in PROJECTIONS}
    unknown = [name for name in projections if name not in known]
    if unknown:
        raise click.UsageError(f"there is no projection {unknown[0]}; there are {', '.join(known)}")
    if every == bool(projections):
        raise click.UsageError("name the projections to rebuild, or --all")
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    wanted = [known[name] for name in dict.fromkeys(projections)] or list(PROJECTIONS)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # Reading the log is most of it.
        results = runner.run(_rebuild(wanted, options.stack_settings(data), replace=replace))
    if as_json:
        click.echo(pretty_json(results))
    else:
        _show(results)
    failed = sorted({result.projection for result in results if result.error})
    if failed:
        raise options.FailedError(
            f"not swapped: {', '.join(failed)}; the serving tables are as they were; --replace swaps where rows differ"
        )


async def _rebuild(wanted: "list[AnyProjection]", settings: "Settings", *, replace: bool) -> list[_Result]:
    from adapters.jetstream_log import JetStreamLog
    from adapters.postgres import Postgres
    from adapters.postgres_read_models import PostgresReadModels
    from deploy.progress import Steps
    from deploy.stack import NotRunningError, broker, up_command
    from runtime.errors import ConflictError
    from runtime.read_models import UnequalError
    from runtime.rebuild import rebuild as rebuilt

    if not settings.postgres.dsn:
        raise NotRunningError(
            f"no stack runs in {settings.folder}; start it with `{up_command(settings)}`, or set postgres.dsn"
        )
    results: list[_Result] = []
    postgres = Postgres(settings.postgres.dsn.reveal())
    try:
        async with broker(settings) as connection:
            log, read_models = JetStreamLog(connection), PostgresReadModels(postgres)
            with Steps() as steps:
                for projection in wanted:
                    step = steps.begin(f"Rebuilding {projection.name}")
                    began = time.monotonic()

                    def progress(done: int, of: int, step: "TaskID" = step, began: float = began) -> None:
                        rate = f"{done / max(time.monotonic() - began, 1e-9):,.0f} events/s"
                        steps.advance(step, done, total=of, rate=rate)

                    try:
                        done = await rebuilt(projection, log, read_models, progress, replace=replace)
                    except (UnequalError, ConflictError) as error:
                        failure = _Result(projection=projection.name, version=projection.version, error=str(error))
                        results.append(failure)
                        steps.end(step, "not swapped")
                        continue
                    steps.end(step)
                    results += [
                        _Result(
                            projection=done.projection,
                            version=done.version,
                            table=check.table,
                            rows=check.rows,
                            checksum=check.checksum,
                            live_rows=check.live_rows,
                            live_checksum=check.live_checksum,
                            compared=done.compared,
                            equal=check.equal,
                            swapped=True,
                            events=done.events,
                            seconds=round(done.seconds, 3),
                        )
                        for check in done.tables
                    ]
    finally:
        await postgres.close()
    return results


def _show(results: list[_Result]) -> None:
    from rich.text import Text

    from deploy.progress import err, show
    from deploy.rendering import table

    for result in results:
        if result.compared and result.swapped and not result.equal:
            err(
                f"{result.table} differed and was replaced: {result.rows:,} rows rebuilt, {result.live_rows:,} were serving"
            )
    shown = table(None)
    for name in ("Table", "Events", "Rows", "Serving", "Checksum", "Equal", "Swapped", "Seconds"):
        right = name in ("Events", "Rows", "Serving", "Seconds")
        shown.add_column(name, justify="right" if right else "left", no_wrap=True, ratio=1 if name == "Table" else None)
    for result in results:
        if result.error:
            err(result.error)
            shown.add_row(result.projection, "", "", "", "", "no", "no", "")
            continue
        equal = ("yes" if result.equal else "no") if result.compared else "new version"
        style = "green" if result.equal or not result.compared else "red"
        shown.add_row(
            result.table,
            f"{result.events:,}",
            f"{result.rows:,}",
            f"{result.live_rows:,}",
            _digest(result.checksum),
            Text(equal, style=style),
            "yes",
            f"{result.seconds:.2f}",
        )
    show(shown)


def _digest(checksum: str) -> str:
    """Two sums of row hashes, short enough for a table; --json has them whole."""
    import hashlib

    return hashlib.sha256(checksum.encode()).hexdigest()[:12]
