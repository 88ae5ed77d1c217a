"""LiveSet: the actors of one worker in memory: activated on demand, packed when idle, written down when their log grows long."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Collection, Sequence

import msgspec

from contracts.catalogue import tag
from contracts.envelope import Stored
from contracts.kernel import FAILED, Refused, Unchanged
from contracts.subjects import ActorRef
from runtime import snapshots
from runtime.actor import AnyActor
from runtime.chain import GENESIS
from runtime.errors import DiarchyError, UnavailableError
from runtime.limits import Limits
from runtime.ports import EventLog, Snapshots
from runtime.snapshots import Live
from runtime.telemetry import LIVE_ACTORS, PACKED_ACTORS, SNAPSHOTS_TOTAL, NoTelemetry, Telemetry

KERNEL_TYPES = frozenset({tag(Refused), tag(Unchanged)})
"""What the kernel itself records in an actor's log; no actor sees it."""

FIRST_LOOK_RECORDS = 32  # a log that ends within these is read without asking for a snapshot
PACKED_BYTES_EXTRA = 400  # what an entry of the packed tier costs beside its bytes (tracemalloc)
IDS_AN_EVENT = 64  # a snapshot waits one event longer for so many ids in it: what is written stays in proportion
SWEEP_ACTORS_MAX = 256  # packed in one go

_log = logging.getLogger(__name__)


