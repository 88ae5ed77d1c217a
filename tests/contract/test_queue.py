"""Queue: one suite for every adapter."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts import subjects
from contracts.domains import Domain
from contracts.envelope import from_headers
from contracts.ids import new_id
from contracts.kernel import DeadLetter
from runtime.ports import Delivery, QueueName
from tests.contract.conftest import Run, World
from tests.contract.records import actor, record


def consume(
    world: World, name: QueueName = "inbox", domain: Domain = Domain.SOPHIA
) -> aclosing[AsyncGenerator[Delivery, None]]:
    return aclosing(world.queue.consume(domain, name))


def letter(delivery: Delivery, reason: str) -> DeadLetter:
    return DeadLetter(
        id=new_id(),
        subject=delivery.subject,
        sequence=delivery.sequence,
        reason=reason,
        attempts=delivery.deliveries,
        time="now",
    )


async def is_idle(deliveries: AsyncGenerator[Delivery, None], world: World, domain: Domain = Domain.SOPHIA) -> bool:
    """Whether nothing else comes before a message published now."""
    mark = record()
    await world.queue.publish(subjects.inbox(actor(domain=domain)), mark)
    delivery = await anext(deliveries)
    await delivery.ack()
    return delivery.headers["Nats-Msg-Id"] == mark.envelope.id


def test_a_message_arrives_whole_and_once(run: Run) -> None:
    async def scenario(world: World) -> None:
        subject, sent = subjects.inbox(actor()), record(b'{"n":1}')
        await world.queue.publish(subject, sent)
        async with consume(world) as deliveries:
            delivery = await anext(deliveries)
            assert (delivery.subject, delivery.sequence, delivery.deliveries) == (subject, 1, 1)
            assert delivery.time_ns > 1_700_000_000 * 10**9
            assert from_headers(delivery.headers) == sent.envelope
            assert [name for name in delivery.headers if name.startswith("Nats-")] == ["Nats-Msg-Id"]
            assert delivery.body == sent.body
            await delivery.ack()
            assert await is_idle(deliveries, world)
        async with consume(world) as deliveries:
            assert await is_idle(deliveries, world)

    run(scenario)


def test_messages_come_in_order(run: Run) -> None:
    async def scenario(world: World) -> None:
        sent = [record() for _ in range(600)]
        for one in sent:
            await world.queue.publish(subjects.inbox(actor()), one)
        async with consume(world) as deliveries:
            for one in sent:
                delivery = await anext(deliveries)
                assert from_headers(delivery.headers) == one.envelope
                await delivery.ack()

    run(scenario)


def test_a_repeated_publish_is_stored_once(run: Run) -> None:
    async def scenario(world: World) -> None:
        subject, sent = subjects.inbox(actor()), record()
        for _ in range(3):
            await world.queue.publish(subject, sent)
        async with consume(world) as deliveries:
            await (await anext(deliveries)).ack()
            assert await is_idle(deliveries, world)

    run(scenario)


def test_under_load_repeated_publishes_are_stored_once_too(run: Run) -> None:
    async def scenario(world: World) -> None:
        subject = subjects.inbox(actor())
        early, late = [record() for _ in range(50)], [record() for _ in range(50)]
        await asyncio.gather(*(world.queue.publish(subject, one) for one in early))
        await asyncio.gather(*(world.queue.publish(subject, one) for one in [*early, *late, *late]))
        async with consume(world) as deliveries:
            seen = [await anext(deliveries) for _ in range(100)]
            assert {one.headers["Nats-Msg-Id"] for one in seen} == {one.envelope.id for one in early + late}
            for one in seen:
                await one.ack()
            assert await is_idle(deliveries, world)

    run(scenario)


def test_what_is_not_ended_comes_again_and_what_is_ended_does_not(run: Run) -> None:
    async def scenario(world: World) -> None:
        for _ in range(3):
            await world.queue.publish(subjects.inbox(actor()), record())
        async with consume(world) as deliveries:
            ended, unended, working = [await anext(deliveries) for _ in range(3)]
            await ended.ack()
            again = asyncio.ensure_future(anext(deliveries))
            while not again.done():
                await working.working()
                await asyncio.wait([again], timeout=0.1)
            repeated = await again
            assert (repeated.sequence, repeated.deliveries) == (unended.sequence, 2)
            await repeated.ack()
            await working.ack()
            assert await is_idle(deliveries, world)

    run(scenario)


def test_each_message_goes_to_one_of_the_consumers(run: Run) -> None:
    async def scenario(world: World) -> None:
        seen: list[int] = []
        done = asyncio.Event()

        async def work() -> None:
            async with consume(world) as deliveries:
                async for delivery in deliveries:
                    seen.append(delivery.sequence)
                    await delivery.ack()
                    if len(seen) == 100:
                        done.set()

        workers = [asyncio.create_task(work()) for _ in range(3)]
        await asyncio.gather(*(world.queue.publish(subjects.inbox(actor()), record()) for _ in range(100)))
        await done.wait()
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        assert sorted(seen) == list(range(1, 101))

    run(scenario)


def test_a_buried_message_is_a_dead_letter_and_ended(run: Run) -> None:
    async def scenario(world: World) -> None:
        for _ in range(3):
            await world.queue.publish(subjects.inbox(actor()), record())
        async with consume(world) as deliveries:
            letters = []
            for number in range(3):
                delivery = await anext(deliveries)
                letters.append(letter(delivery, f"reason {number} ñ"))
                await delivery.bury(letters[-1])
                await delivery.bury(letters[-1])  # repeated after an unknown outcome
            assert await is_idle(deliveries, world)
        assert await world.queue.dead_letters() == letters[::-1]
        assert await world.queue.dead_letters(limit=2) == [letters[2], letters[1]]

    run(scenario)


def test_no_dead_letters_at_first(run: Run) -> None:
    async def scenario(world: World) -> None:
        assert await world.queue.dead_letters() == []

    run(scenario)


def test_the_reactor_sees_the_log_lane_only(run: Run) -> None:
    async def scenario(world: World) -> None:
        ref = actor()
        event, journaled, later = record(), record(), record()
        await world.queue.publish(subjects.inbox(ref), record())
        await world.log.append(subjects.log(ref), [event], expected=0)
        await world.log.append(subjects.run(ref, new_id()), [journaled], expected=0)
        await world.log.append(subjects.log(ref), [later, record()], expected=1)
        async with consume(world, "reactor") as deliveries:
            for wanted in (event, later):
                delivery = await anext(deliveries)
                assert delivery.subject == subjects.log(ref)
                assert from_headers(delivery.headers) == wanted.envelope
                await delivery.ack()

    run(scenario)


def test_domains_do_not_mix(run: Run) -> None:
    async def scenario(world: World) -> None:
        for domain in Domain:
            await world.queue.publish(subjects.inbox(actor(domain=domain)), record())
        for domain in Domain:
            async with consume(world, domain=domain) as deliveries:
                delivery = await anext(deliveries)
                assert subjects.parse(delivery.subject).actor.domain is domain
                await delivery.ack()
                assert await is_idle(deliveries, world, domain)

    run(scenario)


def test_a_program_outside_needs_neither_partition_nor_headers(run: Run) -> None:
    async def scenario(world: World) -> None:
        ref = actor("deal_1")
        await world.publish_plain(subjects.publisher(ref), b'{"type":"x.v1"}')
        async with consume(world) as deliveries:
            delivery = await anext(deliveries)
            assert subjects.parse(delivery.subject) == subjects.Address("pub", ref)
            assert delivery.headers == {}
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
        async with consume(world) as deliveries:
            for ref in refs:
                delivery = await anext(deliveries)
                assert int(delivery.subject.split(".")[2]) == subjects.partition(ref.kind, ref.id)
                assert subjects.parse(delivery.subject).subject == delivery.subject
                await delivery.ack()

    run(scenario)


def test_more_messages_than_may_be_unended_wait_their_turn(run: Run) -> None:
    async def scenario(world: World) -> None:
        await asyncio.gather(*(world.queue.publish(subjects.inbox(actor()), record()) for _ in range(1001)))
        async with consume(world) as deliveries:
            held = [await anext(deliveries) for _ in range(1000)]
            more = asyncio.ensure_future(anext(deliveries))
            await asyncio.wait([more], timeout=0.05)
            assert not more.done()
            await held[0].ack()
            async with asyncio.timeout(2):
                assert (await more).sequence == 1001

    run(scenario)


def test_what_a_stopped_consumer_had_fetched_goes_to_the_next_at_once(run: Run) -> None:
    async def scenario(world: World) -> None:
        for _ in range(3):
            await world.queue.publish(subjects.inbox(actor()), record())
        async with consume(world) as deliveries:
            await (await anext(deliveries)).ack()
        async with consume(world) as deliveries, asyncio.timeout(2):
            assert {(await anext(deliveries)).sequence for _ in range(2)} == {2, 3}

    run(scenario)
