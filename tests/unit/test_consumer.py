"""What a consumer does, and says, when what it needs is down, a handler fails, or it lets go."""

import asyncio
import logging

import msgspec
import pytest

from adapters.memory import MemoryBroker, MemoryQueue
from adapters.memory_feed import MemoryFeed
from contracts import subjects
from contracts.catalogue import tag
from contracts.domains import Clearance, Domain
from contracts.envelope import Envelope, Record
from contracts.ids import new_id
from contracts.kernel import DeadLetter, Resume
from contracts.letters import LetterFilter
from contracts.subjects import ActorRef
from deploy.clock import now
from runtime.consumer import WAITING_TOLD_S, Consumer, Place, actor_of
from runtime.errors import UnavailableError
from runtime.near import NearDelivery
from runtime.ports import Delivery, Lag
from runtime.telemetry import NoTelemetry
from runtime.worker import mailbox
from tests.kernel_world import LIMITS, Note

WAITING = 20


def _record(target: Domain) -> Record:
    identity = new_id()
    envelope = Envelope(
        id=identity,
        type=tag(Note),
        time=now(),
        correlation=identity,
        principal="ann",
        source=Domain.SYSTEM,
        target=target,
        clearance=Clearance.RESTRICTED,
    )
    return Record(envelope, msgspec.json.encode(Note(text="x")))


async def _publish(queue: MemoryQueue, name: str) -> None:
    actor = ActorRef(Domain.CEO, "counter", name)
    await queue.publish(subjects.inbox(actor), _record(actor.domain))


async def _nobody(_delivery: Delivery, _reason: str) -> None: ...


def test_what_is_down_is_told_once_and_then_now_and_again_with_how_many_wait(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)

    async def scenario() -> None:
        queue = MemoryQueue(MemoryBroker(ack_wait_s=LIMITS.ack_wait_s))
        tries: dict[str, int] = {}
        tried, done, up = asyncio.Event(), asyncio.Event(), asyncio.Event()
        handled: set[str] = set()

        async def handle(delivery: Delivery) -> None:
            tries[delivery.subject] = tries.get(delivery.subject, 0) + 1
            if len(tries) == WAITING and min(tries.values()) >= 3:
                tried.set()
            if not up.is_set():
                raise UnavailableError("embedding service", "nobody answers")
            handled.add(delivery.subject)
            if len(handled) == WAITING:
                done.set()

        consumer = Consumer(queue, Place(Domain.CEO, "inbox", actor_of), handle, _nobody, LIMITS, NoTelemetry())
        await consumer.start()
        for partition in range(subjects.PARTITIONS):
            consumer.acquire(partition)
        for number in range(WAITING):
            await _publish(queue, f"c{number}")
        await tried.wait()
        assert len(caplog.messages) == 1
        assert caplog.messages[0].endswith(" waits: embedding service is unavailable: nobody answers")
        consumer._told_waiting -= WAITING_TOLD_S
        tries.clear()
        tried.clear()
        await tried.wait()
        assert len(caplog.messages) == 2
        assert f" waits, {WAITING - 1} more do: embedding service is unavailable" in caplog.messages[1]
        up.set()
        await done.wait()
        await consumer.stop()

    asyncio.run(asyncio.wait_for(scenario(), 20))


def test_letting_go_is_finished_though_who_asked_first_was_cancelled() -> None:
    """A worker that stops cancels what it was about to hand over; nothing of that may stay behind."""

    async def scenario() -> None:
        queue = MemoryQueue(MemoryBroker(ack_wait_s=LIMITS.ack_wait_s))
        begun, ended = asyncio.Event(), asyncio.Event()

        async def handle(_delivery: Delivery) -> None:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        consumer = Consumer(queue, Place(Domain.CEO, "inbox", actor_of), handle, _nobody, LIMITS, NoTelemetry())
        await consumer.start()
        partition = ActorRef(Domain.CEO, "counter", "c1").partition
        consumer.acquire(partition)
        await _publish(queue, "c1")
        await begun.wait()
        first = asyncio.create_task(consumer.release(partition))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await consumer.release(partition)
        assert ended.is_set()
        assert not consumer.holds(partition)
        await consumer.stop()

    asyncio.run(asyncio.wait_for(scenario(), 20))


