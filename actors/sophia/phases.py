"""The phases of a comprehensive analysis as they are worked on from flow 2 on, and the typed items they are made of.

Business analysis is the work of every team that the question calls for; requirements, constraints and recommendations are items
of their own, each with the evidence that its sentence cites, recommendations with the phases that say or cite the same.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from msgspec.structs import replace

from actors.confidence import Work, of_answer
from actors.founded import unfounded
from actors.others import Others
from actors.sophia.teams import SOPHIA_TEAMS
from actors.team import ASKED, Examined, Team, called, gathered, relevant, statements, together
from contracts.analysis import (
    ASKED_OF,
    AnalysisStarted,
    ConcludeAnalysisInPart,
    Phase,
    PhaseMissing,
    PhaseResult,
    Recommendation,
    RecordPhase,
    Requirement,
)
from contracts.collaboration import Outcome, Request
from contracts.domains import Domain
from contracts.model import Citation, Evidence, Prompt, Section
from runtime.actor import Recorded
from runtime.effects import Effects
from runtime.text import sentences

EVIDENCE_MAX = 8  # of one team
TEAMS_MAX = 3
STATEMENTS_MAX = 12  # of each earlier phase
ITEMS_MAX = 20
ASKED_MAX = 5  # sentences of the question that are requirements by themselves
ASKED_CHARACTERS_MAX = 500
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
REQUESTS: Mapping[Phase, str] = {
    "feasibility": "technical_feasibility_analysis",
    "strategic_synthesis": "strategic_alignment",
}
"""What the other domains are asked for, in the order of the phases."""


class Phases:
    """The phases of one analysis, one after the other; each is recorded before the next one begins.

    Where another domain is away, the conclusion without it is told first. When that has come, every phase behind it is worked out
    anew, over all there is by then: so the whole is what it would have been.
    """

    def __init__(self, recorded: Recorded[AnalysisStarted], effects: Effects) -> None:
        self._event = recorded.event
        self._envelope = recorded.envelope
        self._effects = effects
        self._results: list[PhaseResult] = []

    async def all(self) -> None:
        evidence, examined, sections = await self._business()
        await self._done(await self._chat("business_analysis", sections, evidence, examined))
        required = await self._chat("technical_requirements", REQUIREMENTS, evidence)
        await self._done(replace(required, requirements=of_requirements(required)))
        others = Others(self._effects, patient=self._event.patient)
        whole = await self._views(others)
        if others.missing:
            last = await self._recommended(evidence)
            results = (*self._results[whole:], last)
            await self._effects.tell(ConcludeAnalysisInPart(results=results, missing=_missing(others)))
            await others.completed()
            del self._results[whole:]
            await self._completed(others)
        await self._done(await self._recommended(evidence))

    async def _views(self, others: Others) -> int:
        """What the other domains say in time; how many of the results so far rest on nothing that is missing."""
        whole = len(self._results)
        for phase in REQUESTS:
            outcome = await others.ask(ASKED_OF[phase], self._request(phase))
            result = self._of(phase, outcome) if outcome is not None else None
            if others.missing:
                self._results += [result] if result else []
            elif result:
                await self._done(result)
                whole = len(self._results)
        return whole

    async def _completed(self, others: Others) -> None:
        """The phase that was missing, and those behind it as they are with it."""
        done = {result.phase for result in self._results}
        late: Phase | None = None
        for phase, asked in zip(REQUESTS, others.asked, strict=True):
            if phase in done or asked.outcome is None:
                continue
            outcome = asked.outcome if late is None else await self._anew(phase, asked.outcome)
            late = late or phase
            await self._done(self._of(phase, outcome))

    async def _anew(self, phase: Phase, earlier: Outcome) -> Outcome:
        """The outcome over all there is by now; what was said `earlier` where none comes of that."""
        asking = self._effects.asking(ASKED_OF[phase], self._request(phase))
        await asking.within()
        outcome = await asking.outcome()
        return outcome if outcome.status == "completed" else earlier

    async def _recommended(self, evidence: tuple[Evidence, ...]) -> PhaseResult:
        """Over what the phases so far found."""
        added = tuple(item for result in self._results if result.phase in REQUESTS for item in result.evidence)
        last = await self._chat("recommendations", RECOMMENDATIONS, together(evidence, added))
        return replace(last, unified=of_recommendations(last, self._results))

    async def _business(self) -> tuple[tuple[Evidence, ...], Examined, tuple[Section, ...]]:
        """What the teams find that the question calls for, at most three; their sections, each once."""
        teams: tuple[Team, ...] = called(self._event.question, SOPHIA_TEAMS)[:TEAMS_MAX]
        evidence: tuple[Evidence, ...] = ()
        findings: dict[str, None] = {}
        works: tuple[Work, ...] = ()
        for team in teams:
            hits = await relevant(team.partitions, self._event.question, self._effects, EVIDENCE_MAX)
            examined = await team.at(self._event.flow)(self._event.question, hits, self._effects)
            evidence = together(evidence, gathered(hits, examined, self._event.flow))
            findings |= dict.fromkeys(examined.findings)
            works += examined.works
        sections = {section.name: section for team in reversed(teams) for section in team.sections}
        ordered = dict.fromkeys(section.name for team in teams for section in team.sections)
        return evidence, Examined(tuple(findings), works=works), tuple(sections[name] for name in ordered)

    async def _chat(
        self,
        phase: Phase,
        sections: tuple[Section, ...],
        evidence: tuple[Evidence, ...],
        examined: Examined | None = None,
    ) -> PhaseResult:
        """From what was examined, else from what is asked for and the earlier phases say: such words are no evidence."""
        question = self._event.question
        findings = examined.findings if examined else (*asked_for(question), *self._lines())
        prompt = Prompt(role=ROLE, question=question, sections=sections, evidence=evidence, findings=findings)
        reply = await self._effects.chat(prompt)
        rested = (examined or Examined()).rested(question, evidence, self._envelope.time)
        sure, grounds = of_answer(rested, reply.sections, reply.cited, unfounded(reply.sections, prompt))
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

    def _request(self, phase: Phase) -> Request:
        return Request(
            request_type=REQUESTS[phase],
            question=self._event.question,
            context={result.phase: "\n".join(result.sections.values()) for result in self._results},
            priority=self._envelope.priority,
            deadline=self._envelope.deadline,
            needs_ceo_context=True,
        )

    def _of(self, phase: Phase, outcome: Outcome) -> PhaseResult:
        return PhaseResult(
            phase=phase,
            domain=ASKED_OF[phase],
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

    async def _done(self, result: PhaseResult) -> None:
        self._results.append(result)
        await self._effects.tell(RecordPhase(result=result))

    def _lines(self) -> tuple[str, ...]:
        return tuple(
            f"{result.phase.replace('_', ' ').capitalize()}: {statement}"
            for result in self._results
            for statement in statements("\n".join(result.sections.values()), STATEMENTS_MAX)
        )


def asked_for(question: str) -> tuple[str, ...]:
    """The sentences of a question that say a figure: what they ask for is a requirement, whatever else is found."""
    exact = [one for one in sentences(question) if any(map(str.isdigit, one)) and len(one) <= ASKED_CHARACTERS_MAX]
    return tuple(f"{ASKED}{one}" for one in exact[:ASKED_MAX])


def _missing(others: Others) -> tuple[PhaseMissing, ...]:
    return tuple(
        PhaseMissing(phase=phase, domain=one.domain, request_type=one.request_type, why=one.why)
        for phase, asked in zip(REQUESTS, others.asked, strict=True)
        for one in asked.missing
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
