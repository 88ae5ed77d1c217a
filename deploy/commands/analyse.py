"""`diarchy analyse`: a comprehensive analysis, phase by phase, and its conclusion."""

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import click

from deploy.commands import options

if TYPE_CHECKING:
    from contracts.http import Analysis, CreateAnalysis

SUBJECT_CHARS_MAX = 80


@click.command(short_help="Analyse a plan over both domains")
@click.argument("question")
@click.option("--subject", metavar="TEXT", help="What it is about.  [default: the question's beginning]")
@click.option(
    "--confidentiality",
    type=click.Choice(options.LEVELS),
    metavar="LEVEL",
    help="Of the question.  [default: your clearance]",
)
@options.approval_options
@options.target_options
@options.json_option
def analyse(
    question: str,
    *,
    subject: str | None,
    confidentiality: str | None,
    target: options.Target,
    as_json: bool,
    **approval: Any,
) -> None:
    """Analyse a plan in five phases: business, requirements, feasibility, strategy, recommendations.

    QUESTION `-` is read from stdin. Progress goes to stderr, the conclusion to stdout: conflicts with the strategy with both
    statements, the verdict on feasibility, and what is recommended. Where a domain is down, the part without it is shown before.

    \b
    Examples:
      diarchy analyse "Build a customer portal by March 2027 for at most 400,000 EUR."
      diarchy analyse --approval "*" --expires 3600 "Build a customer portal."
      diarchy analyse --json "…" | jq '.phases[].comparisons[]? | select(.relation == "conflicting")'
    """
    import msgspec

    from contracts.domains import Clearance
    from contracts.http import CreateAnalysis
    from deploy.analysing import shown
    from deploy.client import pretty_json
    from deploy.progress import show

    text = sys.stdin.read().strip() if question == "-" else question.strip()
    if not text:
        raise click.UsageError("the question is empty")
    wanted = CreateAnalysis(
        subject=(subject or text)[:SUBJECT_CHARS_MAX],
        question=text,
        confidentiality=None if confidentiality is None else msgspec.convert(confidentiality, Clearance),
        approval=options.approval_rule(**approval),
    )
    found = asyncio.run(_analysed(wanted, target))
    if as_json:
        click.echo(pretty_json(found))
    else:
        show(shown(found))


async def _analysed(wanted: "CreateAnalysis", target: options.Target) -> "Analysis":
    from deploy.analysing import lacking, streamed
    from deploy.asking import noted
    from deploy.progress import Steps

    with Steps() as steps:
        async with target.gateway() as gateway:
            step = steps.begin("Analysing")

            def part(found: "Analysis") -> None:
                steps.say(f"concluded without {lacking(found)}; waiting for that, Ctrl-C stops only the waiting")
                steps.say(found.recommendations)

            found = await streamed(
                gateway,
                wanted,
                noted(steps, step),
                lambda seconds, why: steps.say(f"{why}; again in {seconds:g} s"),
                part,
                steps.say,
            )
            steps.end(step)
            return found