def test_a_message_of_our_own_waits_for_what_was_stored_before_it() -> None:
    """A sender whose partition was just taken over may have sent through the inbox before."""

    async def scenario() -> None:
        queue = MemoryQueue(MemoryBroker(ack_wait_s=LIMITS.ack_wait_s))
        handled: list[int] = []
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def handle(delivery: Delivery) -> None:
            begun.set()
            await go_on.wait()
            handled.append(delivery.sequence)

        consumer = Consumer(queue, Place(Domain.CEO, "inbox", actor_of), handle, _nobody, LIMITS, NoTelemetry())
        await consumer.start()
        actor = ActorRef(Domain.CEO, "counter", "c1")
        await _publish(queue, "c1")
        consumer.acquire(actor.partition)
        await begun.wait()
        near = NearDelivery(subjects.inbox(actor), _record(Domain.CEO), queue.bury)
        assert await consumer.offer(actor.partition, near)
        go_on.set()
        await near.done
        assert handled == [1, near.sequence]
        consumer.doubt()
        assert await consumer.offer(actor.partition, NearDelivery(near.subject, near.record, queue.bury))
        await consumer.stop()
        assert not await consumer.offer(actor.partition, near)

    asyncio.run(asyncio.wait_for(scenario(), 20))


def test_a_message_of_our_own_does_not_wait_for_a_backlog(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its sender goes through the inbox then; for what is on its way already it waits."""

    async def scenario() -> None:
        queue = MemoryQueue(MemoryBroker(ack_wait_s=LIMITS.ack_wait_s))
        lags: list[Lag] = []

        async def lag(_feed: MemoryFeed) -> Lag:
            return lags.pop(0)

        async def handle(_delivery: Delivery) -> None: ...

        monkeypatch.setattr(MemoryFeed, "lag", lag)
        consumer = Consumer(queue, Place(Domain.CEO, "inbox", actor_of), handle, _nobody, LIMITS, NoTelemetry())
        await consumer.start()
        actor = ActorRef(Domain.CEO, "counter", "c1")
        consumer.acquire(actor.partition)
        near = NearDelivery(subjects.inbox(actor), _record(Domain.CEO), queue.bury)
        lags[:] = ["backlog"]
        assert not await consumer.offer(actor.partition, near)
        lags[:] = ["arriving", "backlog"]
        assert not await consumer.offer(actor.partition, near)
        lags[:] = ["arriving", "nothing"]
        assert await consumer.offer(actor.partition, near)
        assert not lags
        await consumer.stop()

    asyncio.run(asyncio.wait_for(scenario(), 20))


def test_who_waits_behind_a_suspect_is_no_suspect_for_it() -> None:
    """Deaths are counted when a message's handling begins, not while it waits for the one before to end."""

    async def scenario() -> None:
        queue = MemoryQueue(MemoryBroker(ack_wait_s=LIMITS.ack_wait_s))
        for name in ("a", "b"):
            await _publish(queue, name)
        partitions = {ActorRef(Domain.CEO, "counter", name).partition for name in ("a", "b")}
        for partition in partitions:
            feed = queue.feed(Domain.CEO, "inbox", partition)
            await feed.open()
            await feed.take()  # A worker takes it and dies.
        for sequence in (1, 2):
            for _ in range(LIMITS.deaths_alone):
                await queue.died(Domain.CEO, "inbox", sequence)
        begun, go_on, done = asyncio.Event(), asyncio.Event(), asyncio.Event()
        handled: list[int] = []

        async def handle(delivery: Delivery) -> None:
            begun.set()
            await go_on.wait()
            handled.append(delivery.sequence)
            if len(handled) == 2:
                done.set()

        consumer = Consumer(queue, Place(Domain.CEO, "inbox", actor_of), handle, _nobody, LIMITS, NoTelemetry())
        await consumer.start()
        for partition in partitions:
            consumer.acquire(partition)
        await begun.wait()
        for _ in range(20):
            await asyncio.sleep(0)
        counts = [await queue.deaths(Domain.CEO, "inbox", sequence) for sequence in (1, 2)]
        assert sorted(counts) == [LIMITS.deaths_alone, LIMITS.deaths_alone + 1]
        go_on.set()
        await done.wait()
        await consumer.stop()
        assert [await queue.deaths(Domain.CEO, "inbox", sequence) for sequence in (1, 2)] == [0, 0]

    asyncio.run(asyncio.wait_for(scenario(), 20))


def test_what_is_handled_alone_does_not_wait_for_itself() -> None:
    """A message for a reaction and one for its actor were both in hand of workers that died; the reaction tells its actor."""

    async def scenario() -> None:
        queue = MemoryQueue(MemoryBroker(ack_wait_s=LIMITS.ack_wait_s))
        actor = ActorRef(Domain.CEO, "counter", "c1")
        handled: list[int] = []
        done = asyncio.Event()

        async def handle(delivery: Delivery) -> None:
            if mailbox(delivery) != actor_of(delivery):
                near = NearDelivery(delivery.subject, _record(Domain.CEO), queue.bury)
                assert await consumer.offer(actor.partition, near)
                await near.done
                done.set()
            handled.append(delivery.sequence)

        consumer = Consumer(queue, Place(Domain.CEO, "inbox", mailbox), handle, _nobody, LIMITS, NoTelemetry())
        resume = msgspec.structs.replace(_record(Domain.CEO).envelope, type=tag(Resume))
        await queue.publish(subjects.inbox(actor), Record(resume, b"{}"))
        await _publish(queue, "c1")
        dying = queue.feed(Domain.CEO, "inbox", actor.partition)
        await dying.open()
        for _ in range(2):
            sequence = (await dying.take()).sequence
            for _ in range(LIMITS.deaths_alone):
                await queue.died(Domain.CEO, "inbox", sequence)
        await consumer.start()
        consumer.acquire(actor.partition)
        await done.wait()
        await consumer.stop()
        assert {1, 2} <= set(handled)

    asyncio.run(asyncio.wait_for(scenario(), 10))


async def _buried(broker: MemoryBroker, count: int) -> None:
    while len(await broker.letters.find(LetterFilter(), limit=10)) < count:
        await broker.inboxes[Domain.CEO].change(0.01)


async def _both_buried(consumer: Consumer, queue: MemoryQueue, broker: MemoryBroker) -> None:
    """Two messages to one actor are put aside, one after the other."""
    await consumer.start()
    consumer.acquire(ActorRef(Domain.CEO, "counter", "c1").partition)
    for _ in range(2):
        await _publish(queue, "c1")
    await _buried(broker, 2)
    await consumer.stop()


def test_what_nobody_can_be_told_about_is_buried_all_the_same() -> None:
    async def scenario() -> None:
        broker = MemoryBroker(ack_wait_s=LIMITS.ack_wait_s)
        queue = MemoryQueue(broker)

        async def fail(_delivery: Delivery, _reason: str = "") -> None:
            raise ValueError("its log cannot be folded")

        consumer = Consumer(queue, Place(Domain.CEO, "inbox", actor_of), fail, fail, LIMITS, NoTelemetry())
        await _both_buried(consumer, queue, broker)

    asyncio.run(asyncio.wait_for(scenario(), 20))


def test_what_could_not_be_buried_is_let_go_of_and_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        broker = MemoryBroker(ack_wait_s=LIMITS.ack_wait_s)
        queue = MemoryQueue(broker)
        put, failed = broker.letters.put, asyncio.Event()

        async def put_later(letter: DeadLetter) -> None:
            if not failed.is_set():
                failed.set()
                raise ValueError("a bug")
            await put(letter)

        async def fail(_delivery: Delivery) -> None:
            raise RuntimeError("a bug")

        monkeypatch.setattr(broker.letters, "put", put_later)
        consumer = Consumer(queue, Place(Domain.CEO, "inbox", actor_of), fail, _nobody, LIMITS, NoTelemetry())
        await _both_buried(consumer, queue, broker)

    asyncio.run(asyncio.wait_for(scenario(), 20))


def test_a_worker_that_lets_go_in_order_has_not_died() -> None:
    async def scenario() -> None:
        queue = MemoryQueue(MemoryBroker(ack_wait_s=LIMITS.ack_wait_s))
        partition = ActorRef(Domain.CEO, "counter", "c1").partition
        await _publish(queue, "c1")
        feed = queue.feed(Domain.CEO, "inbox", partition)
        await feed.open()
        await feed.take()  # A worker takes it and dies.
        begun = asyncio.Event()

        async def handle(_delivery: Delivery) -> None:
            begun.set()
            await asyncio.Event().wait()

        consumer = Consumer(queue, Place(Domain.CEO, "inbox", actor_of), handle, _nobody, LIMITS, NoTelemetry())
        await consumer.start()
        consumer.acquire(partition)
        await begun.wait()
        assert await queue.deaths(Domain.CEO, "inbox", 1) == 1
        await consumer.stop()
        assert await queue.deaths(Domain.CEO, "inbox", 1) == 0

    asyncio.run(asyncio.wait_for(scenario(), 20))


def test_letting_go_does_not_wait_for_a_broker_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        queue = MemoryQueue(MemoryBroker(ack_wait_s=LIMITS.ack_wait_s))
        partition = ActorRef(Domain.CEO, "counter", "c1").partition
        await _publish(queue, "c1")
        feed = queue.feed(Domain.CEO, "inbox", partition)
        await feed.open()
        await feed.take()
        begun = asyncio.Event()

        async def handle(_delivery: Delivery) -> None:
            begun.set()
            await asyncio.Event().wait()

        async def silent(*_: object) -> None:
            await asyncio.Event().wait()

        monkeypatch.setattr(queue, "survived", silent)
        consumer = Consumer(queue, Place(Domain.CEO, "inbox", actor_of), handle, _nobody, LIMITS, NoTelemetry())
        await consumer.start()
        consumer.acquire(partition)
        await begun.wait()
        await consumer.stop()
        assert not consumer.holds(partition)

    asyncio.run(asyncio.wait_for(scenario(), 5))
