"""The phases of a comprehensive analysis as they are worked on from flow 2 on, and the typed items they are made of.

Business analysis is the work of every team that the question calls for; requirements, constraints and recommendations are items
of their own, each with the evidence that its sentence cites, recommendations with the phases that say or cite the same.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Literal

from msgspec.structs import replace

from actors.confidence import Rested, of_answer
from actors.sophia.teams import SOPHIA_TEAMS
from actors.team import Team, called, gathered, relevant, statements, together
from contracts.analysis import ASKED_OF, AnalysisStarted, Phase, PhaseResult, Recommendation, Requirement
from contracts.collaboration import Request
from contracts.domains import Domain
from contracts.model import Citation, Evidence, Prompt, Section
from runtime.actor import Recorded
from runtime.effects import Effects

EVIDENCE_MAX = 8  # of one team
TEAMS_MAX = 3
STATEMENTS_MAX = 12  # of each earlier phase
ITEMS_MAX = 20
REQUIREMENTS = (
    Section("requirements", "The technical requirements that follow from the business analysis, one a sentence."),
    Section("constraints", "Constraints of time, money, people and existing systems."),
)
RECOMMENDATIONS = (
    Section("recommendations", "What to do, in order, drawn from all phases."),
    Section("risks", "What could go wrong and how to see it early."),
    Section("next_steps", "The next steps with their timeline."),
)
ROLE = "Sophia's analysts"
KINDS: Mapping[str, Literal["requirement", "constraint"]] = {"requirements": "requirement", "constraints": "constraint"}
Conclude = Callable[[PhaseResult], Awaitable[None]]


class Phases:
    """The phases of one analysis, one after the other; each is concluded before the next one begins."""

    def __init__(self, recorded: Recorded[AnalysisStarted], effects: Effects, conclude: Conclude) -> None:
        self._event = recorded.event
        self._envelope = recorded.envelope
        self._effects = effects
        self._conclude = conclude
        self._results: list[PhaseResult] = []

    async def all(self) -> None:
        evidence, findings, sections = await self._business()
        await self._done(await self._chat("business_analysis", sections, evidence, findings))
        required = await self._chat("technical_requirements", REQUIREMENTS, evidence, self._lines())
        await self._done(replace(required, requirements=of_requirements(required)))
        feasibility = await self._ask("feasibility", "technical_feasibility_analysis")
        synthesis = await self._ask("strategic_synthesis", "strategic_alignment")
        everything = together(evidence, (*feasibility.evidence, *synthesis.evidence))
        last = await self._chat("recommendations", RECOMMENDATIONS, everything, self._lines())
        await self._done(replace(last, unified=of_recommendations(last, self._results)))

    async def _business(self) -> tuple[tuple[Evidence, ...], tuple[str, ...], tuple[Section, ...]]:
        """What the teams find that the question calls for, at most three; their sections, each once."""
        teams: tuple[Team, ...] = called(self._event.question, SOPHIA_TEAMS)[:TEAMS_MAX]
        evidence: tuple[Evidence, ...] = ()
        findings: dict[str, None] = {}
        for team in teams:
            hits = await relevant(team.partitions, self._event.question, self._effects, EVIDENCE_MAX)
            examined = await team.at(self._event.flow)(self._event.question, hits, self._effects)
            evidence = together(evidence, gathered(hits, examined, self._event.flow))
            findings |= dict.fromkeys(examined.findings)
        sections = {section.name: section for team in reversed(teams) for section in team.sections}
        ordered = dict.fromkeys(section.name for team in teams for section in team.sections)
        return evidence, tuple(findings), tuple(sections[name] for name in ordered)

    async def _chat(
        self, phase: Phase, sections: tuple[Section, ...], evidence: tuple[Evidence, ...], findings: tuple[str, ...]
    ) -> PhaseResult:
        question = self._event.question
        reply = await self._effects.chat(
            Prompt(role=ROLE, question=question, sections=sections, evidence=evidence, findings=findings)
        )
        computed = findings if phase == "business_analysis" else ()
        rested = Rested(question=question, evidence=evidence, findings=computed, now=self._envelope.time)
        sure, grounds = of_answer(rested, reply.sections, reply.cited)
        return PhaseResult(
            phase=phase,
            domain=Domain.SOPHIA,
            sections=reply.sections,
            confidence=sure,
            evidence=evidence,
            model=reply.model,
            label=self._effects.label,
            citations=reply.citations,
            grounds=grounds,
        )

    async def _ask(self, phase: Phase, request_type: str) -> PhaseResult:
        domain = ASKED_OF[phase]
        request = Request(
            request_type=request_type,
            question=self._event.question,
            context={result.phase: "\n".join(result.sections.values()) for result in self._results},
            priority=self._envelope.priority,
            deadline=self._envelope.deadline,
            needs_ceo_context=True,
        )
        outcome = await self._effects.ask(domain, request)
        result = PhaseResult(
            phase=phase,
            domain=domain,
            sections=outcome.sections or {"reason": outcome.reason},
            confidence=outcome.confidence,
            evidence=outcome.evidence,
            model=outcome.model,
            label=max(outcome.label, self._effects.label),
            status=outcome.status,
            citations=outcome.citations,
            comparisons=outcome.comparisons,
            grounds=outcome.grounds,
            feasibility=outcome.feasibility,
        )
        await self._done(result)
        return result

    async def _done(self, result: PhaseResult) -> None:
        self._results.append(result)
        await self._conclude(result)

    def _lines(self) -> tuple[str, ...]:
        return tuple(
            f"{result.phase.replace('_', ' ').capitalize()}: {statement}"
            for result in self._results
            for statement in statements("\n".join(result.sections.values()), STATEMENTS_MAX)
        )


def of_requirements(result: PhaseResult) -> tuple[Requirement, ...]:
    """A requirement or constraint a sentence, R1 and on, C1 and on."""
    return tuple(
        Requirement(id=f"{section[0].upper()}{number}", kind=kind, text=text, evidence=cited)
        for section, kind in KINDS.items()
        for number, (text, cited) in enumerate(sentences_of(result, section), 1)
    )


def of_recommendations(result: PhaseResult, earlier: Sequence[PhaseResult]) -> tuple[Recommendation, ...]:
    """A recommendation a sentence, with the phases that say it too, or cite what it cites."""
    return tuple(
        Recommendation(
            id=f"A{number}",
            text=text,
            evidence=cited,
            phases=tuple(one.phase for one in earlier if _rests_on(text, cited, one)),
        )
        for number, (text, cited) in enumerate(sentences_of(result, "recommendations"), 1)
    )


def _rests_on(text: str, cited: tuple[str, ...], phase: PhaseResult) -> bool:
    said = "\n".join(phase.sections.values())
    return text in said or not {one.evidence for one in phase.citations}.isdisjoint(cited)


def sentences_of(result: PhaseResult, section: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The sentences of a section, at most twenty, without their marks, each with the evidence that it cites."""
    text = result.sections.get(section, "")
    found: list[tuple[str, tuple[str, ...]]] = []
    for sentence in statements(text, ITEMS_MAX):
        cited = dict.fromkeys(one.evidence for one in result.citations if _cites(one, section, sentence, text))
        found.append((sentence, tuple(cited)))
    return tuple(found)


def _cites(one: Citation, section: str, sentence: str, text: str) -> bool:
    cited = one.sentence.of(text)
    return one.section == section and bool(cited.strip()) and (cited in sentence or sentence in cited)
