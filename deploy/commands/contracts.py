"""`diarchy contracts`: the documents for programs outside."""

from pathlib import Path

import click

from deploy.commands import options


@click.command(short_help="Write the documents for outside publishers")
@click.option("--check", is_flag=True, help="Write nothing; exit 1 naming the files that are not current.")
def contracts(*, check: bool) -> None:
    """Write the AsyncAPI document and JSON Schemas that outside publishers need, into docs/contracts.

    Works in a checkout of Diarchy.

    \b
    Examples:
      diarchy contracts
      diarchy contracts --check
    """
    from deploy.contracts_export import FOLDER, stale, write

    root = Path.cwd()
    if not (root / "docs").is_dir() or not (root / "contracts").is_dir():
        raise click.UsageError("there is no docs folder here; change to the root of a checkout of Diarchy")
    if check:
        paths = stale(root)
        for path in paths:
            click.echo(f"{path.relative_to(root)} is not current", err=True)
        if paths:
            raise options.FailedError("run `diarchy contracts` and commit what it writes")
        click.echo(f"{FOLDER} is current", err=True)
        return
    for path in write(root):
        click.echo(str(path.relative_to(root)))
    click.echo(f"{FOLDER} is current", err=True)
