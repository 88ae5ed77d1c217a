"""Holding a share as the kernel does, for the contract suites."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from contracts import subjects
from contracts.subjects import ActorRef
from runtime.errors import UnavailableError
from runtime.ports import Delivery, Feed, Queue, QueueName
from tests.contract.records import actor

ONE = actor("the-one")


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
    feed = queue.feed(ref.domain, name, subjects.share(ref))
    await feed.open()
    try:
        yield Holder(feed)
    finally:
        await feed.close()
