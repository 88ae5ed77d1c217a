"""What the handlers of collaboration requests share: answer named sections over evidence, as a typed outcome."""

from collections.abc import Sequence

from actors.team import statements
from contracts.collaboration import Outcome, Request
from contracts.domains import Domain
from contracts.model import Evidence, Prompt, Section
from runtime.effects import Effects

STATEMENTS_MAX = 8  # of each text of a request's context


def contextual(request: Request) -> tuple[str, ...]:
    """The request's context as findings for the model, a sentence each."""
    return tuple(
        f"{name.replace('_', ' ').capitalize()}: {statement}"
        for name, text in request.context.items()
        for statement in statements(text, STATEMENTS_MAX)
    )


async def synthesise(
    role: str,
    request: Request,
    sections: tuple[Section, ...],
    found: Sequence[Evidence],
    findings: tuple[str, ...],
    effects: Effects,
) -> Outcome:
    """Answer the sections from what was found, the evidence that came with the request, and the findings."""
    evidence = {item.id: item for item in (*found, *request.evidence)}
    prompt = Prompt(
        role=role,
        question=request.question,
        sections=sections,
        evidence=tuple(evidence.values()),
        findings=(*findings, *contextual(request)),
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
    )


async def with_ceo_context(request: Request, effects: Effects) -> tuple[str, ...]:
    """The CEO's view as findings, where the request wants it; asking is an effect of the reaction at hand."""
    if not request.needs_ceo_context:
        return ()
    outcome = await effects.ask(
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
    return tuple(
        f"CEO on {name.replace('_', ' ')}: {statement}"
        for name, text in outcome.sections.items()
        for statement in statements(text, STATEMENTS_MAX)
    )
