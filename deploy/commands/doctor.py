"""`diarchy doctor`: what is configured, reachable, missing, and the remedy."""

import asyncio

import click

from deploy.commands import options

MARKS = {"ok": "✓", "note": "·", "bad": "✗"}
STYLES = {"ok": "green", "note": "yellow", "bad": "red"}


@click.command(short_help="What is configured, reachable, missing, and the remedy")
@options.data_option
@options.json_option
def doctor(*, data: str | None, as_json: bool) -> None:
    """Look at everything Diarchy needs, running or not, and say what to do about what is not well.

    Exit status 1 when something needed is not there.

    \b
    Examples:
      diarchy doctor
      diarchy doctor --json | jq '.[] | select(.state == "bad")'
    """
    from rich.text import Text

    from deploy.client import pretty_json
    from deploy.doctor import Subject, examine
    from deploy.embedded.supervisor import holder
    from deploy.progress import show
    from deploy.rendering import clean, table

    settings = options.stack_settings(data)
    checks = asyncio.run(examine(Subject(settings, holder(settings.folder))))
    if as_json:
        click.echo(pretty_json(checks))
    else:
        shown = table(None)
        shown.show_header = False
        shown.add_column(no_wrap=True)
        shown.add_column(no_wrap=True)
        shown.add_column(ratio=1, overflow="fold")
        for check in checks:
            detail = Text(clean(check.detail))
            if check.remedy:
                detail.append(f"\n→ {check.remedy}", style="bold")
            shown.add_row(Text(MARKS[check.state], style=STYLES[check.state]), check.name, detail)
        show(shown)
    bad = sum(check.state == "bad" for check in checks)
    if bad:
        raise options.FailedError(f"{bad} {'thing needs' if bad == 1 else 'things need'} your attention")
