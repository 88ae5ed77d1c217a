"""`diarchy trace`: where the time of one request went."""

import asyncio

import click

from deploy.commands import options


@click.command(short_help="Where the time of one request went")
@click.argument("correlation")
@options.target_options
@options.json_option
def trace(correlation: str, *, target: options.Target, as_json: bool) -> None:
    """Show the spans of one request as a waterfall, from the gateway to the read models.

    CORRELATION is the id that an answer, an error or `diarchy events` names. Spans arrive a moment after the work.

    \b
    Examples:
      diarchy trace 0199a3c4-6c1e-7b0a-9d55-0d0f6a1b2c3d
      diarchy trace 0199a3c4-6c1e-7b0a-9d55-0d0f6a1b2c3d --json
    """
    from contracts.http import Trace
    from deploy.client import pretty_json
    from deploy.progress import width
    from runtime.waterfall import waterfall

    async def fetch() -> Trace:
        async with target.gateway() as gateway:
            return await gateway.get(f"/v1/traces/{options.path_part(correlation)}", Trace)

    found = asyncio.run(fetch())
    if as_json:
        click.echo(pretty_json(found))
    else:
        click.echo(waterfall(found.spans, width=width()))
