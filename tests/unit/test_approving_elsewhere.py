"""Approval across domains and in an analysis: what its asker demands holds wherever it works, and nobody runs out of time."""

from datetime import timedelta

import pytest

from actors import requests
from actors.collaboration import collaboration
from actors.sophia import analysis as analyses
from contracts.analysis import AnalysisFailed, AnalysisStarted, StartAnalysis
from contracts.approval import ApprovalRule
from contracts.catalogue import decode_event
from contracts.collaboration import COLLABORATION, Outcome, Request, Requested
from contracts.domains import Domain
from contracts.subjects import ActorRef
from runtime.actor import Actor, AnyActor, Recorded
from runtime.effects import Effects
from runtime.errors import OutcomeError
from tests.approvals import deny
from tests.approving_world import Acting, Doubling, run
from tests.kernel_world import COUNTER, Add, Added, Note, Sum, decide, evolve

ASKED = Request(request_type="business_impact_analysis", question="?")
RULE = ApprovalRule(tools=("double",), quorum=1, expires_s=30 * 86_400)
ALL = (Domain.CEO, Domain.SOPHIA, Domain.SYSTEM)


@pytest.fixture(autouse=True)
def _sophia_doubles(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Sophia answers with is what the tool says."""

    async def handler(_requested: Requested, effects: Effects) -> Outcome:
        doubled = await effects.tool("double", Sum(total=3), Sum)
        return Outcome(status="completed", sections={"answer": f"{doubled.total}"})

    monkeypatch.setitem(requests.HANDLERS, (Domain.SOPHIA, ASKED.request_type), handler)


def asking(rule: ApprovalRule | None) -> AnyActor:
    """An actor of the CEO's domain that asks Sophia."""

    async def react(recorded: Recorded[Added], effects: Effects) -> None:
        assert recorded.actor == COUNTER
        effects.grant(("sophia:read",))
        effects.require(rule)
        outcome = await effects.ask(Domain.SOPHIA, ASKED)
        await effects.tell(Note(text=f"{outcome.status}: {outcome.sections.get('answer', outcome.reason)}"))

    return Actor("counter", Sum(), decide, evolve, react)


def world(rule: ApprovalRule | None, doubling: Doubling) -> Acting:
    made = Acting(asking(rule), doubling)
    made.actors = (*made.actors, collaboration)
    return made


def test_what_the_asker_demands_holds_in_the_domain_that_he_asks_for_weeks_if_need_be() -> None:
    doubling = Doubling()

    async def body() -> None:
        running = world(RULE, doubling)
        await running.start(*ALL)
        correlation = await running.send(Add(amount=1))
        ref, asked = await running.asked()
        action = asked.action
        assert (action.domain, action.actor.partition("/")[0]) == (Domain.SOPHIA, COLLABORATION)
        assert (action.principal, action.correlation, action.policy) == ("ann", correlation, RULE.policy)
        await running.stop()
        running.ahead = timedelta(days=29)
        await running.start(*ALL)
        running.timers.fire()
        await running.grant(ref, asked.digest)
        assert await running.said() == "completed: 6"
        await running.stop()

    run(body)
    assert doubling.runs == [3]


def test_what_is_denied_there_is_an_outcome_here() -> None:
    doubling = Doubling()

    async def body() -> None:
        running = world(RULE, doubling)
        await running.start(*ALL)
        await running.send(Add(amount=1))
        ref, _ = await running.asked()
        await running.send(deny("bob", "too broad"), ref, principal="bob")
        assert (await running.said()).startswith("failed: tool double did not run: its approval")
        await running.stop()

    run(body)
    assert doubling.runs == []


def test_where_nobody_demands_it_nobody_is_asked() -> None:
    doubling = Doubling()

    async def body() -> None:
        running = world(None, doubling)
        await running.start(*ALL)
        await running.send(Add(amount=1))
        assert await running.said() == "completed: 6"
        await running.stop()

    run(body)
    assert doubling.runs == [3]


class Doubles:
    """What stands for the five phases: one tool, whose result is why there is no analysis."""

    def __init__(self, _recorded: object, effects: Effects) -> None:
        self.effects = effects

    async def all(self) -> None:
        raise OutcomeError(f"{(await self.effects.tool('double', Sum(total=3), Sum)).total}")


def test_an_analysis_waits_for_what_its_asker_demands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analyses, "Phases", Doubles)
    doubling = Doubling()
    analysis = ActorRef(Domain.SOPHIA, "analysis", "a1")

    async def body() -> None:
        running = Acting(analyses.analysis, doubling)
        await running.start(*ALL)
        start = StartAnalysis(by="ann", subject="Portal", question="?", approval=RULE, grants=("sophia:read",))
        await running.send(start, analysis)
        ref, asked = await running.asked()
        assert (asked.action.domain, asked.action.actor, asked.action.policy) == (
            Domain.SOPHIA,
            "analysis/a1",
            RULE.policy,
        )
        assert doubling.runs == []
        await running.grant(ref, asked.digest)
        events = [
            decode_event(one.record.envelope.type, one.record.body)
            for one in await running.events(analysis, at_least=2)
        ]
        assert [type(event) for event in events] == [AnalysisStarted, AnalysisFailed]
        assert isinstance(events[1], AnalysisFailed)
        assert events[1].reason == "6"
        await running.stop()

    run(body)
    assert doubling.runs == [3]
