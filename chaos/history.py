"""What the logs hold in the end: every record of every domain, by actor and by run."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import aclosing

from msgspec import Struct

from adapters.jetstream import Broker
from adapters.jetstream_log import JetStreamLog
from contracts import subjects
from contracts.catalogue import decode_event
from contracts.domains import Domain
from contracts.envelope import Event, Stored
from contracts.subjects import Address, Lane

READ_S_MAX = 300.0
LANES: tuple[Lane, ...] = ("log", "run")


class History:
    """All records, each actor's log and each run's journal in their order."""

    def __init__(self, records: Iterable[Stored]) -> None:
        self.records: list[Stored] = []
        self.logs: dict[str, list[Stored]] = defaultdict(list)
        self.runs: dict[str, list[Stored]] = defaultdict(list)
        self.by_cause: dict[str, list[Stored]] = defaultdict(list)
        for stored in records:
            address = subjects.parse(stored.subject)
            self.records.append(stored)
            if address.lane == "run":
                self.runs[address.reaction or ""].append(stored)
            else:
                self.logs[stored.subject].append(stored)
                self.by_cause[stored.record.envelope.causation or ""].append(stored)

    def of_kind(self, kind: str) -> list[tuple[Address, list[Stored]]]:
        """The logs of all actors of one kind."""
        addressed = ((subjects.parse(subject), records) for subject, records in self.logs.items())
        return [(address, records) for address, records in addressed if address.actor.kind == kind]


class Finding(Struct, frozen=True):
    """Something that must not be: which check found it, and where."""

    check: str
    what: str


def event_of(stored: Stored) -> Event:
    return decode_event(stored.record.envelope.type, stored.record.body)


def events_of(records: Sequence[Stored]) -> list[Event]:
    return [event_of(stored) for stored in records]


async def read_history(broker: Broker) -> History:
    """Everything up to where the logs end now. Raises UnavailableError, TimeoutError."""
    log = JetStreamLog(broker)
    found: list[Stored] = []
    async with asyncio.timeout(READ_S_MAX):
        for domain in Domain:
            end = await log.last(domain)
            if not end:
                continue
            async with aclosing(log.follow(domain, LANES, after=0)) as batches:
                async for batch in batches:
                    found += [stored for stored in batch if stored.sequence <= end]
                    if batch[-1].sequence >= end:
                        break
    return History(found)
