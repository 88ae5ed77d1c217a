"""How a question becomes an answer: route, gather, examine, ask the other domains, synthesise."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import UNSET, Struct
from msgspec.structs import replace

from actors.confidence import of_answer
from actors.founded import unfounded
from actors.given import before, given, handed_over, kinds
from actors.investigating import investigated
from actors.memory import recall
from actors.others import Others
from actors.strategic import Said, beside, context
from actors.team import Examined, Team, gathered, relevant, route, speaks_of, statements, unmarked
from actors.teams import TEAMS
from contracts.collaboration import Missing, Outcome, Request
from contracts.conversation import CODE_TEAMS, READS, Answered, AnswerInPart, Asked, Contribution, Exchange
from contracts.domains import Domain
from contracts.envelope import Event
from contracts.model import FLOW, Evidence, Prompt, Reply
from contracts.sources import Kind
from runtime.actor import Recorded
from runtime.effects import Effects
from runtime.text import titled

EVIDENCE_MAX = 8
FINDINGS = "findings"
"""The name of our own findings in the context of what we ask others."""

STATEMENTS_MAX = 3  # of each section that another domain wrote
FINDINGS_TOLD_MAX = 8  # of our own, to the domains we ask
OWN_WEIGHT = 0.6  # of the answering team's confidence, against the mean of the other domains'

TECHNICAL_CUES = (
    "api",
    "architect",
    "automat",
    "build",
    "code",
    "deploy",
    "engineer",
    "feasib",
    "implement",
    "infrastruct",
    "integrat",
    "migrat",
    "platform",
    "portal",
    "self-service",
    "software",
    "system",
    "technic",
)
BUSINESS_CUES = (
    "business",
    "churn",
    "client",
    "cost",
    "customer",
    "market",
    "money",
    "price",
    "profit",
    "revenue",
    "sales",
)

OTHER: dict[Domain, tuple[Domain, str, tuple[str, ...]]] = {
    Domain.SOPHIA: (Domain.ARTEMIS, "technical_feasibility_analysis", TECHNICAL_CUES),
    Domain.ARTEMIS: (Domain.SOPHIA, "business_impact_analysis", BUSINESS_CUES),
}
"""Whom a domain asks, for what, and which words of a question call for it."""


async def answer(recorded: Recorded[Event], asked: Asked, effects: Effects) -> Answered:
    """The domain's answer to a recorded question. Raises OutcomeError when the model or a tool cannot.

    Where another domain does not answer in time, the answer without it is told first; this one follows when it has.
    """
    effects.allow(asked.budget)
    effects.require(asked.approval)
    effects.grant(asked.grants)
    domain = recorded.actor.domain
    teams = TEAMS[domain]
    named = [given(await effects.repository(asked.repository))] if asked.repository else []
    named += handed_over(asked.sources)
    team = next((team for team in teams if team.name == asked.team), None) or team_for(asked, kinds(named), teams)
    hits = before(named, await relevant(team.partitions, asked.text, effects, EVIDENCE_MAX))
    examined = await investigated(team, asked.flow, asked.text, hits, effects)
    recalled = await recall(recorded, asked.text, asked.flow, effects)
    evidence = gathered((*hits, *recalled.taught), examined, asked.flow)
    others = Others(effects, patient=asked.flow >= 2)
    await _collaborate(recorded, asked, evidence, examined.findings, others)
    history = (*recalled.lines, *_earlier(asked.history))
    computed = examined.computed and speaks_of(asked.text, (*team.cues, *team.more_cues))
    own = _Own(team, evidence, examined, history, recorded.envelope.time, domain, computed)
    if others.missing:
        part = await _composed(asked, own, others, effects)
        await effects.tell(AnswerInPart(turn=asked.turn, answer=part, missing=others.missing))
        await others.completed()
    return await _composed(asked, own, others, effects)


def team_for(asked: Asked, handed: frozenset[Kind], teams: Sequence[Team]) -> Team:
    """Who answers, by the question's words; where it hands files over, of those who analyse such files."""
    if "archive" in handed and any(team.name == CODE_TEAMS[0] for team in teams):
        return code_team(asked.text, teams, asked.flow)
    reading = [team for team in teams if handed & READS[team.name]]
    return route(asked.text, reading or teams, asked.flow)


def code_team(question: str, teams: Sequence[Team], flow: int) -> Team:
    """Who answers a question about a repository that it names: the team for all code, unless its words speak for a special one
    as much. Nearly every such question speaks of code."""
    general = next(team for team in teams if team.name == CODE_TEAMS[0])
    special = [team for team in teams if team.name in CODE_TEAMS[1:]]
    spoken = any(speaks_of(question, team.cues) for team in special)
    return route(question, [*special, general], flow) if spoken else general


class _Own(Struct, frozen=True):
    """What the answering team found by itself."""

    team: Team
    evidence: tuple[Evidence, ...]
    examined: Examined
    history: tuple[str, ...]
    asked: datetime
    domain: Domain
    computed: bool


