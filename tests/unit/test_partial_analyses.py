"""An analysis with a domain down is told in part, with what is missing, and whole when the domain is back."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

import msgspec
from msgspec.structs import replace

from actors.ceo.alignment import ROLE
from actors.collaboration import collaboration
from actors.sophia.analysis import analysis
from adapters.memory import MemoryLog
from contracts.analysis import (
    ASKED_OF,
    PHASES,
    AnalysisCompleted,
    AnalysisConcludedInPart,
    AnalysisLeftInPart,
    AnalysisStarted,
    ConcludeAnalysisInPart,
    FailAnalysis,
    FinishAnalysis,
    Phase,
    PhaseCompleted,
    PhaseMissing,
    PhaseResult,
    RecordPhase,
    StartAnalysis,
)
from contracts.collaboration import Requested
from contracts.domains import Clearance, Domain
from contracts.envelope import Event, Record
from contracts.ids import derived_id, new_id
from contracts.kernel import Cancel, EffectRecorded
from contracts.model import Prompt, Reply
from contracts.subjects import ActorRef, log, parse, run
from runtime.breaker import Policy
from runtime.errors import OutcomeError, UnavailableError
from runtime.guards import Guards
from runtime.model_ports import Call
from runtime.testing import given
from tests import domains_away
from tests.domains_away import also_up, event_of
from tests.kernel_world import CountingModel, World

ANALYSIS = ActorRef(Domain.SOPHIA, "analysis", "a1")
START = StartAnalysis(by="ann", subject="portal", question="Should we build a portal for customers?")
OWN, OTHERS = PHASES[:2], PHASES[2:]
PART = len(OWN) + 2
"""How many events stand in the log with the part: the start, Sophia's own phases, the part."""

WHOLE = PART + len(OTHERS) + 1


played = partial(domains_away.played, actors=(analysis, collaboration))


async def told(world: World, at_least: int) -> list[Event]:
    return [event_of(one) for one in await world.events(ANALYSIS, at_least=at_least)]


async def part_of(world: World) -> AnalysisConcludedInPart:
    part = (await told(world, PART))[-1]
    assert isinstance(part, AnalysisConcludedInPart)
    return part


def missing(part: AnalysisConcludedInPart) -> list[tuple[Phase, Domain, str]]:
    return [(one.phase, one.domain, one.request_type) for one in part.missing]


def is_whole(events: list[Event]) -> bool:
    """A part, then each phase that it went without or worked out without another, then one end."""
    kinds = [type(event) for event in events]
    own, others = [PhaseCompleted] * len(OWN), [PhaseCompleted] * len(OTHERS)
    phases = [event.result for event in events if isinstance(event, PhaseCompleted)]
    assert [one.phase for one in phases] == list(PHASES)
    assert [one.status for one in phases] == ["completed"] * len(PHASES)
    return kinds == [AnalysisStarted, *own, AnalysisConcludedInPart, *others, AnalysisCompleted]


async def journal(world: World, of: ActorRef) -> list[EffectRecorded]:
    """Of the reaction to the analysis's beginning."""
    first, *_ = await world.events(of, at_least=1)
    records = await world.log.read(run(of, first.record.envelope.id))
    return [msgspec.json.decode(one.record.body, type=EffectRecorded) for one in records]


async def told_others(world: World) -> list[tuple[str, list[str]]]:
    """What the other domains were asked for, in order, and of which phases they were told."""
    first, *_ = await world.events(ANALYSIS, at_least=1)
    asked: list[tuple[str, list[str]]] = []
    for number in sorted(one.effect for one in await journal(world, ANALYSIS) if one.name == "ask"):
        identity = derived_id(first.record.envelope.id, "ask", number)
        for domain in (Domain.ARTEMIS, Domain.CEO):
            for stored in (await world.log.read(log(ActorRef(domain, "collaboration", identity))))[:1]:
                requested = event_of(stored)
                assert isinstance(requested, Requested)
                asked.append((requested.request.request_type, list(requested.request.context)))
    return asked


def phase(name: Phase, confidence: float = 0.4, label: Clearance = Clearance.INTERNAL) -> PhaseResult:
    sections = {"executive_summary": "sum", "recommendations": "rec"}
    domain = ASKED_OF.get(name, Domain.SOPHIA)
    return PhaseResult(
        phase=name, domain=domain, sections=sections, confidence=confidence, evidence=(), model="m", label=label
    )


