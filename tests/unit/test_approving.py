"""Under approval: a tool waits for people however long, runs what they saw, once, and nothing else."""

from datetime import timedelta
from typing import Any

import msgspec
from msgspec.structs import replace

from contracts import subjects
from contracts.approval import (
    ApprovalGranted,
    ApprovalRule,
    ApprovalUsed,
    ApprovalVoided,
    GrantApproval,
    Policy,
    WithdrawApproval,
)
from contracts.catalogue import tag
from contracts.domains import Clearance, Domain
from contracts.ids import new_id
from contracts.kernel import Cancel, EffectRecorded
from contracts.letters import LetterFilter
from runtime.actor import Actor, Recorded
from runtime.effects import Effects
from runtime.errors import OutcomeError
from tests.approvals import decider, deny, revoke
from tests.approving_world import EVERY, Acting, Doubling, Loose, acting, run, types
from tests.kernel_world import COUNTER, Add, Added, Note, Sum, decide, evolve


def test_a_tool_waits_parked_until_people_agree_and_runs_what_they_saw() -> None:
    doubling = Doubling()

    async def body() -> None:
        async with Acting(acting(lambda: Sum(total=3)), doubling) as world:
            correlation = await world.send(Add(amount=1))
            ref, asked = await world.asked()
            assert asked.action.arguments == msgspec.Raw(b'{"total":3,"notes":[]}')
            assert (asked.action.principal, asked.action.correlation) == ("ann", correlation)
            assert doubling.runs == []
            await world.grant(ref, asked.digest)
            assert await world.said() == "6"
            history = await world.history(ref, 5)
            assert types(history) == ["requested", "granted", "answered", "used", "answered"]
            assert history[1].record.envelope.principal == "bob"
            used = msgspec.json.decode(history[3].record.body, type=ApprovalUsed)
            [first, *_] = await world.events(at_least=1)
            journal = await world.log.read(subjects.run(COUNTER, first.record.envelope.id))
            entries = [msgspec.json.decode(one.record.body, type=EffectRecorded) for one in journal]
            assert [entry.name for entry in entries] == ["approval due", "approval", "approval claim", "tool double"]
            assert (used.causation, used.effect) == (first.record.envelope.id, entries[3].effect)

    run(body)
    assert doubling.runs == [3]


def test_it_outlives_the_worker_that_waited_and_a_month_of_nothing() -> None:
    """Days cost nothing: nothing runs, a timer waits; the worker that goes on is another one."""
    doubling = Doubling()

    async def body() -> None:
        rule = ApprovalRule(expires_s=30 * 86_400)
        world = Acting(acting(lambda: Sum(total=3), rule), doubling)
        await world.start(Domain.CEO, Domain.SYSTEM)
        await world.send(Add(amount=1))
        ref, asked = await world.asked()
        await world.stop()
        world.ahead = timedelta(days=29)
        await world.start(Domain.SYSTEM)
        await world.grant(ref, asked.digest)
        await world.history(ref, 3)
        await world.stop()
        await world.start(Domain.CEO, Domain.SYSTEM)
        assert await world.said() == "6"
        await world.stop()

    run(body)
    assert doubling.runs == [3]


def test_other_arguments_after_the_approval_run_nothing_and_both_digests_stand_there() -> None:
    """The code that makes the arguments changed while people were asked."""
    doubling, totals = Doubling(), [3]

    async def body() -> None:
        async with Acting(acting(lambda: Sum(total=totals[-1])), doubling) as world:
            await world.send(Add(amount=1))
            ref, asked = await world.asked()
            totals.append(4)
            await world.grant(ref, asked.digest)
            assert "what was to run is not what was approved" in await world.said()
            history = await world.history(ref, 5)
            assert types(history) == ["requested", "granted", "answered", "voided", "answered"]
            voided = msgspec.json.decode(history[3].record.body, type=ApprovalVoided)
            changed = replace(asked.action, arguments=msgspec.Raw(b'{"total":4,"notes":[]}'))
            assert (voided.approved, voided.running) == (asked.digest, changed.digest)
            assert not await world.broker.letters.find(LetterFilter(), limit=1)

    run(body)
    assert doubling.runs == []


