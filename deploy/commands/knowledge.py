"""`diarchy knowledge`: single items of the knowledge base and their versions; with the commands that find them."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, get_args

import click
import msgspec
from msgspec import Struct

from contracts.curating import KnowledgeVersion, KnowledgeVersions
from contracts.domains import ItemPartition
from contracts.knowledge import Category, Knowledge
from deploy.commands import options
from deploy.commands.knowledge_finding import asked, field_option, list_items, search, summary
from runtime.errors import InvalidError

if TYPE_CHECKING:
    from contracts.curating import KnowledgeItem
    from deploy.client import Gateway
    from deploy.front_matter import FrontMatter

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., object])


@click.group(short_help="Search the knowledge base; its items, their versions, the strategic summary")
def knowledge() -> None:
    """Search; add, show, change, declassify and delete single items. `diarchy import` takes folders."""


for _command in (list_items, search, summary):
    knowledge.add_command(_command)


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
        field_option(
            "What items of its partition say besides, instead of what there is; repeatable. NAME= for nothing."
        ),
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
    from contracts.curating import KnowledgeItem
    from deploy.items import Defaults, text_items

    said = _read(file)
    items = text_items(file.name, said.body, said.fields, Defaults())
    if len(items) > 1:
        raise click.UsageError(f"{file} is too long for one item; `diarchy import {file}` makes several of it")
    added = _changed(items[0].knowledge, fields)
    made = asked(target, lambda gateway: gateway.post("/v1/knowledge", added, KnowledgeItem))
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
    from contracts.curating import KnowledgeItem

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

    _told(asked(target, change), as_json=as_json)


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
    from contracts.curating import KnowledgeItem

    path = f"/v1/knowledge/{options.path_part(item)}"
    if number is None:
        _told(asked(target, lambda gateway: gateway.get(path, KnowledgeItem)), as_json=as_json)
    else:
        _told(
            asked(target, lambda gateway: gateway.get(f"{path}/versions/{number}", KnowledgeVersion)), as_json=as_json
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
    wanted = {"limit": limit, "before": before}
    found = asked(target, lambda gateway: gateway.get(path, KnowledgeVersions, wanted))
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
    from contracts.curating import Declassify, KnowledgeItem
    from contracts.domains import Clearance

    path = f"/v1/knowledge/{options.path_part(item)}/declassify"
    said = Declassify(confidentiality=Clearance(level), reason=reason)
    _told(asked(target, lambda gateway: gateway.post(path, said, KnowledgeItem)), as_json=as_json)


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
    asked(target, lambda gateway: gateway.send("DELETE", f"/v1/knowledge/{options.path_part(item)}"))
    err(f"{item} is deleted")


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


def _place(shown: Struct) -> dict[str, object]:
    if isinstance(shown, KnowledgeVersion):
        return {"version": shown.number, "since": shown.since.isoformat(" ", "seconds"), "label": shown.label.value}
    return {"id": getattr(shown, "id", "")}
