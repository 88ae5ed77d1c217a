"""`diarchy agents`: who they are, whether they live, how well they do it."""

import click

from deploy.commands import options
from deploy.commands.knowledge_finding import asked


@click.command(short_help="The agents and their health")
@options.target_options
@options.json_option
def agents(*, target: options.Target, as_json: bool) -> None:
    """List the agents with a health score from 0 to 100, and what they did in the last 24 hours.

    The score weighs how much succeeded, how fast it was answered and how much waits, by how lately the agent was heard.

    \b
    Examples:
      diarchy agents
      diarchy agents --json | jq '.agents[] | select(.health.score < 80)'
    """
    from rich.text import Text

    from contracts.agents import Agents
    from deploy.client import pretty_json
    from deploy.progress import show
    from deploy.rendering import clean, table

    found = asked(target, lambda gateway: gateway.get("/v1/agents", Agents))
    if as_json:
        click.echo(pretty_json(found))
        return
    shown = table(None)
    for heading in ("Agent", "State", "Health", "Answered", "Failed", "Waiting", "p95"):
        shown.add_column(heading, overflow="fold")
    for one in found.agents:
        work = one.work
        p95 = "" if work.p95_s is None else f"{work.p95_s:.1f} s"
        row = (one.profile.id, one.state, one.health.score, work.answered, work.failed, work.waiting, p95)
        shown.add_row(*(Text(clean(str(cell))) for cell in row))
    show(shown)
