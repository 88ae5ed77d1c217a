"""Queue and feeds: one suite for every adapter."""

import asyncio
from contextlib import AbstractAsyncContextManager

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts import subjects
from contracts.domains import Domain
from contracts.envelope import Record, from_headers
from contracts.ids import new_id
from contracts.kernel import DeadLetter
from contracts.letters import LetterFilter
from contracts.subjects import ActorRef
from runtime.limits import Limits
from runtime.ports import Delivery, QueueName
from tests.contract.conftest import Run, World
from tests.contract.holding import ONE, Holder
from tests.contract.holding import holding as holding_of
from tests.contract.records import actor, record

PENDING_MAX = Limits().pending_max


def holding(world: World, name: QueueName = "inbox", ref: ActorRef = ONE) -> AbstractAsyncContextManager[Holder]:
    return holding_of(world.queue, name, ref)


async def send(world: World, number: int = 1, ref: ActorRef = ONE) -> list[Record]:
    sent = [record() for _ in range(number)]
    for one in sent:
        await world.queue.publish(subjects.inbox(ref), one)
    return sent


def ids(deliveries: list[Delivery]) -> list[str]:
    return [from_headers(one.headers).id for one in deliveries]


def letter(delivery: Delivery, reason: str) -> DeadLetter:
    return DeadLetter(
        id=new_id(), subject=delivery.subject, sequence=delivery.sequence, reason=reason, attempts=1, time="now"
    )


async def is_idle(holder: Holder, world: World, ref: ActorRef = ONE) -> bool:
    """Whether nothing else comes before a message published now."""
    [mark] = await send(world, ref=ref)
    delivery = await holder.next()
    await delivery.ack()
    return delivery.headers["Nats-Msg-Id"] == mark.envelope.id


def test_the_latest_message_to_an_actor_is_known_before_anybody_takes_it(run: Run) -> None:
    async def scenario(world: World) -> None:
        assert await world.queue.latest(ONE) is None
        await send(world, 2)
        [last] = await send(world)
        await send(world, ref=actor())
        assert await world.queue.latest(ONE) == last

    run(scenario)


def test_a_message_arrives_whole_and_once(run: Run) -> None:
    async def scenario(world: World) -> None:
        subject, sent = subjects.inbox(ONE), record(b'{"n":1}')
        await world.queue.publish(subject, sent)
        async with holding(world) as holder:
            delivery = await holder.next()
            assert (delivery.subject, delivery.sequence) == (subject, 1)
            assert delivery.time_ns > 1_700_000_000 * 10**9
            assert from_headers(delivery.headers) == sent.envelope
            assert delivery.headers["Nats-Msg-Id"] == sent.envelope.id
            assert delivery.body == sent.body
            await delivery.ack()
            assert await is_idle(holder, world)
        async with holding(world) as holder:
            assert await is_idle(holder, world)

    run(scenario)


def test_messages_come_in_order(run: Run) -> None:
    async def scenario(world: World) -> None:
        sent = await send(world, 600)
        async with holding(world) as holder:
            for one in sent:
                delivery = await holder.next()
                assert from_headers(delivery.headers) == one.envelope
                assert not delivery.repeated or one is sent[0]
                await delivery.ack()

    run(scenario)


def test_a_repeated_publish_is_stored_once(run: Run) -> None:
    async def scenario(world: World) -> None:
        subject, sent = subjects.inbox(ONE), record()
        for _ in range(3):
            await world.queue.publish(subject, sent)
        async with holding(world) as holder:
            await (await holder.next()).ack()
            assert await is_idle(holder, world)

    run(scenario)


def test_under_load_repeated_publishes_are_stored_once_too(run: Run) -> None:
    async def scenario(world: World) -> None:
        subject = subjects.inbox(ONE)
        early, late = [record() for _ in range(50)], [record() for _ in range(50)]
        await asyncio.gather(*(world.queue.publish(subject, one) for one in early))
        await asyncio.gather(*(world.queue.publish(subject, one) for one in [*early, *late, *late]))
        async with holding(world) as holder:
            seen = await holder.many(100)
            assert {one.headers["Nats-Msg-Id"] for one in seen} == {one.envelope.id for one in early + late}
            for one in seen:
                await one.ack()
            assert await is_idle(holder, world)

    run(scenario)


