"""Read models as the kernel sees them: what a projection is, and the port to the database that holds its rows.

A projection is a pure fold, one row a key: `fold(row, logged) -> row`. The kernel loads the rows that a batch touches, folds,
and saves them, so that any split of the same events into batches gives the same table. Rows travel as msgspec Structs.
"""

import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

import msgspec
from msgspec import Struct

from contracts.catalogue import decode_event
from contracts.domains import Domain
from contracts.envelope import Envelope, Event, Stored
from contracts.subjects import Address, Lane, parse
from runtime.errors import ConflictError, DiarchyError
from runtime.ports import EventLog

R = TypeVar("R", bound=Struct)
Key = tuple[str, ...]
Value = str | int | float | bool | datetime | None | Sequence[str] | Sequence[int]
"""What a query may take as an argument."""

LANES: tuple[Lane, ...] = ("log", "run")
_IDENTIFIER = re.compile(r"[a-z][a-z_]{0,39}")
_log = logging.getLogger(__name__)


class OutdatedError(DiarchyError):
    """The serving build is of another version than this process's code: this process must not fold into it."""


class RebuildingError(ConflictError):
    """Somebody else is rebuilding this projection now."""


class UnequalError(DiarchyError):
    """A rebuilt table is not what the serving one is; nothing was swapped."""


class Logged:
    """One record of a log as a projection sees it: where it was, its envelope, and its event, decoded once for all."""

    __slots__ = ("_event", "address", "body", "envelope", "sequence")

    def __init__(self, address: Address, stored: Stored) -> None:
        self.address = address
        self.sequence = stored.sequence
        self.envelope: Envelope = stored.record.envelope
        self.body = stored.record.body
        self._event: Event | type[Event] | None = Event  # Event itself stands for "not decoded yet".

    @property
    def event(self) -> Event | None:
        """The event; None where this code does not know the type or cannot read the body: such records never block."""
        if isinstance(self._event, type):
            try:
                self._event = decode_event(self.envelope.type, self.body)
            except KeyError:
                self._event = None
            except msgspec.DecodeError as error:
                subject = self.address.subject
                _log.warning("event %s of %s at %d not readable: %s", self.envelope.id, subject, self.sequence, error)
                self._event = None
        return self._event


def logged(batch: Sequence[Stored], takes: frozenset[str] | None = None) -> list[Logged]:
    """The records that an actor wrote, of the types `takes` (None: all).

    What is on a subject that is no actor's is reported and left out.
    """
    found: list[Logged] = []
    for stored in batch:
        if takes is not None and stored.record.envelope.type not in takes:
            continue
        try:
            found.append(Logged(parse(stored.subject), stored))
        except ValueError as error:
            _log.warning("record at %d not projected: %s", stored.sequence, error)
    return found


@asynccontextmanager
async def following(
    log: EventLog, domain: Domain, after: int, lanes: Sequence[Lane] = LANES
) -> AsyncIterator[AsyncIterator[Sequence[Stored]]]:
    """All records of a domain's log and journals above `after`, without end; what the log opened for it is closed at the end.

    All lanes: only then is a stream's last sequence sure to arrive.
    """
    batches = log.follow(domain, lanes, after=after)
    try:
        yield batches
    finally:
        if isinstance(batches, AsyncGenerator):
            await batches.aclose()


class Projection(Struct, Generic[R], frozen=True, kw_only=True):
    """A versioned fold of logs into one table.

    `ddl` creates `table` (unqualified) with a column for each field of `row` and the primary key `key_columns`, all text
    unless `appends`. `indexes` is SQL for what a rebuild makes only when all rows are in: with `appends` the primary key too.
    `takes` names the event types that `fold` looks at; None: every record. `key` gives the row a record
    belongs to, None for none. `fold` returns the row as it is after the record, None for no row. With `appends` every record
    is a row of its own, never read again.
    """

    name: str
    version: int
    domains: tuple[Domain, ...]
    ddl: str
    indexes: str = ""
    table: str
    row: type[R]
    key_columns: tuple[str, ...]
    takes: frozenset[str] | None
    key: Callable[[Logged], Key | None]
    fold: Callable[[R | None, Logged], R | None]
    appends: bool = False

    def __post_init__(self) -> None:
        for name in (self.name, self.table, *self.row.__struct_fields__):
            if not _IDENTIFIER.fullmatch(name):
                raise ValueError(f"{name!r} is not usable as a name in the database")

    def wanted(self, batch: Sequence[Logged]) -> list[Logged]:
        """The records of the batch that the fold looks at."""
        takes = self.takes
        return list(batch) if takes is None else [logged for logged in batch if logged.envelope.type in takes]


