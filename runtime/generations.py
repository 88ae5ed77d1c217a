"""The vector index of the process that owns it: one generation serves, the next is built beside it from the logs and swapped in.

The log is the only truth. What a reaction indexes or removes is in the log before, so a build needs to fold the logs only; for
its last records changes wait, and then they go to the new generation. Searches never wait and never see half an index: until
the swap they are answered by the old one. A crash at any point leaves that one serving, and the build goes on where it was.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import datetime

import msgspec

from contracts.domains import Partition
from contracts.retrieval import Entry, Hit, Kept, Query
from contracts.vectors import Building, Built, Generation, Manifest, Spec, VectorsStatus
from runtime import index_manifest
from runtime.errors import DiarchyError, InvalidError, OutcomeError, UnavailableError
from runtime.index_build import IndexBuild, Stage, UnequalIndexError
from runtime.index_fold import Changes
from runtime.index_heard import Hearing
from runtime.index_manifest import Due, building, goes_back, named
from runtime.index_serving import Open, Serving
from runtime.ports import EventLog
from runtime.telemetry import INDEX_BUILD_RATIO, Telemetry
from runtime.vector_ports import Shelf

MANIFEST = "manifest"
START_S_MAX = 10.0  # A start waits this long for what it can serve from the first moment on.
RETRY_S_MIN = 0.5
RETRY_S_MAX = 30.0
RETRY_AFTER_S_MAX = 60

_log = logging.getLogger(__name__)
_manifest = msgspec.json.Decoder(Manifest)


class Generations:
    """A Retrieval and a Runnable. `partitions` are all there are, `changes` what an event changes, `wanted` how to build.

    A generation made otherwise than `wanted` is replaced: it serves until then if it can be opened, else searches are
    unavailable, and what is indexed is left to the build.
    """

    def __init__(  # noqa: PLR0913 - what it is built of, how, and who is told
        self,
        log: EventLog,
        changes: Changes,
        shelf: Shelf,
        wanted: Spec,
        partitions: Sequence[Partition],
        *,
        telemetry: Telemetry,
        clock: Callable[[], datetime],
    ) -> None:
        self._event_log = log
        self._changes = changes
        self._shelf = shelf
        self._wanted = wanted
        self._partitions = tuple(partitions)
        self._telemetry = telemetry
        self._clock = clock
        self._manifest = Manifest()
        self._hearing = Hearing(log, changes, shelf)
        self._serving = Serving(self._hearing, self._unserved)
        self._asked: Due = ()
        self._wake = asyncio.Event()
        self._complete = asyncio.Event()
        self._building: Building | None = None
        self._build_began = 0.0
        self._last: Built | None = None
        self._trouble = ""
        self._task: asyncio.Task[None] | None = None
        self._taken = False

    # The life cycle ------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Raises UnavailableError while another process owns the index."""
        if self._taken:
            return
        await self._shelf.take()
        self._taken = True
        content = await self._shelf.load(MANIFEST)
        if content is not None:
            self._manifest = _manifest.decode(content)
        for generation in self._manifest.generations:
            if generation.state == "serving":
                await self._serve(generation)
        await self._hearing.start()
        self._task = asyncio.create_task(self._keep(), name="build vector index")
        waits: list[Coroutine[None, None, object]] = [self._hearing.caught_up()]
        if not self._serving.opened:
            waits.append(self._complete.wait())
        with suppress(TimeoutError):
            async with asyncio.timeout(START_S_MAX):
                await asyncio.gather(*waits)

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        opened = self._serving.end()
        async with AsyncExitStack() as ending:  # Each of it, whatever becomes of the others.
            if self._taken:
                self._taken = False
                ending.push_async_callback(self._shelf.release)
            for one in opened:
                ending.push_async_callback(one.shelved.close)
            await self._hearing.stop()

    async def wait(self) -> None:
        """Raise what broke a task of its own; else wait without end."""
        own = [] if self._task is None else [self._task]
        done, _ = await asyncio.wait([*own, *self._hearing.tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def _serve(self, generation: Generation) -> None:
        try:
            shelved = await self._shelf.open(generation)
        except InvalidError as error:
            self._trouble = f"generation {generation.name} is not served: {error}"
            _log.warning("%s", self._trouble)
            return
        self._serving.turn_to(Open(generation.name, shelved), generation.partitions)

    # The Retrieval -------------------------------------------------------------------------------------------------

    async def index(self, partition: Partition, entries: Sequence[Entry], *, version: int = 0) -> None:
        await self._serving.index(partition, entries, version=version)

    async def remove(self, partition: Partition, ids: Sequence[str], *, version: int = 0) -> None:
        await self._serving.remove(partition, ids, version=version)

    async def search(self, query: Query) -> list[Hit]:
        """Also without what the logs say was changed or removed since. Raises UnavailableError."""
        return await self._serving.search(query)

    def _unserved(self) -> UnavailableError:
        return UnavailableError("vector index", self._why(), self._ready_in_s(), told=self._told())

    def _why(self) -> str:
        now = self._building
        if now is None:
            return self._trouble or "it waits to be built"
        what = f"{now.stage} {now.done:,} of {now.total:,}"
        return f"it is being built with {now.spec.model} ({what}){f'; {self._trouble}' if self._trouble else ''}"

    def _told(self) -> str:
        """What is for everybody: no model, no error, no number of entries, which may count what a reader may not know of."""
        now = self._building
        if now is None:
            return "it waits to be built anew"
        return f"it is being built anew ({now.stage}, {100 * now.done // max(1, now.total)} % of this step is done)"

    def _ready_in_s(self) -> int:
        now = self._building
        if now is None or not now.done:
            return RETRY_AFTER_S_MAX
        left = (now.total - now.done) / now.done * (time.monotonic() - self._build_began)
        return max(1, min(RETRY_AFTER_S_MAX, round(left)))

    # What others ask of it -----------------------------------------------------------------------------------------

    async def status(self) -> VectorsStatus:
        with self._serving.held(self._serving.opened) as held:
            counts = {one: await opened.shelved.store.count(one) for opened, some in held.items() for one in some}
        return VectorsStatus(
            wanted=self._wanted,
            generations=self._manifest.generations,
            counts=counts,
            building=self._building or (building(under_way) if (under_way := self._under_way()) else None),
            last=self._last,
            trouble=self._trouble,
        )

    async def listed(self, partition: Partition, *, after: str | None, limit: int) -> list[Kept]:
        """What the serving generation keeps; see VectorStore.listed. Raises UnavailableError where none serves."""
        with self._serving.held((partition,)) as held:
            return await next(iter(held)).shelved.store.listed(partition, after=after, limit=limit)

    async def rebuild(self, partitions: Sequence[Partition] = ()) -> str:
        """Begin a new generation for these partitions (none: all); its name. Raises OutcomeError while one is built."""
        self._demand_idle()
        return self._ask(self._new(partitions or self._partitions))

    async def roll_back(self) -> str:
        """Take the last swap back: bring all that served before it up to date, and serve it again; the name of this build.

        Raises OutcomeError where nothing is kept, and while a generation is built.
        """
        self._demand_idle()
        due = index_manifest.replaced(self._manifest, self._wanted)
        if not due:
            raise OutcomeError("no generation is kept that was made with the model and the layout of today")
        return self._ask(due)

    def _demand_idle(self) -> None:
        if self._building is not None or self._under_way():
            raise OutcomeError("a generation is being built already; wait for it")

    def _ask(self, due: Due) -> str:
        self._asked = due
        self._wake.set()
        return named(due)

    # Building ------------------------------------------------------------------------------------------------------

    async def _keep(self) -> None:
        """Build what is missing, made otherwise than wanted, or asked for, one generation after the other."""
        wait_s = RETRY_S_MIN
        while True:
            due = self._due()
            try:
                if not due:
                    self._complete.set()
                    await self._drop_old()
                    self._trouble, wait_s = "", RETRY_S_MIN
                    await self._idle()
                    continue
                await self._build(due)
                self._trouble, wait_s = "", RETRY_S_MIN
            except UnequalIndexError as error:
                await self._failed(due, error)
            except Exception as error:  # noqa: BLE001 - reported whole, tried again; what serves goes on serving
                what = f"the build of {named(due)} goes on" if due else "old generations are dropped"
                self._trouble = f"{what} in {wait_s:g} s: {error}"
                _log.warning("%s", self._trouble, exc_info=not isinstance(error, DiarchyError))
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, RETRY_S_MAX)
            finally:
                self._building = None

    async def _failed(self, due: Due, error: UnequalIndexError) -> None:
        """What was built is wrong: it is dropped, and what is needed all the same is begun anew a little later."""
        _log.error("generation %s was not swapped in: %s", named(due), error)
        self._last = Built(generation=named(due), trouble=str(error))
        with suppress(UnavailableError):
            if goes_back(due):
                await self._write(index_manifest.settled(self._manifest))
            else:
                await self._forget(due)
        if self._due():
            await asyncio.sleep(RETRY_S_MAX)

    def _under_way(self) -> Due:
        """What somebody asked for, or a process before this one had begun."""
        if self._asked:
            return self._asked
        if self._manifest.goes_back and (due := index_manifest.replaced(self._manifest, self._wanted)):
            return due
        new = [one for one in self._manifest.generations if one.state == "building" and one.spec == self._wanted]
        return tuple(new[:1])

    def _due(self) -> Due:
        """What is to be built next: what was begun, or what the serving generations lack."""
        if under_way := self._under_way():
            return under_way
        lacking = index_manifest.lacking(self._manifest, self._wanted, self._partitions)
        if not lacking:
            return ()
        before = index_manifest.replaced(self._manifest, self._wanted)
        if set(lacking) <= {partition for one in before for partition in one.partitions}:
            return before  # As it is after going back to an earlier setting.
        return self._new(lacking)

    def _new(self, partitions: Sequence[Partition]) -> Due:
        began = self._clock()
        name = f"{began:%Y%m%d-%H%M%S-%f}"
        return (Generation(name=name, spec=self._wanted, state="building", partitions=tuple(partitions), began=began),)

    async def _build(self, due: Due) -> None:
        await self._write(index_manifest.begun(self._manifest, due))
        self._asked = ()
        self._build_began = time.monotonic()
        self._building = building(due)
        async with AsyncExitStack() as opening:
            opened = [await self._open(one, opening) for one in due]
            builds = [self._index_build(one, to) for one, to in zip(due, opened, strict=True)]
            for build in builds:
                await build.catch_up()
            async with self._serving.gate.closed():
                self._progress("swapping", 0, 0)
                for build in builds:
                    await build.settle()
                replaced = await self._swap(due, opened, builds)
                opening.pop_all()
        for one in replaced:
            async with one.gate.closed():
                await one.shelved.close()
        seconds = time.monotonic() - builds[0].began
        self._last = Built(generation=named(due), entries=sum(build.entries for build in builds), seconds=seconds)
        _log.info("generation %s serves: %d entries embedded in %.1f s", named(due), self._last.entries, seconds)
        await self._shelf.drop_unnamed()

    async def _open(self, generation: Generation, opening: AsyncExitStack) -> Open:
        """As it serves other partitions already, or opened; closed with `opening`."""
        for one in self._serving.opened.values():
            if one.name == generation.name:
                return one
        shelved = await self._shelf.open(generation)
        opening.push_async_callback(shelved.close)
        return Open(generation.name, shelved)

    def _index_build(self, generation: Generation, to: Open) -> IndexBuild:
        retrieval, store = to.shelved.retrieval, to.shelved.store
        return IndexBuild(self._event_log, self._changes, retrieval, store, generation.partitions, self._progress)

    async def _swap(self, due: Due, opened: Sequence[Open], builds: Sequence[IndexBuild]) -> list[Open]:
        """Serve it; what serves nothing any more. The manifest is written first, so a crash in between changes nothing."""
        positions = {one.name: build.positions for one, build in zip(due, builds, strict=True)}
        await self._written(index_manifest.swapped(self._manifest, due, positions, self._clock()))
        before = set(self._serving.opened.values())
        for one, to in zip(due, opened, strict=True):
            self._serving.turn_to(to, one.partitions)
        return list(before - set(self._serving.opened.values()))

    async def _written(self, manifest: Manifest) -> None:
        """Once it is certain: what is stored now must not go on with the generation before."""
        while True:
            try:
                return await self._write(manifest)
            except UnavailableError as error:
                _log.warning("the swap waits: %s", error)
                await asyncio.sleep(RETRY_S_MIN)

    def _progress(self, stage: Stage, done: int, total: int) -> None:
        if self._building is not None:
            self._building = msgspec.structs.replace(self._building, stage=stage, done=done, total=total)
            self._telemetry.gauge(INDEX_BUILD_RATIO, done / total if total else 1.0)

    async def _idle(self) -> None:
        """Until something is asked for, or the last swap is old."""
        left_s = index_manifest.kept_s_left(self._manifest, self._clock())
        with suppress(TimeoutError):
            async with asyncio.timeout(None if left_s is None else max(0.0, left_s)):
                await self._wake.wait()
        self._wake.clear()

    async def _drop_old(self) -> None:
        """All generations that serve nothing, but for those that the last swap replaced, for a day."""
        left_s = index_manifest.kept_s_left(self._manifest, self._clock())
        if left_s is not None and left_s <= 0:
            await self._write(index_manifest.settled(self._manifest))
        await self._forget(index_manifest.unneeded(self._manifest))

    async def _forget(self, generations: Due) -> None:
        for generation in generations:
            if any(one.name == generation.name for one in self._asked):
                self._asked = ()
            await self._shelf.drop(generation.name)  # First: half dropped, it is built up again should it be wanted.
            left = tuple(one for one in self._manifest.generations if one.name != generation.name)
            await self._write(msgspec.structs.replace(self._manifest, generations=left))

    async def _write(self, manifest: Manifest) -> None:
        await self._shelf.save(MANIFEST, msgspec.json.encode(manifest))
        self._manifest = manifest