def test_what_is_not_ended_comes_again_in_order_to_the_next_holder(run: Run) -> None:
    async def scenario(world: World) -> None:
        sent = await send(world, 4)
        dead = Holder(world.queue.feed(ONE.domain, "inbox", ONE.partition))
        await dead.feed.open()
        held = await dead.many(3)
        await held[1].ack()
        sent += await send(world, 2)
        async with holding(world) as holder:
            again = await holder.many(6)  # Also the second, which was ended behind the first.
            assert ids(again) == [one.envelope.id for one in sent]
            assert [one.repeated for one in again[:3]] == [True, True, True]
            for one in again:
                await one.ack()
            assert await is_idle(holder, world)

    run(scenario)


def test_what_is_reported_as_worked_on_does_not_come_again(run: Run) -> None:
    async def scenario(world: World) -> None:
        await send(world, 3)
        async with holding(world) as holder:
            ended, unended, working = await holder.many(3)
            await ended.ack()
            again = asyncio.ensure_future(holder.next())
            while not again.done():
                await working.working()
                await asyncio.wait([again], timeout=0.1)
            repeated = await again
            assert (repeated.sequence, repeated.repeated) == (unended.sequence, True)
            await repeated.ack()
            await working.ack()
            assert await is_idle(holder, world)

    run(scenario)


def test_a_partition_has_one_holder(run: Run) -> None:
    """Who loses it keeps what he was given and gets no more, until the other one lets go."""

    async def scenario(world: World) -> None:
        await send(world, 2)
        async with holding(world) as first:
            await (await first.next()).ack()
            assert (await first.next()).sequence == 2
            async with holding(world) as second:
                await send(world, 2)
                late = asyncio.ensure_future(first.next())
                for sequence in (2, 3, 4):
                    delivery = await second.next()
                    assert delivery.sequence == sequence
                    await delivery.ack()
                assert await is_idle(second, world)
                assert not late.done()
            await send(world)
            assert (await late).sequence >= 5  # The last one's end may still be under way in the server.

    run(scenario)


def test_who_has_taken_all_that_was_stored_has_caught_up(run: Run) -> None:
    async def scenario(world: World) -> None:
        async with holding(world) as holder:
            assert await holder.feed.lag() == "nothing"
            await send(world, 2)
            assert await holder.feed.lag() != "nothing"
            await holder.next()
            assert await holder.feed.lag() != "nothing"
            await holder.next()
            assert await holder.feed.lag() == "nothing"
            async with holding(world) as other:
                await other.many(2)
                assert await other.feed.lag() == "nothing"
                assert await holder.feed.lag() == "arriving"

    run(scenario)


def test_what_an_old_holder_ends_late_is_ended(run: Run) -> None:
    async def scenario(world: World) -> None:
        await send(world, 2)
        async with holding(world) as old:
            held = await old.many(2)
            async with holding(world) as new:
                again = await new.many(2)
                await held[0].ack()
                await again[1].ack()
                assert await is_idle(new, world)
            async with holding(world) as third:
                assert await is_idle(third, world)

    run(scenario)


def test_partitions_do_not_mix(run: Run) -> None:
    async def scenario(world: World) -> None:
        refs = [actor() for _ in range(40)]
        for ref in refs:
            await send(world, ref=ref)
        for partition in {ref.partition for ref in refs}:
            mine = [ref for ref in refs if ref.partition == partition]
            async with holding(world, ref=mine[0]) as holder:
                found = await holder.many(len(mine))
                assert [subjects.parse(one.subject).actor for one in found] == mine

    run(scenario)


def test_a_sweep_takes_what_is_ended_and_nothing_else(run: Run) -> None:
    async def scenario(world: World) -> None:
        other = next(ref for ref in (actor() for _ in range(1_000)) if ref.partition != ONE.partition)
        await send(world, 3)
        async with holding(world) as holder:
            first, *_ = await holder.many(3)
            await first.ack()
            left = await send(world, 2, ref=other)
            await world.queue.sweep(ONE.domain)
        async with holding(world, ref=other) as holder:
            assert ids(await holder.many(2)) == [one.envelope.id for one in left]
        async with holding(world) as holder:
            for delivery in await holder.many(2):
                await delivery.ack()
            await world.queue.sweep(ONE.domain)
            assert await is_idle(holder, world)

    run(scenario)


