"""`diarchy runs`: what happened under one correlation id."""

import asyncio

import click

from deploy.commands import options


@click.command(short_help="What one request caused, as a tree of events")
@click.argument("correlation")
@options.target_options
@options.json_option
def runs(correlation: str, *, target: options.Target, as_json: bool) -> None:
    """Show what one request caused, in every domain, as a tree of events and effects.

    CORRELATION is the id that an answer, an error or `diarchy events` names.

    \b
    Examples:
      diarchy runs 0199a3c4-6c1e-7b0a-9d55-0d0f6a1b2c3d
      diarchy runs 0199a3c4-6c1e-7b0a-9d55-0d0f6a1b2c3d --json | jq '.events[].type'
    """
    from contracts.http import Run
    from deploy.client import pretty_json
    from deploy.progress import show
    from deploy.rendering import run_tree

    async def fetch() -> Run:
        async with target.gateway() as gateway:
            return await gateway.get(f"/v1/runs/{options.path_part(correlation)}", Run)

    run = asyncio.run(fetch())
    if as_json:
        click.echo(pretty_json(run))
    else:
        show(run_tree(run.events))
