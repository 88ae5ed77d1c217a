"""Holding a partition as the kernel does, for the contract suites."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from contracts.subjects import ActorRef
from runtime.errors import UnavailableError
from runtime.ports import Delivery, Feed, Queue, QueueName
from tests.contract.records import actor

ONE = actor("the-one")
NEIGHBOUR = next(one for one in map(actor, map(str, range(1_000))) if one.partition == ONE.partition)
"""Another actor of the same partition."""


class Holder:
    """Takes from a feed as the kernel does: after a new pin it resets and begins again."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.pin = ""

    async def next(self) -> Delivery:
        while True:
            try:
                delivery = await self.feed.take()
                if delivery.pin == self.pin:
                    return delivery
                await self.feed.reset()
                self.pin = delivery.pin
            except UnavailableError as error:
                del error
                self.pin = ""

    async def many(self, number: int) -> list[Delivery]:
        return [await self.next() for _ in range(number)]


@asynccontextmanager
async def holding(queue: Queue, name: QueueName = "inbox", ref: ActorRef = ONE) -> AsyncIterator[Holder]:
    feed = queue.feed(ref.domain, name, ref.partition)
    await feed.open()
    try:
        yield Holder(feed)
    finally:
        await feed.close()
