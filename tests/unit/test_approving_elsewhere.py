"""Approval across domains: what a question demands holds where another domain works for it, and nobody runs out of time."""

from datetime import timedelta

import pytest

from actors import requests
from actors.collaboration import collaboration
from contracts.approval import ApprovalRule
from contracts.collaboration import COLLABORATION, Outcome, Request, Requested
from contracts.domains import Domain
from runtime.actor import Actor, AnyActor, Recorded
from runtime.effects import Effects
from tests.approvals import deny
from tests.kernel_world import COUNTER, Add, Added, Note, Sum, decide, evolve
from tests.unit.test_approving import Acting, Doubling, run

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
