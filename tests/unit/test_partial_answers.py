"""A domain that is down yields an answer in part that says what is missing, and the whole one when it is back."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import msgspec
from msgspec.structs import replace

from actors.collaboration import collaboration
from actors.conversation import conversation
from contracts.conversation import Answered, AnsweredInPart, Ask, Asked, LeftInPart, SessionStarted
from contracts.domains import Domain
from contracts.envelope import Event, Record, Stored
from contracts.ids import new_id
from contracts.kernel import Cancel, EffectRecorded
from contracts.subjects import ActorRef, log, run
from runtime.breaker import Policy
from runtime.guards import Guards
from tests import domains_away
from tests.domains_away import also_up, event_of
from tests.kernel_world import World

SESSION = ActorRef(Domain.SOPHIA, "conversation", "sophia-1")
QUESTION = "Can we build a self-service portal for the customers we lose?"

played = partial(domains_away.played, actors=(conversation, collaboration))


async def ask(world: World, turn: str = "t1", **changes: Any) -> str:
    message = Ask(turn=turn, by="ann", text=QUESTION, context_type="business", collaborate=True)
    return await world.send(message, to=SESSION, **changes)


async def told(world: World, at_least: int) -> list[Event]:
    """The session's events once there are so many."""
    return [event_of(one) for one in await world.events(SESSION, at_least=at_least)]


def test_a_domain_that_is_down_is_named_and_its_part_follows_when_it_is_back() -> None:
    async def body(world: World) -> None:
        await ask(world)
        *_, part = await told(world, 3)
        assert isinstance(part, AnsweredInPart)
        assert [(one.domain, one.request_type) for one in part.missing] == [
            (Domain.ARTEMIS, "technical_feasibility_analysis")
        ]
        assert part.missing[0].why == "it has not taken the request up within 0.1 s"
        assert "Artemis has not contributed its technical feasibility analysis: it has not taken" in part.answer.content
        assert part.answer.collaborators == (Domain.CEO,)
        await also_up(world, Domain.ARTEMIS)
        *before, whole = await told(world, 4)
        assert isinstance(whole, Answered)
        assert whole.collaborators == (Domain.ARTEMIS, Domain.CEO)
        assert "Not complete" not in whole.content
        assert [type(event) for event in before] == [SessionStarted, Asked, AnsweredInPart]

    played(body, Domain.SOPHIA, Domain.CEO)


def test_both_may_be_missing_and_come_in_any_order() -> None:
    async def body(world: World) -> None:
        await ask(world)
        *_, part = await told(world, 3)
        assert isinstance(part, AnsweredInPart)
        assert [one.domain for one in part.missing] == [Domain.ARTEMIS, Domain.CEO]
        await also_up(world, Domain.CEO)
        await also_up(world, Domain.ARTEMIS)
        *_, whole = await told(world, 4)
        assert isinstance(whole, Answered)
        assert whole.collaborators == (Domain.ARTEMIS, Domain.CEO)

    played(body, Domain.SOPHIA)


def test_the_worker_may_die_while_it_waits_and_each_answer_is_there_once() -> None:
    async def body(world: World) -> None:
        await ask(world)
        await told(world, 3)
        await world.stop()
        await world.start(Domain.SOPHIA, Domain.CEO, Domain.ARTEMIS)
        events = await told(world, 4)
        assert [type(event) for event in events] == [SessionStarted, Asked, AnsweredInPart, Answered]

    played(body, Domain.SOPHIA, Domain.CEO)


def test_the_next_question_need_not_wait_and_is_told_of_the_part() -> None:
    async def body(world: World) -> None:
        await ask(world)
        await told(world, 3)
        await ask(world, "t2")
        events = await told(world, 5)
        second = events[3]
        assert isinstance(second, Asked)
        assert isinstance(events[2], AnsweredInPart)
        assert second.history[-1].answer == events[2].answer.content[:600]
        await also_up(world, Domain.ARTEMIS)
        ends = [event for event in await told(world, 7) if isinstance(event, Answered)]
        assert {end.turn for end in ends} == {"t1", "t2"}

    played(body, Domain.SOPHIA, Domain.CEO)


def test_past_the_deadline_the_part_stands() -> None:
    async def body(world: World) -> None:
        await ask(world, deadline=datetime.now(UTC) + timedelta(seconds=1))
        *_, part, left = await told(world, 4)
        assert isinstance(part, AnsweredInPart)
        assert isinstance(left, LeftInPart)
        assert "deadline of the request" in left.reason or "artemis did not answer by" in left.reason

    played(body, Domain.SOPHIA, Domain.CEO)


def test_a_cancelled_run_waits_no_longer() -> None:
    async def body(world: World) -> None:
        correlation = await ask(world)
        await told(world, 3)
        await world.send(Cancel(correlation=correlation, reason="by ann"), to=SESSION)
        *_, left = await told(world, 4)
        assert isinstance(left, LeftInPart)
        assert left.reason == "cancelled: by ann"

    played(body, Domain.SOPHIA, Domain.CEO)


def test_a_circuit_that_is_open_keeps_nobody_waiting_and_loses_no_request() -> None:
    guards = Guards({"domain artemis": Policy(failures_open=1)})
    guards.failed("domain artemis", "it was away")

    async def body(world: World) -> None:
        await ask(world)
        *_, part = await told(world, 3)
        assert isinstance(part, AnsweredInPart)
        assert "its circuit is open after several failures, at last: it was away" in part.missing[0].why
        await also_up(world, Domain.ARTEMIS)
        *_, whole = await told(world, 4)
        assert isinstance(whole, Answered)
        assert Domain.ARTEMIS in whole.collaborators

    played(body, Domain.SOPHIA, Domain.CEO, guards=guards, ask_taken_s_max=20.0)


def test_several_that_did_not_take_a_request_up_open_the_circuit() -> None:
    async def body(world: World) -> None:
        for number in range(5):
            await ask(world, f"t{number}")
            await told(world, 3 + 2 * number)
        await ask(world, "t5")
        *_, part = await told(world, 13)
        assert isinstance(part, AnsweredInPart)
        assert "its circuit is open" in part.missing[0].why

    played(body, Domain.SOPHIA, Domain.CEO)


def test_a_question_of_before_is_answered_as_it_was_then_and_one_of_today_says_what_came_in_time() -> None:
    async def names(world: World, stored: Stored) -> list[str]:
        journal = await world.log.read(run(SESSION, stored.record.envelope.id))
        return [msgspec.json.decode(one.record.body, type=EffectRecorded).name for one in journal]

    async def body(world: World) -> None:
        await ask(world)
        _, asked, answered = await world.events(SESSION, at_least=3)
        assert isinstance(event_of(answered), Answered)
        assert (await names(world, asked)).count("patience") == 2
        before = replace(event_of(asked), turn="t0", flow=1)
        envelope = replace(asked.record.envelope, id=new_id(), prev=None, hash=None)
        await world.log.append(
            log(SESSION), [Record(envelope, msgspec.json.encode(before))], expected=answered.sequence
        )
        _, _, _, asked, answered = await world.events(SESSION, at_least=5)
        assert (await names(world, asked)).count("patience") == 0
        assert (await names(world, asked)).count("ask") == 2
        assert isinstance(event_of(answered), Answered)

    played(body, Domain.SOPHIA, Domain.CEO, Domain.ARTEMIS, ask_taken_s_max=20.0)
