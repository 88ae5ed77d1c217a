"""`diarchy vectors`: the vector index: its state, whether it agrees with the logs, a rebuild, a roll-back."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import click
from msgspec import Struct

from contracts.domains import Domain, Partition
from deploy.commands import options

if TYPE_CHECKING:
    from adapters.vector_admin import RemoteVectors
    from contracts.vectors import Built, Difference, VectorsStatus
    from deploy.progress import Steps
    from deploy.settings import Settings
    from runtime.index_build import Ended, IndexBuild
    from runtime.ports import Rpc

POLL_S = 0.2
SHOWN_MAX = 50
SEVERAL = ", "  # stands in the name of a build that serves several generations again
PARTITIONS: tuple[Partition, ...] = get_args(Partition)
F = TypeVar("F", bound=Callable[..., Any])


def partition_option(function: F) -> F:
    return click.option(
        "--partition",
        "partitions",
        multiple=True,
        type=click.Choice(PARTITIONS),
        metavar="PARTITION",
        help="This one only; repeatable.",
    )(function)


class _Check(Struct, frozen=True, kw_only=True):
    """What a check found: entries by the logs, where the index disagrees, by domain in how many it is only behind; `left`: how
    many disagree still after a repair."""

    entries: int
    differences: "list[Difference]"
    behind: dict[Domain, int]
    repaired: int = 0
    left: int = 0


class BehindError(options.FailedError):
    """The index has not come to the end of the logs yet."""

    exit_code = 75
    """EX_TEMPFAIL of sysexits.h: try again later."""


@click.group(short_help="The vector index: state, check, rebuild")
def vectors() -> None:
    """Look at the vector index, hold it against the logs, build it anew beside the serving one."""


@vectors.command("status")
@options.data_option
@options.json_option
def status_(*, data: str | None, as_json: bool) -> None:
    """Show the generations of the index, the entries of each partition, and how far a build is.

    \b
    Examples:
      diarchy vectors status
      diarchy vectors status --json | jq .counts
    """
    from deploy.client import pretty_json

    async def found() -> "VectorsStatus":
        async with _owner(options.stack_settings(data)) as (owner, _):
            return await owner.status()

    status = asyncio.run(found())
    if as_json:
        click.echo(pretty_json(status))
    else:
        _show(status)


@vectors.command("check")
@partition_option
@click.option("--repair", is_flag=True, help="Put right what differs.")
@click.option(
    "--wait",
    "settle_s",
    type=click.FloatRange(0, 600),
    default=10.0,
    show_default=True,
    metavar="S",
    help="How long to wait for what the index has not come to yet.",
)
@options.data_option
@options.json_option
def check(*, partitions: tuple[Partition, ...], repair: bool, settle_s: float, data: str | None, as_json: bool) -> None:
    """Fold the logs and compare with what the index holds: missing, stale, extra and doubled entries.

    The exit status is 1 where they disagree, and still do after --repair; 75 where the index agrees as far as it has come and is
    behind the logs: what was recorded last is found once its reactions are done. Traffic may go on meanwhile.

    \b
    Examples:
      diarchy vectors check
      diarchy vectors check --repair --json
    """
    from deploy.client import pretty_json
    from deploy.progress import err

    found = asyncio.run(_check(options.stack_settings(data), partitions or PARTITIONS, settle_s, repair=repair))
    if as_json:
        click.echo(pretty_json(found))
    else:
        for one in found.differences[:SHOWN_MAX]:
            click.echo(f"{one.problem:8} {one.partition:18} {one.id}  log {one.version}, index {one.kept}")
        if len(found.differences) > SHOWN_MAX:
            err(f"… and {len(found.differences) - SHOWN_MAX:,} more; --json has them all")
        if not found.differences:
            end = " as far as it has come" if found.behind else f": {found.entries:,} entries"
            click.echo(f"the index agrees with the logs{end}")
    if found.repaired:
        err(f"{found.repaired:,} entries put right")
    if found.left:
        remedy = "`diarchy vectors rebuild` builds the index anew" if repair else "--repair puts them right"
        raise options.FailedError(f"{found.left:,} entries {'still ' if repair else ''}differ; {remedy}")
    if found.behind:
        raise BehindError(_behind(found.behind))


@vectors.command("rebuild")
@partition_option
@options.data_option
@options.json_option
def rebuild(*, partitions: tuple[Partition, ...], data: str | None, as_json: bool) -> None:
    """Build the index anew from the logs beside the serving one, compare it with them, swap it in.

    Searches and changes go on meanwhile. What served before is kept for a day.

    \b
    Examples:
      diarchy vectors rebuild
      diarchy vectors rebuild --partition ceo_knowledge
    """

    async def begin(owner: "RemoteVectors") -> str:
        return await owner.rebuild(partitions)

    _built(begin, "Rebuilding the index", data, as_json=as_json)


@vectors.command("rollback")
@options.data_option
@options.json_option
def rollback(*, data: str | None, as_json: bool) -> None:
    """Take the last swap back: bring what served before it up to date and serve it again, all of it.

    Once more, and what served until now serves again.

    \b
    Examples:
      diarchy vectors rollback
    """

    async def begin(owner: "RemoteVectors") -> str:
        return await owner.roll_back()

    _built(begin, "Rolling back the index", data, as_json=as_json)


def _built(begin: Callable[["RemoteVectors"], Any], what: str, data: str | None, *, as_json: bool) -> None:
    """Begin a build, follow it to its end, say what came of it. Raises FailedError."""
    from deploy.client import pretty_json
    from deploy.progress import Steps, err

    async def follow() -> "Built":
        async with _owner(options.stack_settings(data)) as (owner, _):
            name = await begin(owner)
            with Steps() as steps:
                return await _followed(owner, name, steps, what)

    built = asyncio.run(follow())
    if as_json:
        click.echo(pretty_json(built))
    if built.trouble:
        raise options.FailedError(f"not swapped: {built.trouble}; the serving index is as it was")
    if not as_json:
        serve = "serve" if SEVERAL in built.generation else "serves"
        embedded = f"{built.entries:,} entries embedded in {built.seconds:.1f} s"
        click.echo(f"{_named(built.generation)} {serve}: {embedded}")
        err("what served before is kept for a day; `diarchy vectors rollback` serves it again")


def _named(build: str) -> str:
    return f"generation{'s' if SEVERAL in build else ''} {build}"


async def _followed(owner: "RemoteVectors", name: str, steps: "Steps", what: str) -> "Built":
    """The end of a build, its progress shown meanwhile; an owner that is away for a while is waited for."""
    from runtime.errors import UnavailableError

    step, trouble = steps.begin(what), ""
    while True:
        try:
            status = await owner.status()
        except UnavailableError as error:
            steps.note(step, str(error))
            await asyncio.sleep(1.0)
            continue
        if status.last is not None and status.last.generation == name:
            steps.end(step, status.last.trouble and "not swapped")
            return status.last
        if status.building is not None:
            steps.advance(step, status.building.done, total=status.building.total, note=status.building.stage)
        if status.trouble and status.trouble != trouble:
            trouble = status.trouble
            steps.note(step, trouble)
        if status.building is None:
            raise options.FailedError(f"{_named(name)} is not being built any more; `diarchy vectors status` tells")
        await asyncio.sleep(POLL_S)


async def _check(settings: "Settings", partitions: Sequence[Partition], settle_s: float, *, repair: bool) -> _Check:
    from deploy.progress import Steps

    with Steps() as steps:
        async with _checking(settings, partitions, steps) as (build, ended):
            found = last = await build.check(ended, settle_s=settle_s)
            if found.differences and repair:
                await build.mend(found.differences)
                last = await build.check(ended, settle_s=settle_s)
    left = len(last.differences)
    repaired = len(found.differences) - left
    return _Check(entries=last.entries, differences=found.differences, behind=last.behind, repaired=repaired, left=left)


def _behind(entries: dict[Domain, int]) -> str:
    domains = " and ".join(f"{number:,} of {domain.value}" for domain, number in sorted(entries.items()))
    return (
        f"the index is behind by {sum(entries.values()):,} entries, whose reactions are not done ({domains}): check again"
        " later or with a longer --wait; if the number does not fall, the domain's workers are not running, or their log says why"
    )


@asynccontextmanager
async def _checking(
    settings: "Settings", partitions: Sequence[Partition], steps: "Steps"
) -> "AsyncIterator[tuple[IndexBuild, Ended]]":
    """The logs and how far their reactions have come, and the serving index through its owner."""
    from actors.findable import changes
    from adapters.jetstream_log import JetStreamLog
    from adapters.jetstream_reactions import Reactions
    from adapters.retrieval import RemoteRetrieval
    from deploy.stack import broker
    from runtime.index_build import IndexBuild, Stage
    from runtime.telemetry import NoTelemetry

    step = steps.begin("Checking the index")

    def progress(stage: Stage, done: int, total: int) -> None:
        steps.advance(step, done, total=total, note=stage)

    async with _owner(settings) as (owner, rpc), broker(settings) as connection:
        retrieval = RemoteRetrieval(rpc, NoTelemetry())
        build = IndexBuild(JetStreamLog(connection), changes, retrieval, owner, partitions, progress)
        yield build, Reactions(connection).ended
    steps.end(step)


@asynccontextmanager
async def _owner(settings: "Settings") -> "AsyncIterator[tuple[RemoteVectors, Rpc]]":
    from adapters.jetstream_rpc import NatsRpc
    from adapters.vector_admin import RemoteVectors
    from deploy.stack import broker

    async with broker(settings) as connection:
        rpc = NatsRpc(connection)
        yield RemoteVectors(rpc), rpc


def _show(status: "VectorsStatus") -> None:
    from adapters.vector_admin import described
    from deploy.progress import err, show
    from deploy.rendering import table

    generations = table("Generations")
    for name in ("Generation", "State", "Model", "Numbers", "Layout", "Partitions"):
        generations.add_column(name, justify="right" if name in ("Numbers", "Layout") else "left")
    for one in status.generations:
        spec = one.spec
        named = "all" if len(one.partitions) == len(PARTITIONS) else ", ".join(one.partitions)
        generations.add_row(one.name, one.state, spec.model, str(spec.dimensions), str(spec.schema), named)
    counts = table("Entries")
    counts.add_column("Partition")
    counts.add_column("Entries", justify="right")
    for partition in PARTITIONS:
        number = status.counts.get(partition)
        counts.add_row(partition, "not served" if number is None else f"{number:,}")
    show(generations, counts)
    err(described(status))
