"""`diarchy cancel`: end what is under way of one request."""

import asyncio

import click

from deploy.commands import options


@click.command(short_help="End what is under way of one request")
@click.argument("correlation")
@click.option("--reason", metavar="TEXT", help="Told to whoever asked.  [default: by whom]")
@options.target_options
@options.json_option
def cancel(correlation: str, *, reason: str | None, target: options.Target, as_json: bool) -> None:
    """End what is under way of one request, in every domain; it fails with the reason. What has ended stays as it is.

    CORRELATION is the id that an answer, an error or `diarchy events` names.

    \b
    Examples:
      diarchy cancel 0199a3c4-6c1e-7b0a-9d55-0d0f6a1b2c3d
      diarchy cancel 0199a3c4-6c1e-7b0a-9d55-0d0f6a1b2c3d --reason "asked the wrong question"
    """
    from contracts.http import CancelRun, Pending
    from deploy.client import pretty_json

    async def send() -> Pending:
        async with target.gateway() as gateway:
            path = f"/v1/runs/{options.path_part(correlation)}/cancel"
            return await gateway.post(path, CancelRun(reason=reason), Pending)

    pending = asyncio.run(send())
    if as_json:
        click.echo(pretty_json(pending))
    else:
        click.echo(f"it is being ended; how is shown by: diarchy runs {pending.correlation_id}{target.words}")
