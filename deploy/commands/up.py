"""`diarchy up`: the whole stack on this machine."""

import asyncio

import click

from deploy.commands import options


@click.command(short_help="Serve on this machine until Ctrl-C")
@options.data_option
@click.option(
    "--port", type=click.IntRange(0, 65_535), metavar="PORT", help="Of the gateway; 0: a free one.  [default: 8420]"
)
def up(data: str | None, port: int | None) -> None:
    """Serve on this machine until Ctrl-C: broker, database, vector search and every role, each its own process.

    All data is in one folder; the next `up` on it goes on where this one stopped. Ctrl-C is its
    orderly end: exit status 0.

    \b
    Examples:
      diarchy up
      diarchy up --data /srv/diarchy --port 8080
    """
    from deploy.progress import Starting, err
    from deploy.stack import PARTS, announce, prepared, started, until_interrupted, up_command

    settings = prepared(options.settings(data), port)

    serving = False

    async def serve() -> None:
        nonlocal serving
        with Starting(PARTS) as starting:
            async with started(settings, starting) as supervisor:
                starting.done()
                serving = True
                for line in announce(supervisor.settings):
                    click.echo(line)
                await supervisor.failed()

    interrupted = asyncio.run(until_interrupted(serve))
    if interrupted and not serving:
        raise click.exceptions.Exit(options.INTERRUPTED)
    err(f"stopped; `{up_command(settings)}` goes on")
