"""The kernel without queues: every message is handled, and every event reacted to, as soon as it is stored."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from msgspec.structs import replace

from actors.roster import ACTORS
from adapters.memory import MemoryBroker
from adapters.memory_feed import Message, Stream
from contracts import subjects
from contracts.domains import Domain
from contracts.kernel import DeadLetter
from runtime.consumer import Mailbox, actor_of
from runtime.host import Host
from runtime.outside import Outside
from runtime.reactor import Reactor
from runtime.worker import mailbox


class Told(Stream):
    """A stream that tells of each message that was added."""

    def __init__(self, told: Callable[[Message], None]) -> None:
        super().__init__()
        self._told = told

    def add(self, *arguments: Any, **named: Any) -> int:
        before = len(self.messages)
        sequence = super().add(*arguments, **named)
        if len(self.messages) > before:
            self._told(self.messages[-1])
        return sequence


class Handed:
    """A Delivery of what a stream holds."""

    pin = ""
    repeated = False

    def __init__(self, message: Message) -> None:
        self.subject = message.subject
        self.sequence = message.sequence
        self.time_ns = message.time_ns
        self.headers = message.headers
        self.body = message.body

    async def ack(self) -> None: ...

    async def working(self) -> None: ...

    async def bury(self, letter: DeadLetter) -> None:
        raise AssertionError(f"nothing is buried here: {letter.reason}")


class Pump:
    """Hosts and reactors of all domains over one broker. Make it before anything else uses the broker."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self._hosts: dict[Domain, Host] = {}
        self._reactors: dict[Domain, Reactor] = {}
        self._mailboxes: defaultdict[tuple[Domain, str, Mailbox], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed: list[BaseException] = []
        for domain in Domain:
            broker.inboxes[domain] = Told(partial(self._arrived, domain))
            broker.logs[domain] = Told(partial(self._recorded, domain))

    def start(self, outside: Callable[[Domain], Outside]) -> None:
        for domain, actors in ACTORS.items():
            reaching = outside(domain)
            self._reactors[domain] = Reactor(actors, reaching)
            self._hosts[domain] = Host(actors, reaching, self._reactors[domain])

    @contextmanager
    def parking(self) -> Iterator[None]:
        """Reactions that begin now and only wait leave the memory at once: what people decide cannot be waited for."""
        kept = {domain: reactor._outside for domain, reactor in self._reactors.items()}
        for domain, outside in kept.items():
            self._reactors[domain]._outside = replace(outside, limits=replace(outside.limits, park_after_s=0.0))
        try:
            yield
        finally:
            for domain, outside in kept.items():
                self._reactors[domain]._outside = outside

    async def settle(self) -> None:
        """Return when all that was stored has been handled, with everything it led to. Raises what any of it raised."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))
        if self._failed:
            raise self._failed[0]

    def _arrived(self, domain: Domain, message: Message) -> None:
        delivery = Handed(message)
        self._begin(self._one_by_one((domain, "inbox", mailbox(delivery)), self._hosts[domain].handle(delivery)))

    def _recorded(self, domain: Domain, message: Message) -> None:
        delivery = Handed(message)
        if subjects.lane_of(message.subject) == "log" and not self._reactors[domain].skips(delivery):
            place = (domain, "reactor", actor_of(delivery))
            self._begin(self._one_by_one(place, self._reactors[domain].handle(delivery)))

    async def _one_by_one(self, place: tuple[Domain, str, Mailbox], work: Coroutine[Any, Any, None]) -> None:
        async with self._mailboxes[place]:
            await work

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed.append(error)
