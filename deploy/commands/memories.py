"""`diarchy memories`: what the agents remember of you."""

from typing import TYPE_CHECKING, get_args

import click
import msgspec

from contracts.memory import AgentName, MemoryKind
from deploy.commands import options
from deploy.commands.knowledge_finding import SHOWN_CHARS_MAX, asked
from runtime.text import clip

if TYPE_CHECKING:
    from contracts.memory import Memories

AGENT = click.Choice(get_args(AgentName))


@click.group(short_help="What the agents remember of you")
def memories() -> None:
    """See what Sophia and Artemis remember of you, teach them something, have them forget it.

    Three kinds: semantic (what is so), episodic (what you were answered), procedural (how something was done).
    Nobody else sees or changes yours.
    """


@memories.command("list")
@click.option("--agent", type=AGENT)
@click.option("--kind", type=click.Choice(get_args(MemoryKind)))
@click.option("--limit", type=click.IntRange(1, 200), default=50, show_default=True, metavar="N")
@click.option("--after", metavar="CURSOR", help="Go on where a list ended.")
@options.target_options
@options.json_option
def list_memories(*, target: options.Target, as_json: bool, **filters: object) -> None:
    """List them, the newest first.

    \b
    Examples:
      diarchy memories list --agent sophia --kind semantic
    """
    from contracts.memory import Memories
    from deploy.progress import err

    wanted = {name: value for name, value in filters.items() if value is not None}
    found = asked(target, lambda gateway: gateway.get("/v1/memories", Memories, wanted))
    _show(found, as_json=as_json)
    if found.next and not as_json:
        err(f"there are more: --after {found.next}")


@memories.command()
@click.argument("query")
@click.option("--agent", type=AGENT, default="sophia", show_default=True)
@click.option("--kind", type=click.Choice(get_args(MemoryKind)))
@click.option("--limit", type=click.IntRange(1, 50), default=10, show_default=True, metavar="N")
@options.target_options
@options.json_option
def search(*, target: options.Target, as_json: bool, **wanted: object) -> None:
    """Show what an agent remembers that is nearest to QUERY.

    \b
    Examples:
      diarchy memories search "when does our year begin"
    """
    from contracts.memory import Memories, SearchMemories

    given = {name: value for name, value in wanted.items() if value is not None}
    body = msgspec.convert(given, SearchMemories)
    _show(asked(target, lambda gateway: gateway.post("/v1/memories/search", body, Memories)), as_json=as_json)


@memories.command()
@click.argument("title")
@click.argument("text")
@click.option("--agent", type=AGENT, default="sophia", show_default=True)
@click.option("--kind", type=click.Choice(["semantic", "procedural"]), default="semantic", show_default=True)
@click.option("--confidentiality", type=click.Choice(options.LEVELS), metavar="LEVEL", help="[default: your clearance]")
@options.target_options
@options.json_option
def teach(*, target: options.Target, as_json: bool, **said: object) -> None:
    """Have an agent keep TEXT in mind for you.

    \b
    Examples:
      diarchy memories teach "Fiscal year" "Our fiscal year begins in July."
    """
    from contracts.memory import Memories, MemoryView, TeachMemory

    try:
        body = msgspec.convert({name: value for name, value in said.items() if value is not None}, TeachMemory)
    except msgspec.ValidationError as error:
        raise options.refused(error) from error
    kept = asked(target, lambda gateway: gateway.post("/v1/memories", body, MemoryView))
    _show(Memories(memories=(kept,)), as_json=as_json)


@memories.command()
@click.argument("memory")
@click.option("--agent", type=AGENT, default="sophia", show_default=True)
@options.target_options
def forget(*, memory: str, agent: str, target: options.Target) -> None:
    """Have an agent forget one of them; `diarchy memories list` shows their ids.

    \b
    Examples:
      diarchy memories forget 0199f0a0-0000-7000-8000-000000000000
    """
    path = f"/v1/memories/{agent}/{options.path_part(memory)}"
    asked(target, lambda gateway: gateway.send("DELETE", path))


def _show(found: "Memories", *, as_json: bool) -> None:
    from deploy.client import pretty_json
    from deploy.rendering import clean

    if as_json:
        click.echo(pretty_json(found))
        return
    for one in found.memories:
        click.echo(clean(f"{one.kind}  {one.title}"))
        click.echo(f"    {clean(clip(' '.join(one.text.split()), SHOWN_CHARS_MAX))}")
        facts = [one.id, one.agent.value, one.label.value, one.updated.isoformat(" ", "seconds")]
        if one.expires is not None:
            facts.append(f"until {one.expires.isoformat(' ', 'seconds')}")
        click.echo(f"    {clean(', '.join(facts))}")
    if not found.memories:
        click.echo("nothing")
