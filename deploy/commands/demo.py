"""`diarchy demo`: everything, once, on a made-up company."""

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deploy.commands import options

if TYPE_CHECKING:
    from deploy.demo.flow import Shown, Wanted
    from deploy.settings import Settings


@click.command(short_help="The whole thing, once, on a made-up company")
@click.option(
    "--data", type=click.Path(file_okay=False), metavar="DIR", help="Keep the data here.  [default: a temporary one]"
)
@click.option("--stay", is_flag=True, help="Keep serving afterwards, until Ctrl-C.")
@click.option("--question", default="", metavar="TEXT", help="Ask this instead of the company's own question.")
@click.option("--no-source", is_flag=True, help="Leave out Diarchy's own source tree.")
def demo(*, data: str | None, stay: bool, question: str, no_source: bool) -> None:
    """Start the whole stack, import a made-up company and Diarchy's own source, ask a question, show how it was answered.

    Prints the answer with evidence and confidence, the run as a tree of events, and its trace as a waterfall. Needs no network
    and no model; leaves nothing behind unless told to.

    \b
    Examples:
      diarchy demo
      diarchy demo --stay
      diarchy demo --question "What would a price rise cost us?"
    """
    from deploy.demo.flow import Wanted, embedded
    from deploy.progress import err
    from deploy.stack import prepared

    scratch = Path(tempfile.mkdtemp(prefix="diarchy-demo-"))
    folder = Path(data) if data else scratch / "data"
    try:
        settings = prepared(embedded(options.settings(str(folder))), port=0)
        wanted = Wanted(question=question.strip(), with_source=not no_source, scratch=scratch)
        finished, interrupted = asyncio.run(_demo(settings, wanted, stay=stay))
    except BaseException:
        if not data and (folder / "logs").exists():
            err(f"the logs are kept in {folder / 'logs'}")
            for kept in (scratch / "diarchy", *(entry for entry in folder.iterdir() if entry.name != "logs")):
                shutil.rmtree(kept, ignore_errors=True) if kept.is_dir() else kept.unlink(missing_ok=True)
        else:
            shutil.rmtree(scratch, ignore_errors=True)
        raise
    shutil.rmtree(scratch, ignore_errors=True)
    if finished is None or (interrupted and not stay):
        raise click.exceptions.Exit(options.INTERRUPTED)
    if not finished.whole:
        raise options.FailedError("the trace did not become whole (one root, no orphans) in time")


async def _demo(settings: "Settings", wanted: "Wanted", *, stay: bool) -> "tuple[Shown | None, bool]":
    """What was shown (None: interrupted before), and whether it was interrupted."""
    from deploy.demo.flow import demonstrated
    from deploy.stack import until_interrupted

    finished: Shown | None = None

    async def work() -> None:
        nonlocal finished
        async with demonstrated(settings, wanted) as (running, shown):
            _print(shown)
            finished = shown
            if stay:
                _invite(running)
                await asyncio.Event().wait()

    interrupted = await until_interrupted(work)
    return finished, interrupted


def _print(shown: "Shown") -> None:
    from rich.rule import Rule
    from rich.text import Text

    from deploy.demo.flow import count_line
    from deploy.progress import show, width
    from deploy.rendering import answer, run_tree
    from runtime.waterfall import waterfall

    show(Rule("Question", align="left"), Text(shown.question), Text())
    show(Rule("Answer", align="left"), answer(shown.turn), Text())
    show(Rule("Run", align="left"), run_tree(shown.events), Text())
    show(Rule("Trace", align="left"))
    click.echo(waterfall(shown.spans, width=width()))
    click.echo()
    click.echo(count_line(shown))


def _invite(settings: "Settings") -> None:
    """How to go on with the running demo."""
    from deploy.client import LocalKey, operator
    from deploy.stack import announce

    click.echo()
    for line in announce(settings):
        click.echo(line)
    click.echo(f"  token          {LocalKey(settings.jwt_key).token(operator(settings))}")
