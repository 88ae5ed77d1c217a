"""Worker: one process's part of a domain: it holds the partitions that fall to it, until others come or it ends."""

import asyncio
import logging
from collections.abc import Sequence

import msgspec

from contracts import subjects
from contracts.catalogue import tag
from contracts.domains import Domain
from contracts.envelope import Record
from contracts.kernel import Cancel, Resolve, Resume
from runtime.abandon import Abandoning
from runtime.actor import AnyActor
from runtime.consumer import Consumer, Mailbox, Place, actor_of
from runtime.errors import UnavailableError
from runtime.host import Host
from runtime.membership import Membership
from runtime.near import NearDelivery
from runtime.outside import Outside
from runtime.ports import Delivery, Rpc
from runtime.reactor import TYPE_HEADER, Reactor

KERNEL_MESSAGES = frozenset({tag(Resolve), tag(Resume), tag(Cancel)})
LOOK_S = 0.1  # between two looks at whether a partition's holder has let go of it

_logger = logging.getLogger(__name__)


class Worker:
    """A Runnable: the inbox and the reactions of one domain's actors, for as many partitions as fall to this worker.

    Any number of workers of a domain may run. `stop` ends what is under way within `drain_s_max` and hands the partitions over.
    """

    def __init__(self, domain: Domain, actors: Sequence[AnyActor], outside: Outside, rpc: Rpc, name: str) -> None:
        """`name` must differ from that of every worker before and beside it."""
        limits = outside.limits
        self._domain = domain
        self._limits = limits
        self._membership = Membership(rpc, domain, name, limits)
        outside = msgspec.structs.replace(outside, near=self._near)
        self._outside = outside
        self.reactor = Reactor(actors, outside)
        self.host = Host(actors, outside, self.reactor)
        abandoning = Abandoning(actors, outside, self.host)
        self.inbox = Consumer(
            outside.queue,
            Place(domain, "inbox", mailbox),
            self.host.handle,
            abandoning.message,
            limits,
            outside.telemetry,
        )
        self.reactions = Consumer(
            outside.queue,
            Place(domain, "reactor", actor_of, self.reactor.skips),
            self.reactor.handle,
            abandoning.reaction,
            limits,
            outside.telemetry,
        )
        self.reactions.on_hold = self.inbox.doubt
        self._held: dict[int, asyncio.Task[None]] = {}
        self._task: asyncio.Task[None] | None = None
        self._sweeper: asyncio.Task[None] | None = None

    @property
    def partitions(self) -> frozenset[int]:
        """The partitions that are held now."""
        return frozenset(partition for partition in range(subjects.PARTITIONS) if self.inbox.holds(partition))

    async def start(self) -> None:
        await self.host.live.start()
        await self.inbox.start()
        await self.reactions.start()
        await self._membership.start()
        self._task = asyncio.create_task(self._run(), name=f"{self._domain.value} worker")
        self._sweeper = asyncio.create_task(self._sweep(), name=f"{self._domain.value} sweeper")

    async def stop(self) -> None:
        """End in order. Idempotent."""
        task, self._task = self._task, None
        if task is None:
            return
        await self._membership.leave()
        ending = [one for one in (task, self._sweeper) if one is not None]
        for one in ending:
            one.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        await asyncio.gather(*(self._let_go(partition) for partition in range(subjects.PARTITIONS)))
        await self.reactions.stop()
        await self.inbox.stop()
        await self.host.live.stop()
        await self._membership.stop()

    async def wait(self) -> None:
        """Raise what broke one of the worker's own tasks: it had better be ended and started again. Else wait without end."""
        own = [task for task in (self._task, self._sweeper) if task is not None]
        parts = [self._membership.wait(), self.inbox.wait(), self.reactions.wait()]
        watched = [*map(asyncio.shield, own), *map(asyncio.ensure_future, parts)]
        try:
            ended, _ = await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
            for one in ended:
                one.result()
        finally:
            for one in watched:
                one.cancel()

    async def _run(self) -> None:
        """Bring what is held into line with what is to be held, whenever that changes."""
        membership = self._membership
        async with asyncio.TaskGroup() as group:
            while True:
                membership.changed.clear()
                mine = membership.mine()
                for partition in range(subjects.PARTITIONS):
                    under_way = self._held.get(partition)
                    if under_way is not None and not under_way.done():
                        continue
                    if partition in mine and not self.inbox.holds(partition):
                        self._held[partition] = group.create_task(self._take(partition))
                    elif partition not in mine and self.inbox.holds(partition):
                        self._held[partition] = group.create_task(self._let_go(partition))
                await self._next(membership)

    async def _next(self, membership: Membership) -> None:
        """Wait for a change of the members or the end of a hand-over."""
        under_way = [task for task in self._held.values() if not task.done()]
        changed = asyncio.ensure_future(membership.changed.wait())
        try:
            await asyncio.wait([changed, *under_way], return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()

    async def _take(self, partition: int) -> None:
        """Hold the partition once nobody says any more that he does."""
        clock = asyncio.get_running_loop().time
        until = clock() + self._limits.handover_s_max
        while self._membership.held_elsewhere(partition) and clock() < until:
            await asyncio.sleep(LOOK_S)
            if partition not in self._membership.mine():
                return
        self.host.forget(partition)
        await self._membership.hold(partition)
        self.inbox.acquire(partition)
        self.reactions.acquire(partition)

    async def _let_go(self, partition: int) -> None:
        if not self.inbox.holds(partition):
            return
        await asyncio.gather(self.reactions.release(partition), self.inbox.release(partition))
        self.host.forget(partition)
        await self._membership.let_go(partition)

    async def _sweep(self) -> None:
        """Clear the inbox; of all workers the one does it that holds the first partition."""
        while True:
            await asyncio.sleep(self._limits.sweep_s)
            if not self.inbox.holds(0):
                continue
            try:
                await self._outside.queue.sweep(self._domain)
            except UnavailableError as error:
                _logger.info("inbox of %s not swept: %s", self._domain.value, error)

    async def _near(self, subject: str, record: Record) -> bool:
        """Send a message to an actor of this domain; False: it is for another domain, or for a reaction.

        If this worker holds the actor the message is handed to it directly, and its log has what it led to when this returns. It
        never overtakes what the same sender sent before, which may have gone through the inbox.
        """
        actor = subjects.parse(subject).actor
        if actor.domain != self._domain or record.envelope.type in KERNEL_MESSAGES:
            return False
        delivery = NearDelivery(subject, record, self._outside.queue.bury)
        partition = actor.partition
        if await self.inbox.offer(partition, delivery):
            await delivery.done
            return True
        try:
            await self._outside.queue.publish(subject, record)
        finally:
            self.inbox.doubt(partition)
        return True


def mailbox(delivery: Delivery) -> Mailbox:
    """The actor's; what is meant for one of its reactions has its own, because a reaction may go on for long."""
    if isinstance(delivery, NearDelivery):
        kernel, identity = delivery.record.envelope.type in KERNEL_MESSAGES, delivery.record.envelope.id
    else:
        kernel = delivery.headers.get(TYPE_HEADER) in KERNEL_MESSAGES
        identity = str(delivery.sequence)
    return (*actor_of(delivery), identity) if kernel else actor_of(delivery)