def test_arguments_that_change_under_the_hands_are_seen_right_before_they_run() -> None:
    """After the claim: nothing but the last look stands between them and the tool."""
    doubling = Doubling(Loose)
    mutable: list[str] = []

    async def react(recorded: Recorded[Added], effects: Effects) -> None:
        assert recorded.actor == COUNTER
        effects.grant(("sophia:read",))
        effects.require(EVERY)
        try:
            await effects.tool("double", Loose(mutable), Sum)
        except OutcomeError as error:
            await effects.tell(Note(text=str(error)))

    async def body() -> None:
        async with Acting(Actor("counter", Sum(), decide, evolve, react), doubling) as world:
            stored = world.log.append

            async def append(subject: str, records: Any, *, expected: int) -> int:
                if any(one.envelope.type == tag(ApprovalUsed) for one in records):
                    mutable.append("also this")
                return await stored(subject, records, expected=expected)

            world.log.append = append  # type: ignore[method-assign]
            await world.send(Add(amount=1))
            ref, asked = await world.asked()
            await world.grant(ref, asked.digest)
            assert "what was to run is not what was approved" in await world.said()
            assert types(await world.history(ref, 6))[3:] == ["used", "answered", "voided"]

    run(body)
    assert doubling.runs == []


def test_another_policy_after_the_approval_voids_it_too() -> None:
    doubling = Doubling()

    async def body() -> None:
        world = Acting(acting(lambda: Sum(total=3), None), doubling, (ApprovalRule(tools=("double",)),))
        async with world:
            await world.send(Add(amount=1))
            ref, asked = await world.asked()
            await world.stop()
            stricter = (ApprovalRule(tools=("double",), approvers=("cleo",)),)
            world.outside = replace(world.outside, approvals=stricter)
            await world.start(Domain.CEO, Domain.SYSTEM)
            await world.grant(ref, asked.digest)
            assert "not what was approved" in await world.said()

    run(body)
    assert doubling.runs == []


def test_what_began_before_a_rule_was_made_goes_on_without_it() -> None:
    """Its journal says that the tool ran; a rule of today asks nobody about that."""
    doubling, broken = Doubling(), [True]

    async def react(recorded: Recorded[Added], effects: Effects) -> None:
        assert recorded.actor == COUNTER
        effects.grant(("sophia:read",))
        doubled = await effects.tool("double", Sum(total=3), Sum)
        if broken:
            await effects.sleep(timedelta(seconds=0.2))
        await effects.tell(Note(text=f"{doubled.total}"))

    async def body() -> None:
        world = Acting(Actor("counter", Sum(), decide, evolve, react), doubling)
        await world.start(Domain.CEO)
        await world.send(Add(amount=1))
        while not world.timers._timers or world.workers[0].reactor._running:
            await world.broker.logs[Domain.CEO].change(0.01)
        await world.stop()
        world.outside = replace(world.outside, approvals=(EVERY,))
        await world.start(Domain.CEO)
        assert await world.said() == "6"
        await world.stop()

    run(body)
    assert doubling.runs == [3]


def test_denied_revoked_and_expired_run_nothing_and_say_why() -> None:
    async def body(how: str, told: str) -> None:
        doubling = Doubling()
        async with Acting(acting(lambda: Sum(total=3), ApprovalRule(expires_s=3_600)), doubling) as world:
            await world.send(Add(amount=1))
            ref, asked = await world.asked()
            if how == "denied":
                await world.send(deny("bob", "too broad"), ref, principal="bob")
            elif how == "revoked":
                await world.workers[0].stop()
                await world.grant(ref, asked.digest)
                await world.send(revoke("bob"), ref, principal="bob")
                await world.history(ref, 5)
                await world.start(Domain.CEO, Domain.SYSTEM)
            else:
                world.ahead = timedelta(hours=2)
                await world.grant(ref, asked.digest)
                world.timers.fire()
            assert told in await world.said()
        assert doubling.runs == []

    run(lambda: body("denied", "is denied (bob: too broad)"))
    run(lambda: body("revoked", "is voided (bob took his agreement back)"))
    run(lambda: body("expired", "is expired"))


