"""`diarchy cluster`: a broker of three nodes on this machine."""

import asyncio
from pathlib import Path
from shlex import quote

import click


@click.command(short_help="Run a broker of three nodes on this machine")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default="diarchy-cluster",
    show_default=True,
    metavar="DIR",
    help="Folder of its data.",
)
def cluster(data: Path) -> None:
    """Run three nodes of the broker on this machine until Ctrl-C, each its own process; one that dies is started again.

    It writes the settings that lead to it, password included, into a file for its owner only. Roles that run with these keep
    every stream on all three nodes, and go on while any one of them is away.

    \b
    Examples:
      diarchy cluster --data ./three
      DIARCHY_POSTGRES_DSN=postgresql://db/diarchy diarchy --config ./three/cluster.toml run sophia
    """
    from deploy.embedded.child import StartError
    from deploy.embedded.nats_cluster import NatsCluster
    from deploy.progress import err
    from deploy.stack import until_interrupted

    folder = data.resolve()

    async def serve() -> None:
        nodes = NatsCluster(folder, on_state=lambda name, state, detail: err(f"{name} {state} {detail}".strip()))
        await nodes.start()
        try:
            click.echo(f"Three nodes serve on {', '.join(nodes.urls)}")
            click.echo(f"  roles  diarchy --config {quote(str(data / nodes.settings.name))} run ROLE…")
            click.echo("Ctrl-C stops them.")
            await nodes.failed()
        finally:
            await asyncio.shield(nodes.stop())

    try:
        asyncio.run(until_interrupted(serve))
    except OSError as error:
        raise StartError(f"{data} cannot be the data folder ({error.strerror}); choose one with --data") from error
    err("stopped")
