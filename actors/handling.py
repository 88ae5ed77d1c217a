"""What the handlers of collaboration requests share: answer named sections over evidence, as a typed outcome."""

from collections.abc import Awaitable, Callable, Sequence

from msgspec import UNSET, Struct
from msgspec.structs import replace

from actors.confidence import Rested, of_answer
from actors.founded import unfounded
from actors.others import Others
from actors.team import statements
from contracts.collaboration import ConcludeInPart, Outcome, Request, Requested
from contracts.domains import Domain
from contracts.grounds import Grounds
from contracts.model import Evidence, Prompt, Section
from runtime.effects import Effects
from runtime.errors import OutcomeError

STATEMENTS_MAX = 8  # of each text of a request's context
Compose = Callable[[Outcome | None], Awaitable[Outcome]]
"""Makes an outcome with the CEO's, where that was wanted and is there."""


def contextual(request: Request) -> tuple[str, ...]:
    """The request's context as findings for the model, a sentence each."""
    return tuple(
        f"{name.replace('_', ' ').capitalize()}: {statement}"
        for name, text in request.context.items()
        for statement in statements(text, STATEMENTS_MAX)
    )


class Wanted(Struct, frozen=True):
    """Who answers, and in which sections; `computed` as in `contracts.model.Prompt`."""

    role: str
    sections: tuple[Section, ...]
    computed: bool = False


async def synthesise(
    wanted: Wanted, request: Request, found: Sequence[Evidence], findings: tuple[str, ...], effects: Effects
) -> Outcome:
    """Answer the sections from what was found, the evidence that came with the request, and the findings."""
    evidence = {item.id: item for item in (*found, *request.evidence)}
    prompt = Prompt(
        role=wanted.role,
        question=request.question,
        sections=wanted.sections,
        evidence=tuple(evidence.values()),
        findings=(*findings, *contextual(request)),
        computed=True if wanted.computed else UNSET,
    )
    reply = await effects.chat(prompt)
    own = tuple(evidence[item.id] for item in found)  # The asker knows the rest.
    known = {item.id for item in own}
    return Outcome(
        status="completed",
        sections=reply.sections,
        evidence=own,
        citations=tuple(one for one in reply.citations if one.evidence in known),
        confidence=reply.confidence,
        model=reply.model,
        label=effects.label,
        grounds=Grounds(unfounded=invented) if (invented := unfounded(reply.sections, prompt)) else None,
    )


async def with_ceo_context(requested: Requested, effects: Effects, compose: Compose) -> Outcome:
    """What `compose` makes of the CEO's view, where the request wants that view; else of none.

    Where the CEO's domain does not answer in time the asker is told what there is without it, and the whole when it has.
    """
    request = requested.request
    if not request.needs_ceo_context:
        return await compose(None)
    others = Others(effects, patient=requested.flow >= 2)
    await others.ask(
        Domain.CEO,
        Request(
            request_type="strategic_alignment",
            question=request.question,
            context=request.context,
            priority=request.priority,
            deadline=request.deadline,
            needs_ceo_context=True,
        ),
    )
    if not others.missing:
        return await compose(_view(others))
    missing = others.missing
    part = replace(await compose(_view(others)), missing=missing, label=effects.label, usage=effects.spent)
    await effects.tell(ConcludeInPart(outcome=part))
    why = "; ".join(f"it waits for {one.domain.value}: {one.why}" for one in missing)
    await effects.reply_in_part(requested.partly_to, part, why)
    try:
        await others.completed()
        return await compose(_view(others))
    except OutcomeError as error:
        return replace(part, missing=tuple(replace(one, why=str(error)) for one in missing))


def _view(others: Others) -> Outcome | None:
    return others.outcomes[0][2] if others.outcomes else None


def ceo_findings(outcome: Outcome | None) -> tuple[str, ...]:
    """What the CEO says, as findings for a model."""
    return tuple(
        f"CEO on {name.replace('_', ' ')}: {statement}"
        for name, text in (outcome.sections if outcome else {}).items()
        for statement in statements(text, STATEMENTS_MAX)
    )


def assured(outcome: Outcome, rested: Rested) -> Outcome:
    """The outcome with the confidence that its evidence gives it; what a model says of itself is none."""
    invented = outcome.grounds.unfounded if outcome.grounds is not None and outcome.grounds.unfounded else ()
    sure, grounds = of_answer(rested, outcome.sections, (one.evidence for one in outcome.citations), invented)
    return replace(outcome, confidence=sure, grounds=grounds)