def test_it_concludes_in_part_once_and_then_ends_whole_or_is_left() -> None:
    began = AnalysisStarted(by="ann", subject="s", question="q", patient=True)
    own = [PhaseCompleted(result=phase(name), label=Clearance.INTERNAL) for name in OWN]
    lacks = PhaseMissing(phase="feasibility", domain=Domain.ARTEMIS, request_type="x", why="it is away")
    results = (phase("strategic_synthesis", 0.5, Clearance.RESTRICTED), phase("recommendations"))
    tell = ConcludeAnalysisInPart(results=results, missing=(lacks,))
    part = AnalysisConcludedInPart(
        results=results,
        missing=(lacks,),
        executive_summary="sum",
        recommendations="rec",
        confidence=0.34,  # (3 x 0.4 + 0.5 + 0) / 5
        confidence_by_domain={"ceo": 0.5, "sophia": 0.4},
        label=Clearance.RESTRICTED,
    )
    state = given(analysis, began, *own).when(tell).then(part)
    state.when(tell).then()
    state.when(FinishAnalysis()).rejects("phase feasibility is not done")
    late = FailAnalysis(reason="late", code="budget")
    left = state.when(late).then(AnalysisLeftInPart(reason="late", code="budget"))
    left.when(late).then()
    left.when(RecordPhase(result=phase("feasibility"))).then()
    for name in OTHERS:
        state = state.when(RecordPhase(result=phase(name))).then(
            PhaseCompleted(result=phase(name), label=Clearance.INTERNAL)
        )
    ended = state.when(FinishAnalysis())
    assert [type(event) for event in ended.events] == [AnalysisCompleted]
    ended.after.when(late).then()
    ended.after.when(tell).then()


def test_a_domain_that_is_down_is_named_and_the_whole_follows_when_it_is_back() -> None:
    async def body(world: World) -> None:
        await world.send(START, to=ANALYSIS)
        part = await part_of(world)
        assert missing(part) == [("feasibility", Domain.ARTEMIS, "technical_feasibility_analysis")]
        assert part.missing[0].why == "it has not taken the request up within 0.1 s"
        assert [one.phase for one in part.results] == ["strategic_synthesis", "recommendations"]
        await also_up(world, Domain.ARTEMIS)
        assert is_whole(await told(world, WHOLE))

    played(body, Domain.SOPHIA, Domain.CEO)


def test_both_may_be_missing_and_come_in_any_order() -> None:
    async def body(world: World) -> None:
        await world.send(START, to=ANALYSIS)
        part = await part_of(world)
        assert [one[:2] for one in missing(part)] == [
            ("feasibility", Domain.ARTEMIS),
            ("strategic_synthesis", Domain.CEO),
        ]
        assert [one.phase for one in part.results] == ["recommendations"]
        await also_up(world, Domain.CEO)
        await also_up(world, Domain.ARTEMIS)
        assert is_whole(await told(world, WHOLE))

    played(body, Domain.SOPHIA)


def test_a_domain_that_waits_for_a_third_one_is_in_the_part_as_far_as_it_went() -> None:
    async def body(world: World) -> None:
        await world.send(START, to=ANALYSIS)
        part = await part_of(world)
        assert missing(part) == [
            ("feasibility", Domain.CEO, "strategic_alignment"),
            ("strategic_synthesis", Domain.CEO, "strategic_alignment"),
        ]
        assert [one.phase for one in part.results] == ["feasibility", "recommendations"]
        await also_up(world, Domain.CEO)
        assert is_whole(await told(world, WHOLE))

    played(body, Domain.SOPHIA, Domain.ARTEMIS, ask_work_s_max=20.0)


def test_the_worker_may_die_while_it_waits_and_part_and_whole_are_there_once() -> None:
    async def body(world: World) -> None:
        await world.send(START, to=ANALYSIS)
        await part_of(world)
        await world.stop()
        await world.start(*Domain)
        assert is_whole(await told(world, WHOLE))

    played(body, Domain.SOPHIA, Domain.CEO)


def test_a_failure_there_ends_the_wait_and_the_part_stands() -> None:
    async def body(world: World) -> None:
        await world.send(START, to=ANALYSIS)
        await part_of(world)
        world.model.fail += [OutcomeError("no model today")] * 2  # Artemis asks the CEO first.
        await also_up(world, Domain.ARTEMIS)
        left = (await told(world, PART + 1))[-1]
        assert left == AnalysisLeftInPart(reason="artemis: no model today")

    played(body, Domain.SOPHIA, Domain.CEO)


def test_past_the_deadline_the_part_stands() -> None:
    async def body(world: World) -> None:
        await world.send(START, to=ANALYSIS, deadline=datetime.now(UTC) + timedelta(seconds=1))
        await part_of(world)
        left = (await told(world, PART + 1))[-1]
        assert isinstance(left, AnalysisLeftInPart)
        assert "deadline of the request" in left.reason or "artemis did not answer by" in left.reason

    played(body, Domain.SOPHIA, Domain.CEO)