def test_deaths_are_counted_and_forgotten(run: Run) -> None:
    async def scenario(world: World) -> None:
        queue, place = world.queue, (Domain.SOPHIA, "inbox", 7)
        assert [await queue.died(*place) for _ in range(3)] == [1, 2, 3]  # type: ignore[arg-type]  # a tuple of these
        assert await queue.deaths(Domain.SOPHIA, "inbox", 7) == 3
        assert await queue.deaths(Domain.SOPHIA, "inbox", 8) == 0
        assert await queue.died(Domain.SOPHIA, "reactor", 7) == 1
        await queue.survived(Domain.SOPHIA, "inbox", 7)
        assert await queue.died(Domain.SOPHIA, "inbox", 7) == 1

    run(scenario)


def test_a_buried_message_is_a_dead_letter_and_ended(run: Run) -> None:
    async def scenario(world: World) -> None:
        await send(world, 3)
        async with holding(world) as holder:
            letters = []
            for number in range(3):
                delivery = await holder.next()
                letters.append(letter(delivery, f"reason {number} ñ"))
                await delivery.bury(letters[-1])
                await delivery.bury(letters[-1])  # repeated after an unknown outcome
            assert await is_idle(holder, world)
        found = await world.letters.find(LetterFilter(), limit=10)
        assert [one.letter for one in found] == letters[::-1]

    run(scenario)


def test_the_reactor_sees_the_log_lane_only(run: Run) -> None:
    async def scenario(world: World) -> None:
        ref = ONE
        event, journaled, later = record(), record(), record()
        await world.queue.publish(subjects.inbox(ref), record())
        await world.log.append(subjects.log(ref), [event], expected=0)
        await world.log.append(subjects.run(ref, new_id()), [journaled], expected=0)
        await world.log.append(subjects.log(ref), [later, record()], expected=1)
        async with holding(world, "reactor") as holder:
            for wanted in (event, later):
                delivery = await holder.next()
                assert delivery.subject == subjects.log(ref)
                assert from_headers(delivery.headers) == wanted.envelope
                await delivery.ack()

    run(scenario)


def test_domains_do_not_mix(run: Run) -> None:
    async def scenario(world: World) -> None:
        refs = [actor("the-one", domain) for domain in Domain]
        for ref in refs:
            await world.consume(ref.domain)
            await send(world, ref=ref)
        for ref in refs:
            async with holding(world, ref=ref) as holder:
                delivery = await holder.next()
                assert subjects.parse(delivery.subject).actor.domain is ref.domain
                await delivery.ack()
                assert await is_idle(holder, world, ref)

    run(scenario)


def test_a_program_outside_needs_neither_partition_nor_headers(run: Run) -> None:
    async def scenario(world: World) -> None:
        ref = actor("deal_1")
        await world.publish_plain(subjects.publisher(ref), b'{"type":"x.v1"}')
        async with holding(world, ref=ref) as holder:
            delivery = await holder.next()
            assert subjects.parse(delivery.subject) == subjects.Address("pub", ref)
            assert not [name for name in delivery.headers if name.startswith("Diarchy-")]
            assert delivery.body == b'{"type":"x.v1"}'
            await delivery.ack()

    run(scenario)


_tokens = st.text("ABCXYZabcxyz0189_-", min_size=1, max_size=40)


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actors=st.lists(st.tuples(_tokens, _tokens), min_size=64, max_size=64))
def test_the_partition_filled_in_is_ours(run: Run, actors: list[tuple[str, str]]) -> None:
    async def scenario(world: World) -> None:
        refs = [subjects.actor_ref(Domain.SOPHIA, kind, name) for kind, name in actors]
        for ref in refs:
            await world.publish_plain(subjects.publisher(ref), b"{}")
        for ref in refs:
            async with holding(world, ref=ref) as holder:
                delivery = await holder.next()
                assert int(delivery.subject.split(".")[2]) == ref.partition
                assert subjects.parse(delivery.subject).subject == delivery.subject
                await delivery.ack()

    run(scenario)


def test_more_messages_than_may_be_unended_wait_their_turn(run: Run) -> None:
    async def scenario(world: World) -> None:
        await asyncio.gather(*(world.queue.publish(subjects.inbox(ONE), record()) for _ in range(PENDING_MAX + 1)))
        async with holding(world) as holder:
            held = await holder.many(PENDING_MAX)
            more = asyncio.ensure_future(holder.next())
            await asyncio.wait([more], timeout=0.05)
            assert not more.done()
            await held[0].ack()
            async with asyncio.timeout(30):
                assert (await more).sequence == PENDING_MAX + 1

    run(scenario)