def test_a_run_that_is_cancelled_withdraws_what_it_waits_for() -> None:
    doubling = Doubling()

    async def body() -> None:
        async with Acting(acting(lambda: Sum(total=3)), doubling) as world:
            correlation = await world.send(Add(amount=1))
            ref, _ = await world.asked()
            await world.send(Cancel(correlation=correlation, reason="not wanted"), id=new_id())
            assert await world.said() == "cancelled: not wanted"
            assert types(await world.history(ref, 2))[1] == "withdrawn"

    run(body)
    assert doubling.runs == []


def test_nobody_speaks_for_another() -> None:
    """The name in a message is that of the principal it came in for, or it is not taken."""

    async def body() -> None:
        async with Acting(acting(lambda: Sum(total=3)), Doubling()) as world:
            await world.send(Add(amount=1))
            ref, asked = await world.asked()
            await world.grant(ref, asked.digest, by="bob")
            await world.history(ref, 3)
            forged = GrantApproval(by="cleo", digest=asked.digest, decider=decider())
            await world.send(forged, ref, principal="ann")
            await world.send(WithdrawApproval(by="ann", reason=""), ref, principal="eve")
            while len(letters := await world.broker.letters.find(LetterFilter(), limit=10)) < 2:
                await world.broker.logs[Domain.SYSTEM].change(0.01)
            reasons = sorted(one.letter.reason for one in letters)
            assert "approval.grant.v1 of 'cleo' was sent for 'ann'" in reasons[0]
            granted = [one for one in await world.history(ref, 5) if one.record.envelope.type == tag(ApprovalGranted)]
            assert [one.record.envelope.principal for one in granted] == ["bob"]

    run(body)


def test_what_was_read_labels_what_is_asked_and_who_is_not_cleared_is_refused() -> None:
    doubling = Doubling()

    async def body() -> None:
        async with Acting(acting(lambda: Sum(total=3)), doubling) as world:
            await world.send(Add(amount=1), label=Clearance.RESTRICTED)
            ref, asked = await world.asked()
            assert asked.label is Clearance.RESTRICTED
            low = decider(clearance=Clearance.INTERNAL)
            await world.send(GrantApproval(by="bob", digest=asked.digest, decider=low), ref, principal="bob")
            history = await world.history(ref, 2)
            assert (types(history)[1], history[1].record.envelope.label) == ("runtime.refused", Clearance.PUBLIC)

    run(body)
    assert doubling.runs == []


def test_the_policy_of_a_request_is_that_of_what_is_asked() -> None:
    async def body() -> None:
        rule = ApprovalRule(quorum=2, approvers=("bob", "cleo"), expires_s=60)
        async with Acting(acting(lambda: Sum(total=3), rule), Doubling()) as world:
            await world.send(Add(amount=1))
            _, asked = await world.asked()
            assert asked.action.policy == Policy(quorum=2, approvers=("bob", "cleo"), expires_s=60)

    run(body)


def test_a_tool_that_wants_an_approval_waits_for_one_whoever_asks() -> None:
    doubling = Doubling(flagged=True)

    async def body() -> None:
        async with Acting(acting(lambda: Sum(total=3), None), doubling) as world:
            await world.send(Add(amount=1))
            ref, asked = await world.asked()
            assert asked.action.policy == Policy()
            await world.grant(ref, asked.digest)
            assert await world.said() == "6"

    run(body)
    assert doubling.runs == [3]
