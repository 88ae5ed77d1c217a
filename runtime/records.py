"""Records: what business facts come to, read for a tool out of their read model."""

from typing import Protocol

from contracts.business import RecordKind
from contracts.domains import Clearance
from contracts.records import AnyRecord, RecordsFound, packed
from runtime.errors import OutcomeError, UnavailableError
from runtime.guards import Guards
from runtime.ports import Blobs


class Records(Protocol):
    """The read model."""

    async def records(self, kind: RecordKind, *, clearance: Clearance) -> tuple[tuple[AnyRecord, ...], int]:
        """Of the facts that `clearance` covers, as if there were no others: at most RECORDS_MAX things of a kind, those that
        changed last, by id; and how many more there are. Raises UnavailableError.
        """
        ...


class NoRecords:
    """Records where there is no read model of them: everywhere but with Sophia."""

    async def records(self, *_asked: object, **_under: object) -> tuple[tuple[AnyRecord, ...], int]:
        raise OutcomeError("the records of clients and deals are read by Sophia: ask that domain for them")


async def read_records(
    reads: Records, kind: RecordKind, clearance: Clearance, *, blobs: Blobs, guards: Guards
) -> RecordsFound:
    """What there is, stored as a blob. Raises OutcomeError where it is not to be had now: nobody waits for a read model."""
    try:
        async with guards.call("records"):
            records, more = await reads.records(kind, clearance=clearance)
    except UnavailableError as error:
        raise OutcomeError(f"there are no {kind} records now: {error}") from error
    content, count = packed(records)
    return RecordsFound(
        kind=kind,
        digest=await blobs.put(content),
        count=count,
        left_out=more + len(records) - count,
        label=max((one.label for one in records[:count]), default=Clearance.PUBLIC),
    )
