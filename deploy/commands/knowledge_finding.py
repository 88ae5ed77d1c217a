"""The commands of `diarchy knowledge` that find something in it: a list, a search, the strategic summary."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar, get_args

import click
import msgspec

from contracts.curating import Horizon, StrategicSummary, SummaryDomain
from contracts.domains import Partition
from contracts.knowledge import Category
from deploy.commands import options
from runtime.text import clip

if TYPE_CHECKING:
    from contracts.curating import KnowledgeHit
    from deploy.client import Gateway

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., object])
SHOWN_CHARS_MAX = 240
SECTIONS = ("priorities", "key_insights", "risks", "opportunities", "recommendations")


def _pairs(_context: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, str] | None:
    pairs = [one.partition("=") for one in given]
    if any(not name or not equals for name, equals, _ in pairs):
        raise click.BadParameter("write NAME=VALUE", param=parameter)
    return {name: value for name, _, value in pairs} or None


def field_option(told: str) -> Callable[[F], F]:
    return click.option("--field", "fields", multiple=True, metavar="NAME=VALUE", callback=_pairs, help=told)


def asked(target: options.Target, ask: "Callable[[Gateway], Awaitable[T]]") -> T:
    """What the gateway of the stack that is meant answers."""

    async def fetch() -> T:
        async with target.gateway() as gateway:
            return await ask(gateway)

    return asyncio.run(fetch())


@click.command("list")
@click.option("--partition", type=click.Choice(get_args(Partition)), metavar="NAME")
@click.option("--category", type=click.Choice(get_args(Category)), metavar="NAME")
@click.option("--priority-min", type=click.IntRange(1, 10), metavar="1-10")
@click.option("--since", metavar="TIME", help="Last changed then or later: RFC 3339.")
@click.option("--limit", type=click.IntRange(1, 200), default=50, show_default=True, metavar="N")
@click.option("--after", metavar="CURSOR", help="Go on where a list ended.")
@options.target_options
@options.json_option
def list_items(*, target: options.Target, as_json: bool, **filters: object) -> None:
    """List the items that you may read, the one that changed last first.

    \b
    Examples:
      diarchy knowledge list --category risk_management --priority-min 7
    """
    from contracts.curating import KnowledgeLines
    from deploy.client import pretty_json
    from deploy.progress import err
    from deploy.rendering import clean

    wanted = {name: value for name, value in filters.items() if value is not None}
    found = asked(target, lambda gateway: gateway.get("/v1/knowledge", KnowledgeLines, wanted))
    if as_json:
        click.echo(pretty_json(found))
        return
    for one in found.items:
        click.echo(f"{one.strategic_priority:>2}  {clean(one.title)}")
        facts = (one.id, one.confidentiality.value, one.partition, one.updated.isoformat(" ", "seconds"), one.by)
        click.echo(f"    {clean(', '.join(facts))}")
    if not found.items:
        click.echo("nothing")
    if found.next:
        err(f"there are more: --after {found.next}")


@click.command()
@click.argument("query")
@click.option("--limit", type=click.IntRange(1, 50), default=10, show_default=True, metavar="N")
@click.option(
    "--partition",
    "partitions",
    multiple=True,
    type=click.Choice(get_args(Partition)),
    metavar="NAME",
    help="Repeatable.  [default: ceo_knowledge, shared_knowledge]",
)
@click.option("--category", type=click.Choice(get_args(Category)), metavar="NAME")
@click.option("--tags", metavar="A,B", help="Only what has all of these.")
@field_option("Only what says exactly this. Repeatable.")
@click.option("--priority-min", type=click.IntRange(1, 10), metavar="1-10")
@click.option(
    "--confidentiality-max", type=click.Choice(options.LEVELS), metavar="LEVEL", help="Nothing more confidential."
)
@options.target_options
@options.json_option
def search(
    query: str, *, fields: dict[str, str] | None, target: options.Target, as_json: bool, **filters: object
) -> None:
    """Search by meaning and by words. What matches about as well as the best is put by strategic priority, then relevance.

    \b
    Examples:
      diarchy knowledge search "who leaves, and why"
      diarchy knowledge search churn --partition sophia_business --tags pricing
      diarchy knowledge search outage --partition artemis_technical --field severity=high
    """
    from contracts.curating import KnowledgeHits, SearchKnowledge
    from deploy.client import pretty_json
    from deploy.item_fields import typed
    from deploy.rendering import clean

    tags = filters["tags"]
    if isinstance(tags, str):
        filters["tags"] = [tag.strip() for tag in tags.split(",") if tag.strip()]
    given = {name: value for name, value in filters.items() if value}
    try:
        wanted = msgspec.convert({"query": query, **given}, SearchKnowledge)
    except msgspec.ValidationError as error:
        raise options.refused(error) from error
    if fields:
        wanted = msgspec.structs.replace(wanted, fields=typed(wanted.partitions, fields))
    found = asked(target, lambda gateway: gateway.post("/v1/knowledge/search", wanted, KnowledgeHits))
    if as_json:
        click.echo(pretty_json(found))
        return
    for hit in found.hits:
        said = hit.knowledge
        click.echo(f"{said.strategic_priority:>2}  {clean(said.title)}")
        click.echo(f"    {clean(clip(shown(hit), SHOWN_CHARS_MAX))}")
        click.echo(f"    {hit.id}, {said.confidentiality.value}, relevance {hit.relevance:.2f}")
    if not found.hits:
        click.echo("nothing")


@click.command()
@click.option("--domain", type=click.Choice(get_args(SummaryDomain)), default="business", show_default=True)
@click.option("--horizon", type=click.Choice(get_args(Horizon)), default="quarter", show_default=True)
@options.target_options
@options.json_option
def summary(*, domain: str, horizon: str, target: options.Target, as_json: bool) -> None:
    """Show what matters: priorities, key insights, risks, opportunities, recommendations, each with its item's id.

    \b
    Examples:
      diarchy knowledge summary --domain technical --horizon month
    """
    from deploy.client import pretty_json
    from deploy.rendering import clean

    wanted = {"domain": domain, "horizon": horizon}
    found = asked(target, lambda gateway: gateway.get("/v1/knowledge/summary", StrategicSummary, wanted))
    if as_json:
        click.echo(pretty_json(found))
        return
    click.echo(f"{domain}, {horizon} ({found.label.value}), of {found.items:,} items")
    for section in SECTIONS:
        click.echo(f"\n{section.replace('_', ' ').capitalize()}")
        for statement in getattr(found, section):
            click.echo(f"  {statement.strategic_priority:>2}  {clean(statement.text)}")
            click.echo(f"      {', '.join(statement.items)}, {statement.label.value}")


def shown(hit: "KnowledgeHit") -> str:
    """The sentence that matches best, else the passage."""
    said = hit.highlights[0] if hit.highlights else hit.passage
    return " ".join((said.of(hit.knowledge.content) if said else hit.knowledge.content).split())
