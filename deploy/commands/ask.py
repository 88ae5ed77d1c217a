"""`diarchy ask`: a question, its progress, its answer."""

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec
from msgspec import Struct

from deploy.commands import options

if TYPE_CHECKING:
    from contracts.http import AskQuestion, EventView, Pending, Turn
    from deploy.asking import Asking, OnPending
    from deploy.client import Gateway, OnWait
    from deploy.progress import Steps

GOING_ON_S_MAX = 3.0  # after Ctrl-C, to find out what becomes of the question


class _Options(Struct, frozen=True):
    domain: str
    session: str | None
    team: str | None
    source: str | None
    repository: str | None
    confidentiality: str | None
    wait: int | None
    stream: bool
    budget_tokens: int | None
    budget_cost: float | None
    ceo_context: bool
    approval: str | None
    quorum: int | None
    approver: tuple[str, ...]
    expires: int | None


@click.command(short_help="Ask Sophia or Artemis a question")
@click.argument("question")
@click.option(
    "--domain", type=click.Choice(["sophia", "artemis"]), default="sophia", show_default=True, help="Whom to ask."
)
@click.option("--session", metavar="ID", help="Go on in this session; its domain answers.")
@click.option("--team", metavar="TEAM", help="This team of the domain.  [default: the router decides]")
@click.option(
    "--source",
    type=click.Path(exists=True),
    metavar="PATH",
    help="What to analyse, and nothing stored instead: a source tree (folder or archive) or profile, for Sophia a table.",
)
@click.option(
    "--repository",
    metavar="PATH|URL",
    help="A source tree to analyse as it is now, as the operator allows: a folder on the machine of Artemis's worker, or a git"
    " repository's https address, with #BRANCH where one is meant.",
)
@click.option(
    "--confidentiality",
    type=click.Choice(options.LEVELS),
    metavar="LEVEL",
    help="Of the question.  [default: your clearance]",
)
@click.option(
    "--ceo-context", is_flag=True, help="Answer with the company's strategy in view, with sections of its own."
)
@click.option("--wait", type=click.IntRange(min=0), metavar="SECONDS", help="Stop waiting then; the question goes on.")
@click.option("--stream/--no-stream", default=True, show_default=True, help="Show progress as it happens.")
@click.option(
    "--budget-tokens",
    type=click.IntRange(min=1),
    metavar="TOKENS",
    help="What the run may spend on models, read and written.  [default: the operator's]",
)
@click.option(
    "--budget-cost",
    type=click.FloatRange(min=0, min_open=True),
    metavar="AMOUNT",
    help="The same in the currency of the models' prices.",
)
@options.approval_options
@options.target_options
@options.json_option
def ask(question: str, *, target: options.Target, as_json: bool, **given: object) -> None:
    """Ask Sophia (business) or Artemis (technology) a question. QUESTION `-` is read from stdin.

    Progress goes to stderr, the answer with its evidence and confidence to stdout. Where another domain is away the answer is
    shown without its part first, and again when it is complete; --no-stream ends with what there is.

    \b
    Examples:
      diarchy ask "Which customers are at risk, and what would keep them?"
      diarchy ask --session sophia-0199… "And the second largest?"
      diarchy ask --ceo-context "Shall we open a shop in Zurich?"
      diarchy ask --source customers.csv "Who leaves us, and why?"
      diarchy ask --domain artemis --source ./src "Where is this code hard to change?"
      diarchy ask --domain artemis --repository /srv/code/till "Which files come first?"
      diarchy ask --domain artemis --repository https://git.example/till#main "Which files…?"
      diarchy ask --approval client_analysis --quorum 2 --approver bob --approver cleo "Who leaves?"
      diarchy ask --no-stream --json "…" | jq -r .answer.content
    """
    from contracts.http import Turn
    from deploy.client import pretty_json
    from deploy.progress import err, show
    from deploy.rendering import answer, approval_line

    text = sys.stdin.read().strip() if question == "-" else question.strip()
    if not text:
        raise click.UsageError("the question is empty")
    wanted, sent = msgspec.convert(given, _Options), _Sent()
    asked = _question(text, wanted)
    try:
        result = asyncio.run(_asked(asked, target, wanted, sent))
    except KeyboardInterrupt:
        _tell_how_to_go_on(target, sent)
        raise
    if as_json:
        click.echo(pretty_json(result))
    elif isinstance(result, Turn):
        show(answer(result))
    else:
        for said in result.notes:
            err(said)
        for approval in result.approvals:
            err(approval_line(approval))
        click.echo(f"accepted, not answered yet; it will be at {result.status_url}")
    if result.correlation_id and not as_json:
        of = f"{result.correlation_id}{target.words}"
        err(f"how it came about: diarchy runs {of} · diarchy trace {of}")


@dataclass
class _Sent:
    """What is known of the question once it has been sent."""

    asking: "Asking | None" = None
    correlation: str = ""


