"""`diarchy knowledge`: search, one item of the knowledge base after the other, its versions, and the strategic summary."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, get_args

import click
import msgspec
from msgspec import Struct

from contracts.curating import Horizon, KnowledgeVersion, KnowledgeVersions, StrategicSummary, SummaryDomain
from contracts.domains import ItemPartition, Partition
from contracts.knowledge import Category, Knowledge
from deploy.commands import options
from runtime.errors import InvalidError
from runtime.text import clip

if TYPE_CHECKING:
    from contracts.http import KnowledgeHit, KnowledgeItem
    from deploy.client import Gateway
    from deploy.front_matter import FrontMatter

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., object])
SHOWN_CHARS_MAX = 240
SECTIONS = ("priorities", "key_insights", "risks", "opportunities", "recommendations")


@click.group(short_help="Search the knowledge base; its items, their versions, the strategic summary")
def knowledge() -> None:
    """Search; add, show, change, declassify and delete single items. `diarchy import` takes folders."""


def _pairs(_context: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, str] | None:
    pairs = [one.partition("=") for one in given]
    if any(not name or not equals for name, equals, _ in pairs):
        raise click.BadParameter("write NAME=VALUE", param=parameter)
    return {name: value for name, _, value in pairs} or None


def _field(told: str) -> Callable[[F], F]:
    return click.option("--field", "fields", multiple=True, metavar="NAME=VALUE", callback=_pairs, help=told)


def _fields(function: F) -> F:
    """What may be said of an item beside its text."""
    added: tuple[Callable[[F], F], ...] = (
        click.option("--title", metavar="TEXT"),
        click.option("--category", type=click.Choice(get_args(Category)), metavar="NAME"),
        click.option("--confidentiality", type=click.Choice(options.LEVELS), metavar="LEVEL"),
        click.option("--priority", "strategic_priority", type=click.IntRange(1, 10), metavar="1-10"),
        click.option("--partition", type=click.Choice(get_args(ItemPartition)), metavar="NAME"),
        click.option("--expires", metavar="TIME", help="RFC 3339, such as 2027-01-31T00:00:00Z."),
        click.option("--tags", metavar="A,B", help="Instead of those there are."),
        _field("What items of its partition say besides, instead of what there is; repeatable. NAME= for nothing."),
    )
    for option in reversed(added):
        function = option(function)
    return function


@knowledge.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_fields
@options.target_options
@options.json_option
def add(file: Path, *, target: options.Target, as_json: bool, **fields: object) -> None:
    """Add what a Markdown or text FILE says as one item; options go before its front matter.

    \b
    Examples:
      diarchy knowledge add pricing.md --category strategic_planning --priority 8
      diarchy knowledge add notice.md --expires 2027-01-31T00:00:00Z
    """
    from contracts.http import KnowledgeItem
    from deploy.items import Defaults, text_items

    said = _read(file)
    items = text_items(file.name, said.body, said.fields, Defaults())
    if len(items) > 1:
        raise click.UsageError(f"{file} is too long for one item; `diarchy import {file}` makes several of it")
    added = _changed(items[0].knowledge, fields)
    made = _asked(target, lambda gateway: gateway.post("/v1/knowledge", added, KnowledgeItem))
    _told(made, as_json=as_json)


@knowledge.command()
@click.argument("item")
@click.option("--file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="What it says from now on.")
@_fields
@options.target_options
@options.json_option
def update(item: str, *, file: Path | None, target: options.Target, as_json: bool, **fields: object) -> None:
    """Change what an item says: what neither an option nor the front matter of FILE names stays. Its earlier versions are kept.

    \b
    Examples:
      diarchy knowledge update 0199a3c4-6c1e-7b0a-9d55-0d0f6a1b2c3d --priority 9
      diarchy knowledge update 0199a3c4-6c1e-7b0a-9d55-0d0f6a1b2c3d --file pricing.md
    """
    from contracts.http import KnowledgeItem

    path = f"/v1/knowledge/{options.path_part(item)}"
    if file is not None:
        said = _read(file)
        fields = {
            **said.fields,
            "content": said.body,
            **{name: value for name, value in fields.items() if value is not None},
        }

    async def change(gateway: "Gateway") -> "KnowledgeItem":
        held = await gateway.get(path, KnowledgeItem)
        body = msgspec.json.encode(_changed(held.knowledge, fields))
        sent = await gateway.send("PUT", path, content=body, headers={"Content-Type": "application/json"})
        return msgspec.json.decode(sent.body, type=KnowledgeItem)

    _told(_asked(target, change), as_json=as_json)


@knowledge.command()
@click.argument("item")
@click.option("--version", "number", type=click.IntRange(min=1), metavar="N", help="As it was in this version.")
@options.target_options
@options.json_option
def show(item: str, *, number: int | None, target: options.Target, as_json: bool) -> None:
    """Show an item, or one of its versions.

    \b
    Examples:
      diarchy knowledge show 0199a3c4-6c1e-7b0a-9d55-0d0f6a1b2c3d
      diarchy knowledge show 0199a3c4-6c1e-7b0a-9d55-0d0f6a1b2c3d --version 1
    """
    from contracts.http import KnowledgeItem

    path = f"/v1/knowledge/{options.path_part(item)}"
    if number is None:
        _told(_asked(target, lambda gateway: gateway.get(path, KnowledgeItem)), as_json=as_json)
    else:
        _told(
            _asked(target, lambda gateway: gateway.get(f"{path}/versions/{number}", KnowledgeVersion)), as_json=as_json
        )


@knowledge.command()
@click.argument("item")
@click.option("--limit", type=click.IntRange(1, 200), default=50, show_default=True, metavar="N")
@click.option("--before", type=click.IntRange(min=1), metavar="N", help="Only versions before this one.")
@options.target_options
@options.json_option
def versions(item: str, *, limit: int, before: int | None, target: options.Target, as_json: bool) -> None:
    """List the versions of an item, newest first. Of one that has ended they are for who may change knowledge.

    \b
    Examples:
      diarchy knowledge versions 0199a3c4-6c1e-7b0a-9d55-0d0f6a1b2c3d
    """
    from rich.text import Text

    from deploy.client import pretty_json
    from deploy.progress import err
    from deploy.progress import show as print_
    from deploy.rendering import clean, table

    path = f"/v1/knowledge/{options.path_part(item)}/versions"
    asked = {"limit": limit, "before": before}
    found = _asked(target, lambda gateway: gateway.get(path, KnowledgeVersions, asked))
    if as_json:
        click.echo(pretty_json(found))
        return
    shown = table(None)
    for heading in ("Version", "Since", "By", "Label", "Title"):
        shown.add_column(heading, overflow="fold")
    for one in found.versions:
        row = (str(one.number), one.since.isoformat(" ", "seconds"), one.by, one.label.value, one.title)
        shown.add_row(*(Text(clean(cell)) for cell in row))
    print_(shown)
    if found.ended and found.ended_at:
        err(f"{found.ended} at {found.ended_at.isoformat(' ', 'seconds')}")
    if found.more:
        err(f"there are older ones: --before {found.versions[-1].number}")


@knowledge.command("list")
@click.option("--partition", type=click.Choice(get_args(Partition)), metavar="NAME")
@click.option("--category", type=click.Choice(get_args(Category)), metavar="NAME")
@click.option("--priority-min", type=click.IntRange(1, 10), metavar="1-10")
@click.option("--since", metavar="TIME", help="Last changed then or later: RFC 3339.")
@click.option("--limit", type=click.IntRange(1, 200), default=50, show_default=True, metavar="N")
@click.option("--after", metavar="CURSOR", help="Go on where a list ended.")
@options.target_options
@options.json_option
def list_(*, target: options.Target, as_json: bool, **filters: object) -> None:
    """List the items that you may read, the one that changed last first.

    \b
    Examples:
      diarchy knowledge list --category risk_management --priority-min 7
    """
    from contracts.curating import KnowledgeLines
    from deploy.client import pretty_json
    from deploy.progress import err
    from deploy.rendering import clean

    asked = {name: value for name, value in filters.items() if value is not None}
    found = _asked(target, lambda gateway: gateway.get("/v1/knowledge", KnowledgeLines, asked))
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


@knowledge.command()
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
@_field("Only what says exactly this. Repeatable.")
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
    from contracts.http import KnowledgeHits, SearchKnowledge
    from deploy.client import pretty_json
    from deploy.item_fields import typed
    from deploy.rendering import clean

    tags = filters["tags"]
    if isinstance(tags, str):
        filters["tags"] = [tag.strip() for tag in tags.split(",") if tag.strip()]
    given = {name: value for name, value in filters.items() if value}
    try:
        asked = msgspec.convert({"query": query, **given}, SearchKnowledge)
    except msgspec.ValidationError as error:
        raise click.UsageError(str(error)) from error
    if fields:
        asked = msgspec.structs.replace(asked, fields=typed(asked.partitions, fields))
    found = _asked(target, lambda gateway: gateway.post("/v1/knowledge/search", asked, KnowledgeHits))
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


@knowledge.command()
@click.argument("item")
@click.argument("level", type=click.Choice(options.LEVELS), metavar="LEVEL")
@click.option("--reason", required=True, metavar="TEXT", help="Recorded, for whoever may see the item then.")
@options.target_options
@options.json_option
def declassify(item: str, level: str, *, reason: str, target: options.Target, as_json: bool) -> None:
    """Lower an item to LEVEL: the one way to do that, for who may declassify.

    \b
    Examples:
      diarchy knowledge declassify 0199a3c4-6c1e-7b0a-9d55-0d0f6a1b2c3d public --reason announced
    """
    from contracts.domains import Clearance
    from contracts.http import Declassify, KnowledgeItem

    path = f"/v1/knowledge/{options.path_part(item)}/declassify"
    said = Declassify(confidentiality=Clearance(level), reason=reason)
    _told(_asked(target, lambda gateway: gateway.post(path, said, KnowledgeItem)), as_json=as_json)


@knowledge.command()
@click.argument("item")
@click.option("--yes", is_flag=True, help="Do not ask.")
@options.target_options
def delete(item: str, *, yes: bool, target: options.Target) -> None:
    """Delete an item; its versions are kept for who may change knowledge.

    \b
    Examples:
      diarchy knowledge delete 0199a3c4-6c1e-7b0a-9d55-0d0f6a1b2c3d --yes
    """
    from deploy.progress import err

    if not yes:
        click.confirm(f"Delete {item}?", abort=True, err=True)
    _asked(target, lambda gateway: gateway.send("DELETE", f"/v1/knowledge/{options.path_part(item)}"))
    err(f"{item} is deleted")


@knowledge.command()
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

    asked = {"domain": domain, "horizon": horizon}
    found = _asked(target, lambda gateway: gateway.get("/v1/knowledge/summary", StrategicSummary, asked))
    if as_json:
        click.echo(pretty_json(found))
        return
    click.echo(f"{domain}, {horizon} ({found.label.value}), of {found.items:,} items")
    for section in SECTIONS:
        click.echo(f"\n{section.replace('_', ' ').capitalize()}")
        for statement in getattr(found, section):
            click.echo(f"  {statement.strategic_priority:>2}  {clean(statement.text)}")
            click.echo(f"      {', '.join(statement.items)}, {statement.label.value}")


def _asked(target: options.Target, ask: "Callable[[Gateway], Awaitable[T]]") -> T:
    async def fetch() -> T:
        async with target.gateway() as gateway:
            return await ask(gateway)

    return asyncio.run(fetch())


def _read(file: Path) -> "FrontMatter":
    """Raises FailedError naming the file and the line."""
    from deploy.folder_import import read_text
    from deploy.front_matter import FrontMatterError, front_matter
    from deploy.progress import err

    try:
        said = front_matter(read_text(file))
    except InvalidError as error:
        line = f", line {error.line}" if isinstance(error, FrontMatterError) else ""
        raise options.FailedError(f"{file}{line}: {error}") from error
    if said.left_out:
        err(f"front matter left out: {', '.join(said.left_out)}")
    return said


def _changed(said: Knowledge, fields: dict[str, object]) -> Knowledge:
    """The item with what the options say. Raises InvalidError naming the field that is wrong."""
    from deploy.items import Defaults
    from deploy.items import knowledge as checked

    given = {name: value for name, value in fields.items() if value is not None}
    held = {
        name: value
        for name, value in msgspec.structs.asdict(said).items()
        if name not in given and name != "attachment" and value is not msgspec.UNSET
    }
    return msgspec.structs.replace(checked({**held, **given}, Defaults()), attachment=said.attachment)


def _told(shown: "KnowledgeItem | KnowledgeVersion", *, as_json: bool) -> None:
    from deploy.client import pretty_json
    from deploy.rendering import clean

    if as_json:
        click.echo(pretty_json(shown))
        return
    said = shown.knowledge
    facts: dict[str, object] = {
        "category": said.category,
        "confidentiality": said.confidentiality.value,
        "priority": said.strategic_priority,
        "partition": said.partition,
        "tags": ", ".join(said.tags),
        **(said.fields or {}),
        "source": said.source,
        "expires": said.expires.isoformat(" ", "seconds") if said.expires else "",
        "by": shown.by,
        **_place(shown),
    }
    click.echo(clean(said.title))
    for name, value in facts.items():
        if value != "":
            click.echo(f"  {name:<15} {clean(str(value))}")
    click.echo()
    click.echo("\n".join(map(clean, said.content.splitlines())))


def shown(hit: "KnowledgeHit") -> str:
    """The sentence that matches best, else the passage."""
    said = hit.highlights[0] if hit.highlights else hit.passage
    return " ".join((said.of(hit.knowledge.content) if said else hit.knowledge.content).split())


def _place(shown: Struct) -> dict[str, object]:
    if isinstance(shown, KnowledgeVersion):
        return {"version": shown.number, "since": shown.since.isoformat(" ", "seconds"), "label": shown.label.value}
    return {"id": getattr(shown, "id", "")}