class LiveSet:
    """Gives actors as their logs say, from memory where it can. Everything in it may be dropped at any time.

    Two tiers, each bounded, the least recently used go first: decoded actors, then packed ones (bytes). Snapshots are written
    by a task of our own, between `start` and `stop`, never in the way of a commit; where one fails the log is read instead.
    """

    def __init__(
        self, log: EventLog, limits: Limits, snapshots: Snapshots | None = None, telemetry: Telemetry | None = None
    ) -> None:
        self._log = log
        self._limits = limits
        self._snapshots = snapshots
        self._telemetry = telemetry or NoTelemetry()
        self._live: OrderedDict[ActorRef, Live] = OrderedDict()
        self._packed: OrderedDict[ActorRef, bytes] = OrderedDict()
        self._kinds: dict[str, AnyActor] = {}
        self._packed_bytes = 0
        self._epoch = 0
        self._waiting: asyncio.Queue[tuple[ActorRef, bytes | None]] = asyncio.Queue(limits.snapshots_waiting_max)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        self._tasks = [
            asyncio.create_task(self._write_snapshots(), name="snapshots"),
            asyncio.create_task(self._sweep(), name="passivation"),
        ]

    async def stop(self) -> None:
        """End, after writing the snapshots that are worth it, as far as `snapshot_stop_s_max` allows. Idempotent."""
        tasks, self._tasks = self._tasks, []
        if not tasks:
            return
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            async with asyncio.timeout(self._limits.snapshot_stop_s_max):
                await self._write_last()
        except TimeoutError:
            _log.info("not every snapshot was written before the end")

    def __len__(self) -> int:
        """How many actors are in memory, in either form."""
        return len(self._live) + len(self._packed)

    async def load(self, actor: AnyActor, ref: ActorRef) -> Live:
        """The actor as far as its log is known to go. Raises UnavailableError when the log cannot be read."""
        now = asyncio.get_running_loop().time()
        if (found := self._live.get(ref)) is not None:
            self._live.move_to_end(ref)
            found.used = now
            return found
        live = self._activate(actor, ref)
        if live is None:
            epoch = self._epoch
            live = await self._read(actor, ref)
            if epoch != self._epoch:
                return live  # Something was dropped meanwhile, perhaps this: it is kept once its next commit succeeded.
        live.used = now
        self._put(actor, ref, live)
        return live

    def keep(self, actor: AnyActor, ref: ActorRef, live: Live) -> None:
        """The actor was committed to: it is as its log says. Called with what `load` gave, after every append."""
        if self._live.get(ref) is not live:
            self._unpacked(ref)
            self._put(actor, ref, live)
        if live.fresh >= self._limits.snapshot_events + len(live.handled) // IDS_AN_EVENT:
            self._ask_for_snapshot(ref, live)

    def drop(self, ref: ActorRef) -> None:
        """Its log is not, or may not be, what is known of it: read it again next time."""
        self._epoch += 1
        self._live.pop(ref, None)
        self._unpacked(ref)

    def forget(self, partitions: Collection[int]) -> None:
        """Drop all actors of these partitions: others will write to them."""
        self._epoch += 1
        gone = set(partitions)
        for ref in [ref for ref, live in self._live.items() if live.partition in gone]:
            del self._live[ref]
        for ref in [ref for ref, packed in self._packed.items() if snapshots.head(packed).partition in gone]:
            self._unpacked(ref)

    def _put(self, actor: AnyActor, ref: ActorRef, live: Live) -> None:
        self._kinds[actor.kind] = actor
        self._live[ref] = live
        if len(self._live) > self._limits.live_actors_max:
            self._passivate()
        self._telemetry.gauge(LIVE_ACTORS, len(self._live))

    def _passivate(self) -> None:
        """Pack the actor that was not used for longest; of the packed ones let go what is too much."""
        ref, live = self._live.popitem(last=False)
        try:
            packed = snapshots.pack(live)
        except (TypeError, ValueError) as error:
            _log.warning("%s is let go: its state cannot be packed: %s", ref, error)
            return
        self._packed[ref] = packed
        self._packed_bytes += len(packed) + PACKED_BYTES_EXTRA
        while self._packed_bytes > self._limits.idle_actors_bytes_max:
            ref, packed = self._packed.popitem(last=False)
            self._packed_bytes -= len(packed) + PACKED_BYTES_EXTRA
            if snapshots.head(packed).fresh >= self._limits.snapshot_events_min:
                self._ask_for_snapshot(ref, packed)
        self._telemetry.gauge(PACKED_ACTORS, len(self._packed))

    def _activate(self, actor: AnyActor, ref: ActorRef) -> Live | None:
        packed = self._unpacked(ref)
        try:
            return None if packed is None else snapshots.unpack(actor, ref, packed)
        except msgspec.MsgspecError as error:
            _log.warning("%s is read again: what was packed cannot be unpacked: %s", ref, error)
            return None

    def _unpacked(self, ref: ActorRef) -> bytes | None:
        """Take the packed actor out, if it is there."""
        found = self._packed.pop(ref, None)
        if found is None:
            return None
        self._packed_bytes -= len(found) + PACKED_BYTES_EXTRA
        return found

    async def _read(self, actor: AnyActor, ref: ActorRef) -> Live:
        """From the log alone when it is short, else from the snapshot and what follows it, else from the whole log."""
        live = Live(ref, ref.partition, actor.initial)
        records = await self._log.read(live.subject, limit=FIRST_LOOK_RECORDS)
        if len(records) == FIRST_LOOK_RECORDS:
            if (snapped := await self._read_snapshot(actor, ref)) is not None:
                return snapped
            records = [*records, *await self._log.read(live.subject, after=records[-1].sequence)]
        fold(actor, live, records)
        return live

    async def _read_snapshot(self, actor: AnyActor, ref: ActorRef) -> Live | None:
        """What the snapshot and the log after it say; None when there is none that this log and this code can stand behind."""
        if self._snapshots is None:
            return None
        try:
            found = await self._snapshots.load(ref)
        except UnavailableError as error:
            _log.warning("snapshot of %s not read: %s", ref, error)
            found = None
        if found is None:
            return None
        live = snapshots.open_snapshot(actor, ref, found)
        if live is not None:
            # From the record it ends with: only that one's hash proves that this is the log it was made from.
            records = await self._log.read(live.subject, after=live.sequence - 1)
            if _follow(live, records):
                fold(actor, live, records[1:])
                self._telemetry.count(SNAPSHOTS_TOTAL, kind=actor.kind, what="used")
                return live
        self._telemetry.count(SNAPSHOTS_TOTAL, kind=actor.kind, what="refused")
        return None

    def _ask_for_snapshot(self, ref: ActorRef, which: Live | bytes) -> None:
        """Have it written soon. When too many wait, a later commit asks again."""
        if self._snapshots is None or not self._tasks:
            return
        try:
            self._waiting.put_nowait((ref, which if isinstance(which, bytes) else None))
        except asyncio.QueueFull:
            self._telemetry.count(SNAPSHOTS_TOTAL, kind=ref.kind, what="put off")
        else:
            if isinstance(which, Live):
                which.fresh = 0

    async def _write_snapshots(self) -> None:
        while True:
            await self._write(*await self._waiting.get())

    async def _write(self, ref: ActorRef, packed: bytes | None) -> None:
        """Write one: what is given, or what is in memory under that name. Never raises but for cancellation."""
        what = "written"
        try:
            packed = packed or self._now_packed(ref)
            if packed is None or self._snapshots is None:
                return
            snapshot = snapshots.seal_snapshot(self._kinds[ref.kind], packed)
            if len(snapshot) > self._limits.snapshot_bytes_max:
                what = "too large"
            else:
                await self._snapshots.save(ref, snapshot)
        except (DiarchyError, TypeError, ValueError) as error:
            what = "failed"
            _log.warning("snapshot of %s not written: %s", ref, error)
        self._telemetry.count(SNAPSHOTS_TOTAL, kind=ref.kind, what=what)

    def _now_packed(self, ref: ActorRef) -> bytes | None:
        if (found := self._live.get(ref)) is not None:
            return snapshots.pack(found)
        return self._packed.get(ref)

    async def _write_last(self) -> None:
        while not self._waiting.empty():
            await self._write(*self._waiting.get_nowait())
        if self._snapshots is None:
            return
        least = self._limits.snapshot_events_min
        hot = [ref for ref, live in self._live.items() if live.fresh >= least]
        idle = [ref for ref, packed in self._packed.items() if snapshots.head(packed).fresh >= least]
        for ref in [*hot, *idle]:
            await self._write(ref, None)

    async def _sweep(self) -> None:
        """Pack what is idle, a few at a time."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._limits.idle_s / 4)
            before = loop.time() - self._limits.idle_s
            for number in range(len(self._live)):
                if not self._live or next(iter(self._live.values())).used > before:
                    break
                self._passivate()
                if number % SWEEP_ACTORS_MAX == 0:
                    await asyncio.sleep(0)
            self._telemetry.gauge(LIVE_ACTORS, len(self._live))


def fold(actor: AnyActor, live: Live, records: Sequence[Stored]) -> None:
    """Bring the actor forward over the records that follow in its log."""
    state, causes = live.state, []
    evolve, decode_event, refused = actor.evolve, actor.decode_event, tag(Refused)
    for stored in records:
        envelope, body = stored.record.envelope, stored.record.body
        if envelope.type not in KERNEL_TYPES:
            state = evolve(state, decode_event(body))
        elif envelope.type == refused and msgspec.json.decode(body, type=Refused).code == FAILED:
            continue
        if envelope.causation:
            causes.append(envelope.causation)
    live.handled.update(dict.fromkeys(causes))
    if records:
        live.sequence, live.hash = records[-1].sequence, records[-1].record.envelope.hash or GENESIS
    live.state = state
    live.fresh += len(records)


def _follow(live: Live, records: Sequence[Stored]) -> bool:
    """Whether the first record is the one that the actor ends with, and the second chains to it."""
    if not records or (records[0].sequence, records[0].record.envelope.hash or GENESIS) != (live.sequence, live.hash):
        return False
    return len(records) == 1 or (records[1].record.envelope.prev or GENESIS) == live.hash
