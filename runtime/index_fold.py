"""What the vector index should hold, folded from the logs, and where a store holds something else."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol
from uuid import UUID

import msgspec

from contracts.domains import Domain, Partition
from contracts.envelope import Event, Stored
from contracts.retrieval import Change, Entry, Kept, Put, digest
from contracts.subjects import PARTITIONS, lane_of
from contracts.vectors import Difference, Problem
from runtime.actor import Recorded
from runtime.read_models import logged

DOMAINS = (Domain.CEO, Domain.SOPHIA, Domain.ARTEMIS)
"""Whose logs say what can be found."""

PAGE_ENTRIES = 1_000

Changes = Callable[[Recorded[Event]], tuple[Change, ...]]
Place = tuple[Partition, str]
"""A partition and the id of an entry."""


class Line(NamedTuple):
    """A domain's log and one of the partitions of its actors: what reacts to its events comes to the end of them in order."""

    domain: Domain
    partition: int


LINES = {f"{domain.value}.log.{number}": Line(domain, number) for domain in DOMAINS for number in range(PARTITIONS)}
"""By how the subjects of its events begin."""


class Due(NamedTuple):
    """What is to be kept of one id: the event that says so, and `retrieval.digest` of the entry."""

    version: int
    digest: bytes
    line: Line


class Lister(Protocol):
    """The part of a VectorStore that tells what it keeps."""

    async def listed(self, partition: Partition, *, after: str | None, limit: int) -> list[Kept]: ...


def changes_of(batch: Sequence[Stored], changes: Changes) -> list[tuple[int, Change]]:
    """What the events of a batch change, each with its sequence. Journals, and what this code cannot read, change nothing.

    Nor does an id that is no UUID: no store takes it.
    """
    events = [stored for stored in batch if _is_event(stored)]
    found: list[tuple[int, Change]] = []
    for record in logged(events):
        if record.event is None:
            continue
        recorded = Recorded(record.address.actor, record.event, record.envelope)
        found += [(record.sequence, change) for change in changes(recorded) if _is_uuid(_place(change)[1])]
    return found


class Expected:
    """The fold: every entry that is to be kept, some 300 bytes each."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self.entries: defaultdict[Partition, dict[str, Due]] = defaultdict(dict)
        self._removed: dict[Place, tuple[int, Line]] = {}
        self.positions: dict[Domain, int] = dict.fromkeys(DOMAINS, 0)

    def fold(self, domain: Domain, batch: Sequence[Stored]) -> dict[Place, Entry | None]:
        """Take in the next batch of a domain's log; what it changed, as it is behind the batch (None: removed)."""
        touched: dict[Place, Entry | None] = {}
        lines = {stored.sequence: LINES[stored.subject.rsplit(".", 2)[0]] for stored in batch if _is_event(stored)}
        for sequence, change in changes_of(batch, self._changes):
            place = partition, id_ = _place(change)
            if isinstance(change, Put):
                entry = msgspec.structs.replace(change.entry, version=sequence)
                self.entries[partition][id_] = Due(sequence, bytes.fromhex(digest(entry)), lines[sequence])
                self._removed.pop(place, None)
                touched[place] = entry
            else:
                self.entries[partition].pop(id_, None)
                self._removed[place] = sequence, lines[sequence]
                touched[place] = None
        self.positions[domain] = batch[-1].sequence
        return touched

    def said(self, place: Place) -> tuple[int, Line] | None:
        """The last event that changed what is kept there."""
        partition, id_ = place
        due = self.entries[partition].get(id_)
        return self._removed.get(place) if due is None else (due.version, due.line)

    def elsewhere(self, partition: Partition, id_: str) -> bool:
        """Whether the id is to be kept in another partition."""
        return any(id_ in entries for other, entries in self.entries.items() if other != partition)


async def differences(store: Lister, expected: Expected, partitions: Iterable[Partition]) -> list[Difference]:
    """Where the store does not hold what the logs say, by partition and id. Raises UnavailableError."""
    found: list[Difference] = []
    for partition in partitions:
        missing = dict(expected.entries[partition])
        seen: set[str] = set()
        after: str | None = None
        while page := await store.listed(partition, after=after, limit=PAGE_ENTRIES):
            for kept in page:
                due = expected.entries[partition].get(kept.id)
                missing.pop(kept.id, None)
                if kept.id in seen:
                    found.append(Difference(partition, kept.id, "doubled", due.version if due else 0, kept.version))
                elif due is None:
                    problem: Problem = "doubled" if expected.elsewhere(partition, kept.id) else "extra"
                    found.append(Difference(partition, kept.id, problem, 0, kept.version))
                elif due[:2] != (kept.version, bytes.fromhex(kept.digest)):
                    found.append(Difference(partition, kept.id, "stale", due.version, kept.version))
                seen.add(kept.id)
            after = page[-1].id
        found += [Difference(partition, id_, "missing", due.version) for id_, due in missing.items()]
    return sorted(found)


def _place(change: Change) -> Place:
    return change.partition, change.entry.id if isinstance(change, Put) else change.id


def _is_event(stored: Stored) -> bool:
    return lane_of(stored.subject) == "log"


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