def _tell_how_to_go_on(target: options.Target, sent: _Sent) -> None:
    """After Ctrl-C, and once the question was sent: it goes on without us, and where its answer will be."""
    from deploy.progress import err
    from runtime.errors import DiarchyError

    if sent.asking is None:
        return
    try:
        correlation = sent.correlation or asyncio.run(_correlation(target, sent.asking))
    except (DiarchyError, TimeoutError):
        err("interrupted; whether the question got through is not known, as no gateway answers")
        return
    err(
        f"interrupted; question {correlation} goes on, its answer is shown by: diarchy runs {correlation}{target.words}"
    )


async def _correlation(target: options.Target, asking: "Asking") -> str:
    """By a repeat, which changes nothing, that does not wait."""
    from deploy.asking import waited

    async with asyncio.timeout(GOING_ON_S_MAX), target.gateway() as gateway:
        return (await waited(gateway, asking, 0, lambda _seconds, _why: None)).correlation_id or ""


async def _asked(asked: "AskQuestion", target: options.Target, wanted: _Options, sent: _Sent) -> "Turn | Pending":
    from deploy.asking import Asking, noted, path_for, streamed, waited
    from deploy.progress import Steps

    with Steps() as steps:
        async with target.gateway() as gateway:
            if wanted.source:
                item = await _provide(Path(wanted.source), gateway, steps)
                asked = msgspec.structs.replace(asked, sources=(item,))
            asking = Asking(path=path_for(wanted.domain, wanted.session), question=asked)
            sent.asking = asking
            if not wanted.stream:
                return await waited(gateway, asking, wanted.wait, _told(steps), _told_once(steps))
            step = steps.begin(f"Asking {wanted.session or wanted.domain.capitalize()}")

            def part(turn: "Turn") -> None:
                missing = ", ".join(f"{one.domain.value} ({one.why})" for one in turn.missing)
                steps.say(f"answered without {missing}; waiting for that, Ctrl-C stops only the waiting")
                if turn.answer is not None:
                    steps.say(turn.answer.content)

            show = noted(steps, step)

            def note(view: "EventView") -> None:
                sent.correlation = view.correlation
                show(view)

            watching = asyncio.create_task(steps.watched(step))
            try:
                async with asyncio.timeout(wanted.wait):
                    turn = await streamed(gateway, asking, note, _told(steps), part, steps.say)
            except TimeoutError:
                return await waited(gateway, asking, 0, _told(steps))
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
            steps.end(step)
            return turn


def _told(steps: "Steps") -> "OnWait":
    return lambda seconds, why: steps.say(f"{why}; again in {seconds:g} s")


def _told_once(steps: "Steps") -> "OnPending":
    """Each note and each approval that the question waits for, once."""
    from deploy.rendering import approval_line

    told = set[str]()

    def tell(pending: "Pending") -> None:
        for line in (*pending.notes, *map(approval_line, pending.approvals)):
            if line not in told:
                told.add(line)
                steps.say(line)

    return tell


def _question(text: str, wanted: _Options) -> "AskQuestion":
    from contracts.conversation import TEAMS_OF
    from contracts.http import AskQuestion

    if wanted.team is not None and not any(wanted.team in teams for teams in TEAMS_OF.values()):
        known = "; ".join(f"{domain.value} has {', '.join(sorted(teams))}" for domain, teams in TEAMS_OF.items())
        raise click.UsageError(f"there is no team {wanted.team!r}: {known}")
    budget = _given(tokens_max=wanted.budget_tokens, cost_max=wanted.budget_cost)
    body = _given(
        question=text,
        team=wanted.team,
        confidentiality=wanted.confidentiality,
        budget=budget or None,
        ceo_context=wanted.ceo_context,
        repository=wanted.repository,
        approval=options.approval_rule(wanted.approval, wanted.quorum, wanted.approver, wanted.expires),
    )
    try:
        return msgspec.convert(body, AskQuestion)
    except msgspec.ValidationError as error:
        raise options.refused(error) from error


def _given(**fields: object) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}


async def _provide(path: Path, gateway: "Gateway", steps: "Steps") -> str:
    """Upload what is to be analysed; the id of its item."""
    from deploy.folder_import import collections_of, read_source
    from deploy.importing import post_items
    from deploy.items import Defaults
    from runtime.errors import DiarchyError

    step = steps.begin(f"Uploading {path}")
    source = [await asyncio.to_thread(read_source, path, Defaults())]
    collection = collections_of(path)[0][0]
    imported = await post_items(gateway, source, collection=collection, concurrency=1, on_wait=_told(steps))
    for failure in imported.failures:
        raise DiarchyError(f"{failure.path} was not stored: {failure.reason}")
    if not imported.ids:
        raise DiarchyError(f"{path} was sent, but is not stored yet; is the CEO's role running? `diarchy doctor`")
    steps.end(step)
    return imported.ids[0]