def test_a_cancelled_run_waits_no_longer() -> None:
    async def body(world: World) -> None:
        correlation = await world.send(START, to=ANALYSIS)
        await part_of(world)
        await world.send(Cancel(correlation=correlation, reason="by ann"), to=ANALYSIS)
        left = (await told(world, PART + 1))[-1]
        assert isinstance(left, AnalysisLeftInPart)
        assert left.reason == "cancelled: by ann"

    played(body, Domain.SOPHIA, Domain.CEO)


def test_a_circuit_that_is_open_fails_no_phase_and_loses_no_request() -> None:
    guards = Guards({"domain artemis": Policy(failures_open=1)})
    guards.failed("domain artemis", "it was away")

    async def body(world: World) -> None:
        await world.send(START, to=ANALYSIS)
        part = await part_of(world)
        assert "its circuit is open after several failures, at last: it was away" in part.missing[0].why
        await also_up(world, Domain.ARTEMIS)
        assert is_whole(await told(world, WHOLE))

    played(body, Domain.SOPHIA, Domain.CEO, guards=guards, ask_taken_s_max=20.0)


def test_what_was_worked_out_without_a_phase_is_worked_out_anew_when_that_has_come() -> None:
    async def body(world: World) -> None:
        await world.send(START, to=ANALYSIS)
        await part_of(world)
        await also_up(world, Domain.ARTEMIS)
        await told(world, WHOLE)
        assert await told_others(world) == [
            ("technical_feasibility_analysis", list(OWN)),
            ("strategic_alignment", list(OWN)),
            ("strategic_alignment", [*OWN, "feasibility"]),
        ]

    played(body, Domain.SOPHIA, Domain.CEO)


def test_where_the_view_anew_comes_to_nothing_the_one_of_the_part_stands() -> None:
    class Fails(CountingModel):
        """The CEO's view, once he is told what Artemis says."""

        async def complete(self, prompt: Prompt, call: Call) -> Reply:
            if prompt.role == ROLE and any(one.startswith("Feasibility: ") for one in prompt.findings):
                raise OutcomeError("no model today")
            return await super().complete(prompt, call)

    async def body(world: World) -> None:
        await world.send(START, to=ANALYSIS)
        part = await part_of(world)
        await also_up(world, Domain.ARTEMIS)
        events = await told(world, WHOLE)
        assert is_whole(events)
        view = events[-3]
        assert isinstance(view, PhaseCompleted)
        assert (view.result.domain, view.result.sections) == (Domain.CEO, part.results[0].sections)

    played(body, Domain.SOPHIA, Domain.CEO, model=Fails())


def test_one_that_began_before_goes_on_as_it_began() -> None:
    before = ActorRef(Domain.SOPHIA, "analysis", "a0")

    async def body(world: World) -> None:
        await world.send(START, to=ANALYSIS)
        first, *_ = await world.events(ANALYSIS, at_least=len(PHASES) + 2)
        names = [one.name for one in await journal(world, ANALYSIS)]
        assert (names.count("ask"), names.count("patience")) == (2, 2)
        started = event_of(first)
        assert isinstance(started, AnalysisStarted)
        envelope = replace(first.record.envelope, id=new_id(), prev=None, hash=None)
        old = msgspec.json.encode(replace(started, patient=False))
        await world.log.append(log(before), [Record(envelope, old)], expected=0)
        end = event_of((await world.events(before, at_least=len(PHASES) + 2))[-1])
        assert isinstance(end, AnalysisCompleted)
        names = [one.name for one in await journal(world, before)]
        assert (names.count("ask"), names.count("patience")) == (2, 0)

    played(body, *Domain, ask_taken_s_max=20.0)


class Silent(MemoryLog):
    """It stores what is recorded of the analysis, but never says so: whoever recorded it begins anew with what he reads there."""

    async def append(self, subject: str, records: Sequence[Record], *, expected: int) -> int:
        sequence = await super().append(subject, records, expected=expected)
        if parse(subject).actor == ANALYSIS:
            raise UnavailableError("log", "it did not answer", 0)
        return sequence


def test_a_reaction_that_begins_anew_after_each_record_leaves_one_part_and_one_whole() -> None:
    async def body(world: World) -> None:
        await world.stop()
        world.outside = replace(world.outside, log=Silent(world.broker))
        await world.start(Domain.SOPHIA, Domain.CEO)
        await world.send(START, to=ANALYSIS)
        await part_of(world)
        await also_up(world, Domain.ARTEMIS)
        assert is_whole(await told(world, WHOLE))
        effects = sorted(one.effect for one in await journal(world, ANALYSIS))
        assert effects == list(range(len(effects)))
        assert len(world.model.keys) == len(set(world.model.keys))

    played(body, Domain.SOPHIA, Domain.CEO)
