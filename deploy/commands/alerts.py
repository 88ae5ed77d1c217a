"""`diarchy alerts`: what somebody has to look at."""

from typing import TYPE_CHECKING, get_args

import click

from contracts.alerts import AlertState
from contracts.knowledge import Category
from deploy.commands import options
from deploy.commands.knowledge_finding import asked

if TYPE_CHECKING:
    from contracts.alerts import Alert


@click.group(short_help="Strategic alerts")
def alerts() -> None:
    """See the strategic alerts, acknowledge and resolve them.

    What nobody acknowledges in time rises by one, three times; from priority 8 it needs executive attention.
    """


@alerts.command("list")
@click.option("--state", type=click.Choice(get_args(AlertState)))
@click.option("--category", type=click.Choice(get_args(Category)), metavar="NAME")
@click.option("--executive/--not-executive", default=None, help="Only those that need executive attention, or do not.")
@click.option("--priority-min", type=click.IntRange(1, 10), metavar="1-10")
@click.option("--limit", type=click.IntRange(1, 200), default=50, show_default=True, metavar="N")
@click.option("--after", metavar="CURSOR", help="Go on where a list ended.")
@options.target_options
@options.json_option
def list_alerts(*, target: options.Target, as_json: bool, **filters: object) -> None:
    """List the alerts that you may read, the newest first.

    \b
    Examples:
      diarchy alerts list --state open --executive
    """
    from contracts.alerts import Alerts
    from deploy.client import pretty_json
    from deploy.progress import err

    wanted = {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in filters.items()
        if value is not None
    }
    found = asked(target, lambda gateway: gateway.get("/v1/alerts", Alerts, wanted))
    if as_json:
        click.echo(pretty_json(found))
        return
    for one in found.alerts:
        _line(one)
    if not found.alerts:
        click.echo("nothing")
    if found.next:
        err(f"there are more: --after {found.next}")


@alerts.command()
@click.argument("alert")
@options.target_options
@options.json_option
def show(*, alert: str, target: options.Target, as_json: bool) -> None:
    """Show one alert, and who acknowledged or resolved it.

    \b
    Examples:
      diarchy alerts show churn-2027-internal
    """
    from contracts.alerts import Alert

    found = asked(target, lambda gateway: gateway.get(f"/v1/alerts/{options.path_part(alert)}", Alert))
    _show(found, as_json=as_json)


@alerts.command()
@click.argument("alert")
@click.option("--note", default="", metavar="TEXT", help="What there is to say about it.")
@options.target_options
@options.json_option
def acknowledge(*, alert: str, note: str, target: options.Target, as_json: bool) -> None:
    """Say that you look at it: it rises no more.

    \b
    Examples:
      diarchy alerts acknowledge churn-2027-internal --note "I call them today"
    """
    _say("acknowledge", alert, note, target, as_json=as_json)


@alerts.command()
@click.argument("alert")
@click.option("--note", default="", metavar="TEXT", help="What there is to say about it.")
@options.target_options
@options.json_option
def resolve(*, alert: str, note: str, target: options.Target, as_json: bool) -> None:
    """Say that it is dealt with; raised again it is open again.

    \b
    Examples:
      diarchy alerts resolve churn-2027-internal --note "They renewed"
    """
    _say("resolve", alert, note, target, as_json=as_json)


def _say(what: str, alert: str, note: str, target: options.Target, *, as_json: bool) -> None:
    from contracts.alerts import Alert, AlertNote

    path = f"/v1/alerts/{options.path_part(alert)}/{what}"
    _show(asked(target, lambda gateway: gateway.post(path, AlertNote(note=note), Alert)), as_json=as_json)


def _show(one: "Alert", *, as_json: bool) -> None:
    from deploy.client import pretty_json
    from deploy.rendering import clean

    if as_json:
        click.echo(pretty_json(one))
        return
    _line(one)
    click.echo(f"    {clean(' '.join(one.text.split()))}")
    for what, handled in (("acknowledged", one.acknowledged), ("resolved", one.resolved)):
        if handled is not None:
            at, note = handled.at.isoformat(" ", "seconds"), f": {handled.note}" if handled.note else ""
            click.echo(f"    {clean(f'{what} by {handled.by} at {at}{note}')}")


def _line(one: "Alert") -> None:
    from deploy.rendering import clean

    executive = ", executive attention" if one.executive_attention else ""
    click.echo(f"{one.alert_priority:>2}  {clean(one.title)}")
    facts = (one.id, f"{one.state}{executive}", one.category or "no category", one.label.value, one.origin)
    click.echo(f"    {clean(', '.join(facts))}, raised {one.raised.isoformat(' ', 'seconds')}")
