"""Follow a comprehensive analysis over the gateway to its end, and show it."""

from collections.abc import Callable

from rich.console import Group, RenderableType
from rich.text import Text

from contracts.analysis import PhaseResult
from contracts.http import Analysis, CreateAnalysis
from contracts.ids import new_id
from deploy.asking import Heard, OnNote, OnProgress, Posted, followed
from deploy.client import Gateway, OnWait
from deploy.rendering import clean, prose

PATH = "/v1/analyses"
OnPart = Callable[[Analysis], None]


async def streamed(
    gateway: Gateway,
    wanted: CreateAnalysis,
    on_progress: OnProgress,
    on_wait: OnWait,
    on_part: OnPart = lambda _: None,
    on_note: OnNote = lambda _: None,
) -> Analysis:
    """The whole analysis, every event and note on the way told once, and the part if there is one before it is whole.

    Raises GatewayError, UnreachableError.
    """
    posted = Posted(path=PATH, body=wanted, key=new_id())
    return await followed(gateway, posted, Analysis, Heard(on_progress, on_wait, on_part, on_note))


def shown(analysis: Analysis) -> RenderableType:
    """Its summary, conflicts, feasibility and recommendations, how sure each phase is, and what it goes without."""
    parts: list[RenderableType] = [_head("Executive summary"), prose(analysis.executive_summary)]
    for phase in analysis.phases:
        parts += _of(phase)
    sure = " · ".join(f"{phase.phase.replace('_', ' ')} {phase.confidence:.2f}" for phase in analysis.phases)
    parts += [Text(), Text(f"confidence {analysis.confidence:.2f} · {sure}", style="bold")]
    if analysis.status == "partial":
        parts.append(Text(_until(analysis), style="yellow"))
    return Group(*parts, Text(f"analysis {analysis.id} · {analysis.label.value}", style="dim"))


def lacking(analysis: Analysis) -> str:
    """The phases that a part goes without, whom each waits for, and why."""
    return ", ".join(f"{one.phase.replace('_', ' ')} ({one.domain.value}: {one.why})" for one in analysis.missing)


def _until(analysis: Analysis) -> str:
    after = f"and will be: {analysis.failure}" if analysis.failure else f"until that has come: {PATH}/{analysis.id}"
    return clean(f"without {lacking(analysis) or 'its conclusion anew'} {after}")


def _of(phase: PhaseResult) -> list[RenderableType]:
    conflicts = [one for one in phase.comparisons if one.relation == "conflicting"]
    parts: list[RenderableType] = []
    if phase.status != "completed":
        return [_head(phase.phase), Text(clean(phase.sections.get("reason", phase.status)), style="red")]
    if phase.requirements:
        parts.append(_head("Technical requirements"))
        parts += [Text(clean(f"{one.id}  {one.text}")) for one in phase.requirements]
    if phase.feasibility is not None:
        found = phase.feasibility
        effort = f" · {found.effort_days:g} days of one person" if found.effort_days is not None else ""
        parts += [_head("Feasibility"), Text(f"{found.verdict} · complexity {found.complexity}{effort}")]
        parts += [Text(clean(f"  {one}")) for one in found.because]
    for pair in conflicts if phase.phase == "strategic_synthesis" else ():
        parts += [
            _head(f"Conflict with the strategy ({pair.rule})"),
            Text(clean(f"required  “{pair.requirement.text}”")),
            Text(clean(f"strategy  “{pair.strategy.text}” ({pair.strategy.title})")),
        ]
    if phase.unified:
        parts.append(_head("Recommendations"))
        for each in phase.unified:
            of = f" ({', '.join(each.phases).replace('_', ' ')})" if each.phases else ""
            parts.append(Text(clean(f"{each.id}  {each.text}{of}")))
    return parts


def _head(text: str) -> Text:
    return Text(f"\n{text.replace('_', ' ').capitalize()}", style="bold underline")
