"""`diarchy publisher`: what a program outside needs to publish facts."""

import click

from deploy.commands import options

EXAMPLE = """\
import asyncio, json, nats

async def main():
    client = await nats.connect({url!r}, user={user!r}, password={password!r})
    fact = {{"type": "business_insight.v1", "title": "Renewals", "text": "Renewals rose by 4 %.", "origin": "crm"}}
    print(await client.jetstream().publish("sophia.pub.signal.renewals", json.dumps(fact).encode()))

asyncio.run(main())
"""


@click.command(short_help="What programs outside need to publish facts")
@options.data_option
@options.json_option
@click.option("--example", is_flag=True, help="Print a whole Python program that publishes one fact.")
def publisher(*, data: str | None, as_json: bool, example: bool) -> None:
    """Print where and as whom programs outside publish facts to the embedded broker, password included.

    What they may send stands in docs/contracts (AsyncAPI and JSON Schema; `diarchy contracts` writes them).

    \b
    Examples:
      diarchy publisher
      diarchy publisher --example > publish.py && python publish.py
    """
    from deploy.client import pretty_json
    from deploy.embedded.nats_server import PUBLISHER
    from deploy.stack import NotRunningError, up_command

    settings = options.stack_settings(data)
    password = settings.nats.publisher_password.reveal()
    if not settings.nats.url or not password:
        raise NotRunningError(
            f"no embedded broker runs in {settings.folder}; start it with `{up_command(settings)}`; another broker's "
            "users are its own administrator's"
        )
    access = {"url": settings.nats.servers[0], "user": PUBLISHER, "password": password}
    if example:
        click.echo(EXAMPLE.format(**access), nl=False)
    elif as_json:
        click.echo(pretty_json({**access, "subject": "DOMAIN.pub.signal.ID"}))
    else:
        for name, value in access.items():
            click.echo(f"{name:<9} {value}")
        click.echo("subject   DOMAIN.pub.signal.ID, such as sophia.pub.signal.renewals")
        click.echo(f"python    {_line(access)}")


def _line(access: dict[str, str]) -> str:
    return f"client = await nats.connect({access['url']!r}, user={access['user']!r}, password={access['password']!r})"
