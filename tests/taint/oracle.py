"""Who may see what, computed from what was done and from nothing that the code under test says of it.

Every text that anybody writes carries a marker, a word that occurs nowhere else. A marker is as confidential as what it stands
in: a knowledge item as it is now, a fact, a question. A record that somebody's run leaves is as confidential as what it tells
was when it was told; one of a knowledge item, or of what a domain was told of it, at least as the item is now. To everybody but
who asked, so is whatever tells something that an item ever said.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime

import msgspec
from msgspec import Struct

from adapters.memory import MemoryBroker
from contracts import subjects
from contracts.chat import Written
from contracts.domains import Clearance, Domain, Partition
from contracts.memory import MEMORY
from tests.taint.world import Reader

MARKER = re.compile(rb"zq[0-9a-f]{10}z")
ITEM = "knowledge_item"
NOT_FINDING = (ITEM, "signal")
"""Actors that search for nothing."""

Place = tuple[Domain, int]


def markers(content: bytes) -> set[bytes]:
    return set(MARKER.findall(content))


class Item(Struct):
    """A knowledge item: what it says now, at which level, and at which levels it said what."""

    id: str
    marker: bytes
    level: Clearance
    partition: Partition
    priority: int
    category: str
    expires: datetime | None
    versions: list[tuple[bytes, Clearance, Partition]]
    deleted: bool = False

    def live(self, now: datetime) -> bool:
        return not self.deleted and (self.expires is None or self.expires > now)


class Known(Struct, frozen=True):
    """A record of a log: whose run left it, what it tells, and how confidential that was then; `label` is what it says itself."""

    place: Place
    lane: str
    kind: str
    actor: str
    principal: str
    correlation: str
    markers: frozenset[bytes]
    level: Clearance
    label: Clearance


def markers_of(records: Iterable[Known]) -> set[bytes]:
    return {marker for record in records for marker in record.markers}


class Oracle:
    """What was written, and what was told of it to whom."""

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}
        self.said: dict[bytes, Clearance] = {}
        self.askers: dict[bytes, str] = {}
        self.records: dict[Place, Known] = {}
        self._of_item: dict[bytes, Item] = {}
        self._told: dict[tuple[str, bytes], Clearance] = {}
        self._read: dict[Domain, int] = {}

    def put(self, item: Item) -> None:
        """The item is as it says from now on."""
        self.items[item.id] = item
        self._of_item[item.marker] = item

    def asked(self, marker: bytes, by: str, level: Clearance) -> None:
        self.said[marker] = level
        self.askers[marker] = by

    def level(self, marker: bytes, principal: str, now: datetime) -> Clearance | None:
        """How confidential a marker is for somebody's run now; None: it has ended, and nobody told him before."""
        known = [level for level in (self.said.get(marker), self._told.get((principal, marker))) if level is not None]
        item = self._of_item.get(marker)
        if item is not None and item.marker == marker and item.live(now):
            known.append(item.level)
        return min(known, default=None)

    def join(self, told: Iterable[bytes], principal: str, now: datetime) -> Clearance:
        levels = (self.level(marker, principal, now) for marker in told)
        return max((level for level in levels if level is not None), default=Clearance.PUBLIC)

    def observe(self, broker: MemoryBroker, now: datetime) -> Iterator[str]:
        """Take in what was recorded since, and say which of it is labelled below what it tells."""
        for domain, stream in broker.logs.items():
            for message in stream.messages[self._read.get(domain, 0) :]:
                address, record = subjects.parse(message.subject), message.record
                assert record is not None
                envelope, told = record.envelope, markers(message.body)
                if address.actor.kind == ITEM:
                    level = self.items[address.actor.id].level if told else Clearance.PUBLIC
                else:
                    for marker in told:
                        known = self.level(marker, envelope.principal, now)
                        if known is None:
                            yield f"{envelope.type} at {domain.value}/{message.sequence} tells {marker!r}, which has ended"
                        else:
                            self._told[envelope.principal, marker] = known
                    level = self.join(told, envelope.principal, now)
                if envelope.label < level:
                    yield (
                        f"{envelope.type} of {address.actor} at {domain.value}/{message.sequence} is labelled "
                        f"{envelope.label.value} and tells what is {level.value}"
                    )
                place = (domain, message.sequence)
                self.records[place] = Known(
                    place=place,
                    lane=address.lane,
                    kind=address.actor.kind,
                    actor=address.actor.id,
                    principal=envelope.principal,
                    correlation=envelope.correlation,
                    markers=frozenset(told),
                    level=level,
                    label=envelope.label,
                )
            self._read[domain] = len(stream.messages)

    def heard(self, written: list[bytes], now: datetime) -> Iterator[str]:
        """Take in what was announced while models wrote, and say which of it is labelled below what it tells."""
        said: dict[str, str] = {}
        for body in written:
            one = msgspec.json.decode(body, type=Written)
            said[one.attempt] = said.get(one.attempt, "") + one.delta.text
            principal = next(record.principal for record in self.records.values() if record.correlation == one.run)
            level = self.join(markers(said[one.attempt].encode()), principal, now)
            if one.label < level:
                yield f"what is written of {one.run} is labelled {one.label.value} and tells what is {level.value}"
        written.clear()

    def need(self, record: Known, reader: Reader) -> Clearance:
        """Which clearance it takes the reader to see the record now."""
        item = self.items.get(record.actor if record.kind == ITEM else record.actor.removeprefix("knowledge-"))
        needed = max(record.level, record.label, item.level if item else record.level)
        return needed if record.principal == reader.name else max(needed, self._now(record))

    def _now(self, record: Known) -> Clearance:
        """How confidential the items that a record tells of are now, or were when they ended."""
        told = (self._of_item[marker].id for marker in record.markers if marker in self._of_item)
        return max((self.items[identity].level for identity in told), default=Clearance.PUBLIC)

    def visible(self, reader: Reader, *, own: bool = False) -> list[Known]:
        """The records that the reader may see; `own`: of his runs only, but for an administrator. Memories are of him alone."""
        every = reader.role == "admin" if own else reader.role in {"admin", "cross_domain_user", "read_only"}
        return [
            record
            for record in self.records.values()
            if (record.principal == reader.name or (every and record.kind != MEMORY))
            and self.need(record, reader) <= reader.clearance
        ]

    def certain(self, reader: Reader, records: Iterable[Known]) -> list[Known]:
        """Of records that the reader may see those that he must: of others' runs, as a whole withheld from him if they rest on
        what is above him now, only where nothing that was ever found for who asked is."""
        found = (one for one in self.records.values() if one.kind not in NOT_FINDING)
        above = {one.principal for one in found if self._now(one) > reader.clearance} - {reader.name}
        return [one for one in records if one.kind in NOT_FINDING or one.principal not in above]

    def items_for(self, reader: Reader, now: datetime) -> list[Item]:
        """The items that the reader may read as they are now."""
        return [
            item
            for item in self.items.values()
            if item.live(now) and item.level <= reader.clearance and may_read(reader, item.partition)
        ]

    def versions_for(self, reader: Reader, item: Item, now: datetime) -> set[bytes]:
        """What an item said at some time, as far as the reader may know of that; once it has ended, only who may change items."""
        if not may_read(reader, item.partition):
            return set()
        if not item.live(now) and reader.role not in {"admin", "cross_domain_user"}:
            return set()
        return {
            marker
            for marker, level, partition in item.versions
            if max(level, item.level) <= reader.clearance and may_read(reader, partition)
        }

    def tellable(self, reader: Reader, now: datetime) -> set[bytes]:
        """What an answer to the reader may tell: what he is cleared for, but no question of somebody else."""
        found = {*self.said, *self._of_item}
        return {
            marker
            for marker in found
            if (level := self.level(marker, reader.name, now)) is not None
            and level <= reader.clearance
            and self.askers.get(marker, reader.name) == reader.name
        }


def may_read(reader: Reader, partition: Partition) -> bool:
    """By the table of docs/using.md, said again."""
    sophia, artemis = {"sophia_business", "research_data"}, {"artemis_technical", "code_knowledge"}
    if reader.role in {"admin", "cross_domain_user", "read_only"}:
        return True
    return partition not in (artemis if reader.role == "sophia_user" else sophia)
