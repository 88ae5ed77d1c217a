"""`diarchy collaborations`: ask a domain for one of its request types, and see what was asked."""

from typing import TYPE_CHECKING, get_args

import click
import msgspec

from contracts.collaborating import AnsweringDomain, State
from deploy.commands import options
from deploy.commands.knowledge_finding import asked

if TYPE_CHECKING:
    from contracts.collaborating import CollaborationView
    from contracts.http import Pending
    from deploy.client import Gateway

DOMAIN = click.Choice(get_args(AnsweringDomain))
STATES = ("pending", "partial", "completed", "failed", "refused", "unknown_request_type", "expired")
assert set(STATES) == {name for part in get_args(State) for name in get_args(part)}  # noqa: S101 - said in the help's order


@click.group(short_help="Ask a domain for one of its request types")
def collaborations() -> None:
    """Ask a domain directly for what it answers other domains, and see what was asked so far.

    What a domain is asked for has a type: `types` lists them, with the context that each takes.
    """


@collaborations.command()
@options.target_options
@options.json_option
def types(*, target: options.Target, as_json: bool) -> None:
    """List what each domain may be asked for.

    \b
    Examples:
      diarchy collaborations types
      diarchy collaborations types --json | jq '.types[] | {name, context}'
    """
    from contracts.collaborating import RequestTypes
    from deploy.client import pretty_json

    found = asked(target, lambda gateway: gateway.get("/v1/collaborations/types", RequestTypes))
    if as_json:
        click.echo(pretty_json(found))
        return
    for one in found.types:
        click.echo(f"{one.domain.value:8} {one.name:32} {one.description}")


@collaborations.command()
@click.argument("domain", type=DOMAIN)
@click.argument("request_type", metavar="TYPE")
@click.argument("question")
@click.option("--context", multiple=True, metavar="NAME=TEXT", help="What the request is about; may be repeated.")
@click.option("--ceo-context", is_flag=True, help="Take the CEO's strategic context in.")
@click.option("--priority", type=click.IntRange(1, 5), default=3, show_default=True, help="5 is most urgent.")
@click.option(
    "--deadline", type=click.DateTime(["%Y-%m-%dT%H:%M:%S%z"]), metavar="TIME", help="As 2027-01-31T12:00:00+00:00."
)
@click.option("--confidentiality", type=click.Choice(options.LEVELS), metavar="LEVEL", help="[default: your clearance]")
@options.target_options
@options.json_option
def ask(*, context: tuple[str, ...], ceo_context: bool, target: options.Target, as_json: bool, **said: object) -> None:
    """Ask DOMAIN for a request of TYPE about QUESTION. However it ends, the outcome is shown.

    \b
    Examples:
      diarchy collaborations ask artemis technical_feasibility_analysis "Can we build a portal?"
      diarchy collaborations ask sophia client_analysis "Who may leave?" --context segment=retail
    """
    from contracts.collaborating import AskDomain

    named = dict(one.partition("=")[::2] for one in context)
    given = {name: value for name, value in said.items() if value is not None}
    try:
        body = msgspec.convert({**given, "context": named, "needs_ceo_context": ceo_context}, AskDomain)
    except msgspec.ValidationError as error:
        raise options.refused(error) from error
    _show(asked(target, lambda gateway: _asked(gateway, body)), as_json=as_json)


async def _asked(gateway: "Gateway", body: msgspec.Struct) -> "CollaborationView | Pending":
    from contracts.collaborating import CollaborationView
    from contracts.http import Pending

    headers = {"Content-Type": "application/json"}
    reply = await gateway.send("POST", "/v1/collaborations", content=msgspec.json.encode(body), headers=headers)
    if reply.status == 202:
        return msgspec.json.decode(reply.body, type=Pending)
    return msgspec.json.decode(reply.body, type=CollaborationView)


@collaborations.command("list")
@click.option("--domain", type=DOMAIN, help="Which domain answers.")
@click.option("--status", type=click.Choice(STATES))
@click.option("--type", "type", metavar="TYPE")
@click.option("--limit", type=click.IntRange(1, 200), default=50, show_default=True, metavar="N")
@click.option("--after", metavar="CURSOR", help="Go on where a list ended.")
@options.target_options
@options.json_option
def list_collaborations(*, target: options.Target, as_json: bool, **filters: object) -> None:
    """List what you, and domains for you, have asked for, the newest first.

    \b
    Examples:
      diarchy collaborations list --domain artemis --status pending
    """
    from contracts.collaborating import Collaborations
    from deploy.client import pretty_json
    from deploy.progress import err

    wanted = {name: value for name, value in filters.items() if value is not None}
    found = asked(target, lambda gateway: gateway.get("/v1/collaborations", Collaborations, wanted))
    if as_json:
        click.echo(pretty_json(found))
        return
    for one in found.collaborations:
        click.echo(f"{one.id}  {one.requested:%Y-%m-%d %H:%M}  {one.domain.value:8} {one.request_type:32} {one.status}")
    if found.next:
        err(f"there are more: --after {found.next}")


@collaborations.command()
@click.argument("collaboration")
@options.target_options
@options.json_option
def show(*, collaboration: str, target: options.Target, as_json: bool) -> None:
    """Show one with its outcome; `diarchy collaborations list` shows their ids.

    \b
    Examples:
      diarchy collaborations show artemis-0199f0a0000070008000000000000000
    """
    from contracts.collaborating import CollaborationView

    path = f"/v1/collaborations/{options.path_part(collaboration)}"
    _show(asked(target, lambda gateway: gateway.get(path, CollaborationView)), as_json=as_json)


def _show(found: "CollaborationView | Pending", *, as_json: bool) -> None:
    from contracts.http import Pending
    from deploy.client import pretty_json
    from deploy.rendering import clean

    if as_json:
        click.echo(pretty_json(found))
        return
    if isinstance(found, Pending):
        click.echo(f"accepted, no outcome yet; it will be at {found.status_url}")
        return
    click.echo(f"{found.domain.value} · {found.request_type} · {found.status} · {found.label.value}")
    for line in filter(None, (found.reason, *(f"without {one.domain.value}: {one.why}" for one in found.missing))):
        click.echo(clean(line))
    for name, text in found.sections.items():
        click.echo(f"\n{name.replace('_', ' ').capitalize()}\n{clean(text)}")
    click.echo(f"\nconfidence {found.confidence:.2f} · {len(found.evidence)} pieces of evidence · {found.id}")