async def _composed(asked: Asked, own: _Own, others: Others, effects: Effects) -> Answered:
    """The answer over what the team found and what the others have said so far."""
    team, findings, outcomes = own.team, own.examined.findings, others.outcomes
    evidence = _merged(own.evidence, outcomes)
    sections = team.sections_at(asked.flow)
    prompt = Prompt(
        role=team.role,
        question=asked.text,
        sections=beside(sections, own.domain) if asked.ceo_context else sections,
        evidence=evidence,
        findings=(*findings, *contributed(outcomes, findings if asked.flow >= FLOW else ())),
        history=own.history,
        computed=True if own.computed and asked.flow >= FLOW else UNSET,
    )
    reply = await effects.chat(prompt)
    content, places = _content(reply)
    contributions = tuple(_contribution(one, request, outcome) for one, request, outcome in outcomes)
    rested = own.examined.rested(asked.text, evidence, own.asked)
    invented = unfounded(reply.sections, prompt)
    sure, grounds = of_answer(rested, reply.sections, reply.cited, invented)
    if asked.flow < 2:
        sure = _confidence(reply.confidence, [one.confidence for one in contributions])
    ceo = next((outcome for one, _, outcome in outcomes if one is Domain.CEO), None) if asked.ceo_context else None
    said = Said(reply.sections, reply.citations, sure)
    return Answered(
        turn=asked.turn,
        question=asked.text,
        content=content + _warning(invented if asked.flow >= FLOW else ()) + _notice(others.missing),
        team=team.name,
        confidence=sure,
        evidence=evidence,
        collaboration_needed=bool(outcomes or others.missing),
        collaborators=tuple(contribution.domain for contribution in contributions),
        contributions=contributions,
        model=reply.model,
        label=effects.label,
        usage=effects.spent,
        flow=asked.flow,
        grounds=grounds if asked.flow >= 2 else None,
        strategic=context(said, ceo, own.domain) if ceo else None,
        citations=tuple(replace(one, sentence=one.sentence.moved(places[one.section])) for one in reply.citations),
    )


def _warning(invented: tuple[str, ...]) -> str:
    """Which figures of the answer nobody has found."""
    return f"\n\nNot founded\nNothing that was found has these figures: {'; '.join(invented)}." if invented else ""


def _notice(missing: tuple[Missing, ...]) -> str:
    """In plain words what the answer goes without. It stands at the end: what was read before it stays as it is."""
    if not missing:
        return ""
    lines = (
        f"- {one.domain.value.capitalize()} has not contributed its {one.request_type.replace('_', ' ')}: {one.why}."
        for one in missing
    )
    return "\n\n".join(("", "Not complete yet\n" + "\n".join(lines) + "\nThe answer is completed when that has come."))


def _content(reply: Reply) -> tuple[str, dict[str, int]]:
    """The sections as one text, each under its title, and where in it the text of each begins."""
    content, places = "", dict[str, int]()
    for name, text in reply.sections.items():
        content += f"{chr(10) * 2 if content else ''}{titled(name)}\n"
        places[name] = len(content)
        content += text
    return content, places


Outcomes = list[tuple[Domain, str, Outcome]]


async def _collaborate(
    recorded: Recorded[Event], asked: Asked, evidence: tuple[Evidence, ...], findings: tuple[str, ...], others: Others
) -> None:
    envelope = recorded.envelope
    if asked.collaborate is False:
        return
    other, request_type, cues = OTHER[recorded.actor.domain]
    told = {FINDINGS: "\n".join(findings[:FINDINGS_TOLD_MAX])} if findings else {}
    if asked.collaborate or speaks_of(asked.text, cues):
        request = Request(
            request_type=request_type,
            question=asked.text,
            context=told,
            evidence=evidence,
            priority=envelope.priority,
            deadline=envelope.deadline,
            sources=asked.sources or UNSET,
        )
        outcome = await others.ask(other, request)
        if outcome is not None:
            told = {**told, request_type: "\n".join(outcome.sections.values()) or outcome.reason}
    request = Request(
        request_type="strategic_alignment",
        question=asked.text,
        context=told,
        evidence=evidence,
        priority=envelope.priority,
        deadline=envelope.deadline,
        needs_ceo_context=asked.ceo_context,
    )
    await others.ask(Domain.CEO, request)


def _merged(evidence: tuple[Evidence, ...], outcomes: Outcomes) -> tuple[Evidence, ...]:
    """Own evidence first, then what the others rested on, each once."""
    merged = {item.id: item for item in evidence}
    for _, _, outcome in outcomes:
        for item in outcome.evidence:
            merged.setdefault(item.id, item)
    return tuple(merged.values())


def contributed(outcomes: Outcomes, known: tuple[str, ...]) -> tuple[str, ...]:
    """What the others said, but for what they were told by us and only say again."""
    return tuple(
        f"{domain.value.capitalize()} on {name.replace('_', ' ')}: {statement}"
        for domain, _, outcome in outcomes
        if outcome.status == "completed"
        for name, text in outcome.sections.items()
        for statement in statements(text, STATEMENTS_MAX)
        if not _said_again(statement, known)
    )


def _said_again(statement: str, known: tuple[str, ...]) -> bool:
    said = statement.removeprefix("- ").removeprefix(f"{FINDINGS.capitalize()}: ").rstrip("….")
    return any(said in one for one in known)


def _earlier(history: tuple[Exchange, ...]) -> tuple[str, ...]:
    return tuple(f"Earlier in this session, asked {past.question!r}: {past.answer}" for past in history)


def _summary(outcome: Outcome) -> str:
    return "\n".join(f"{name}: {text}" for name, text in outcome.sections.items()) or outcome.reason


def _contribution(domain: Domain, request_type: str, outcome: Outcome) -> Contribution:
    return Contribution(
        domain=domain,
        request_type=request_type,
        status=outcome.status,
        summary=unmarked(_summary(outcome)),
        confidence=outcome.confidence,
    )


def _confidence(own: float, others: Sequence[float]) -> float:
    """The team's own confidence, weighed 0.6 to 0.4 with the mean of the others'; who did not answer counts as 0."""
    if not others:
        return round(own, 3)
    return round(OWN_WEIGHT * own + (1 - OWN_WEIGHT) * sum(others) / len(others), 3)
