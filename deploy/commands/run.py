"""`diarchy run`: role processes against configured servers."""

import click

from deploy.commands import options


@click.command(short_help="Run roles against configured servers")
@click.argument("roles", metavar="ROLE...", nargs=-1, required=True)
def run(roles: tuple[str, ...]) -> None:
    """Run one or more roles in this process, until Ctrl-C or SIGTERM.

    Roles: gateway, sophia, artemis, ceo, embedding, projector, system. Servers come from the settings; `diarchy up` starts
    everything by itself.

    \b
    Examples:
      DIARCHY_NATS_URL=nats://broker:4222 DIARCHY_POSTGRES_DSN=postgresql://db/diarchy \\
          diarchy run projector system
      diarchy --config diarchy.toml run sophia artemis ceo
    """
    from deploy.embedded.supervisor import ROLES

    unknown = [role for role in roles if role not in ROLES]
    if unknown:
        raise click.UsageError(f"there is no role {unknown[0]}; there are {', '.join(sorted(ROLES))}")
    settings = options.settings()
    for key, value in (("nats.url", settings.nats.url), ("postgres.dsn", settings.postgres.dsn)):
        if not value:
            name = "DIARCHY_" + key.replace(".", "_").upper()
            raise click.UsageError(f"{key} is not set: set {name} or name a file with --config, or use `diarchy up`")
    from deploy import roles as wiring

    wiring.run(roles, settings)