AnyProjection = Projection[Any]


class Db(Protocol):
    """Questions to the read models (schema `read`)."""

    async def rows(self, kind: type[R], sql: str, *arguments: Value) -> list[R]:
        """The rows of a SELECT, columns by name into the Struct's fields.

        Raises UnavailableError, and InvalidError for an argument that the database cannot hold (a text with NUL).
        """
        ...


class Batch(Protocol):
    """One open transaction on one build and domain; rows and position are committed together, or neither is."""

    @property
    def position(self) -> int:
        """The sequence of the last record folded into this build, as this transaction sees it under its lock."""
        ...

    async def load(self, projection: Projection[R], keys: Sequence[Key]) -> list[R]: ...

    async def save(self, projection: Projection[R], rows: Sequence[R]) -> None:
        """Insert the rows, replacing those with the same key. One statement however many there are."""
        ...

    async def remove(self, projection: Projection[R], keys: Sequence[Key]) -> None: ...

    async def advance(self, sequence: int) -> None: ...


class TableCheck(Struct, frozen=True):
    """Rows and an order-independent checksum of them, of the new table and of the serving one."""

    table: str
    rows: int
    checksum: str
    live_rows: int
    live_checksum: str

    @property
    def equal(self) -> bool:
        return (self.rows, self.checksum) == (self.live_rows, self.live_checksum)


class Settlement(Protocol):
    """The last transaction of a rebuild: the serving build stands still until it ends."""

    @property
    def live_version(self) -> int: ...

    @property
    def live_positions(self) -> Mapping[Domain, int]: ...

    async def batch(self, domain: Domain) -> Batch:
        """The new build, within this transaction."""
        ...

    async def check(self) -> list[TableCheck]: ...

    async def swap(self) -> None:
        """Serve the new build from commit on; the one before is kept for a rollback, older ones are dropped."""
        ...


class Build(Protocol):
    """A build beside the serving one. Leaving its context without a swap drops it."""

    async def live(self) -> tuple[int, Mapping[Domain, int]]:
        """Version and positions of the serving build."""
        ...

    def batch(self, domain: Domain) -> AbstractAsyncContextManager[Batch]: ...

    def settle(self) -> AbstractAsyncContextManager[Settlement]: ...


class ReadModels(Protocol):
    """Where the rows of projections are kept. Every method raises UnavailableError when the database is not there."""

    async def prepare(self, projections: Sequence[AnyProjection]) -> dict[str, int]:
        """Create what is missing, drop what a killed rebuild left behind; the serving version of each projection by name."""
        ...

    async def positions(self, projection: AnyProjection) -> Mapping[Domain, int]:
        """How far the serving build has come; 0 for a domain it has not begun."""
        ...

    def batch(self, projection: AnyProjection, domain: Domain) -> AbstractAsyncContextManager[Batch]:
        """Lock the serving build against other folders and swaps. Raises OutdatedError where its version is not ours."""
        ...

    def build(self, projection: AnyProjection) -> AbstractAsyncContextManager[Build]:
        """A new, empty build. Raises RebuildingError while another one is being made."""
        ...

    async def roll_back(self, projection: AnyProjection) -> None:
        """Serve the previous build again. Raises ConflictError where there is none."""
        ...


async def fold(projection: Projection[R], batch: Sequence[Logged], into: Batch) -> int:
    """Fold what of the batch is above the position; the number of records that were folded. The caller advances."""
    above = [logged for logged in projection.wanted(batch) if logged.sequence > into.position]
    if projection.appends:
        rows = [row for logged in above if (row := projection.fold(None, logged)) is not None]
        if rows:
            await into.save(projection, rows)
        return len(rows)
    keyed = [(key, logged) for logged in above if (key := projection.key(logged)) is not None]
    if not keyed:
        return 0
    before: dict[Key, R] = {}
    for row in await into.load(projection, list({key for key, _ in keyed})):
        before[tuple(str(getattr(row, column)) for column in projection.key_columns)] = row
    after: dict[Key, R | None] = dict(before)
    for key, logged in keyed:
        after[key] = projection.fold(after.get(key), logged)
    changed = [row for key, row in after.items() if row is not None and row is not before.get(key)]
    gone = [key for key in before if after[key] is None]
    if changed:
        await into.save(projection, changed)
    if gone:
        await into.remove(projection, gone)
    return len(keyed)
