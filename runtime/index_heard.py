"""What the logs said last of each entry, as the owner of the vector index hears it: what a search may no longer return, and
which calls come too late."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from contextlib import aclosing

import msgspec
from msgspec import Struct

from contracts.domains import Domain, Partition
from contracts.envelope import Stored
from contracts.retrieval import Change, Hit, Put
from runtime.errors import InvalidError, UnavailableError
from runtime.index_fold import DOMAINS, Changes, Place, changes_of
from runtime.ports import EventLog
from runtime.read_models import following
from runtime.rebuild import between
from runtime.vector_ports import Shelf

PUTS_MAX = 100_000
"""Entries whose newest version is remembered, about 300 bytes each; the versions of others stand in the store."""

REMOVED_MAX = 50_000
"""Entries remembered as removed. A call for one of more than so many removals ago would bring it back; the check tells."""


NOTE = "heard"
SAVE_EVERY_S = 10.0  # how much of the logs is heard again after a crash
RETRY_S_MIN = 0.5
RETRY_S_MAX = 30.0

_log = logging.getLogger(__name__)


class _Packed(Struct, frozen=True):
    positions: dict[Domain, int]
    removed: list[tuple[Partition, str, int]]


class Heard:
    """The newest versions by partition and id. What was removed, and how far the logs were heard, outlives the process."""

    def __init__(self, packed: bytes | None = None) -> None:
        """Of what `pack` gave; anything else counts as never heard. Raises nothing."""
        self.positions: dict[Domain, int] = dict.fromkeys(DOMAINS, 0)
        self._puts: OrderedDict[Place, int] = OrderedDict()
        self._removed: OrderedDict[Place, int] = OrderedDict()
        if packed is not None:
            try:
                before = msgspec.json.decode(packed, type=_Packed)
            except msgspec.DecodeError:
                return
            self.positions.update(before.positions)
            self._removed.update(((partition, id_), version) for partition, id_, version in before.removed)

    def hear(self, found: Iterable[tuple[int, Change]]) -> None:
        """Take in changes, each with its sequence in the log."""
        for sequence, change in found:
            if isinstance(change, Put):
                place = change.partition, change.entry.id
                self._removed.pop(place, None)
                newest, bound = self._puts, PUTS_MAX
            else:
                place = change.partition, change.id
                self._puts.pop(place, None)
                newest, bound = self._removed, REMOVED_MAX
            newest[place] = sequence
            newest.move_to_end(place)
            if len(newest) > bound:
                newest.popitem(last=False)

    def overtaken(self, partition: Partition, id_: str, version: int) -> bool:
        """Whether the logs say something newer of the entry than what has this version."""
        place = partition, id_
        return version < max(self._puts.get(place, 0), self._removed.get(place, 0))

    def put_since(self, partition: Partition, id_: str, version: int) -> bool:
        """Whether the logs put the entry there by something newer than what has this version."""
        return version < self._puts.get((partition, id_), 0)

    def current(self, hits: Iterable[Hit]) -> list[Hit]:
        """Without what the logs say was changed or removed since, though the store does not have it yet."""
        return [hit for hit in hits if not self.overtaken(hit.partition, hit.entry.id, hit.entry.version)]

    def forget(self) -> None:
        """Start again: the logs are others than before."""
        self.positions.update(dict.fromkeys(DOMAINS, 0))
        self._puts.clear()
        self._removed.clear()

    def pack(self) -> bytes:
        removed = [(partition, id_, version) for (partition, id_), version in self._removed.items()]
        return msgspec.json.encode(_Packed(self.positions, removed))


class Hearing:
    """Follows the logs and keeps what it `heard`, which the shelf gets now and then. A Runnable."""

    def __init__(self, log: EventLog, changes: Changes, shelf: Shelf) -> None:
        self._event_log = log
        self._changes = changes
        self._shelf = shelf
        self.heard = Heard()
        self.tasks: list[asyncio.Task[None]] = []
        self._caught_up: list[asyncio.Event] = []

    async def start(self) -> None:
        self.heard = Heard(await self._shelf.load(NOTE))
        for domain in DOMAINS:
            caught_up = asyncio.Event()
            self._caught_up.append(caught_up)
            self.tasks.append(asyncio.create_task(self._hear(domain, caught_up), name=f"hear {domain.value}"))
        self.tasks.append(asyncio.create_task(self._save_often(), name="save what was heard"))

    async def stop(self) -> None:
        tasks, self.tasks = self.tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if tasks:
            await self._save()

    async def caught_up(self) -> None:
        """Return when everything was heard that was recorded before the start."""
        await asyncio.gather(*(event.wait() for event in self._caught_up))

    async def _hear(self, domain: Domain, caught_up: asyncio.Event) -> None:
        wait_s = RETRY_S_MIN
        while True:
            try:
                last = await self._event_log.last(domain)
                if self.heard.positions[domain] > last:
                    self.heard.forget()
                async with aclosing(between(self._event_log, domain, self.heard.positions[domain], last)) as batches:
                    async for batch in batches:
                        self._take(domain, batch)
                self.heard.positions[domain] = last
                caught_up.set()
                async with following(self._event_log, domain, last, ("log",)) as live:
                    async for batch in live:
                        self._take(domain, batch)
                        wait_s = RETRY_S_MIN
            except UnavailableError as error:
                _log.warning("hearing %s again in %.1f s: %s", domain.value, wait_s, error)
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, RETRY_S_MAX)

    def _take(self, domain: Domain, batch: Sequence[Stored]) -> None:
        self.heard.hear(changes_of(batch, self._changes))
        self.heard.positions[domain] = batch[-1].sequence

    async def _save_often(self) -> None:
        saved = dict(self.heard.positions)
        while True:
            await asyncio.sleep(SAVE_EVERY_S)
            if saved != self.heard.positions:
                saved = dict(self.heard.positions)
                await self._save()

    async def _save(self) -> None:
        """What is not saved is heard again."""
        try:
            await self._shelf.save(NOTE, self.heard.pack())
        except (UnavailableError, InvalidError) as error:
            _log.warning("what was heard of the logs was not saved: %s", error)
