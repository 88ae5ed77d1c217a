"""The vector index of the process that owns it: one generation serves, the next is built beside it from the logs and swapped in.

The log is the only truth. What a reaction indexes or removes is in the log before, so a build needs to fold the logs only; for
its last records changes wait, and then they go to the new generation. Searches never wait and never see half an index: until
the swap they are answered by the old one. A crash at any point leaves that one serving, and the build goes on where it was.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager, suppress
from datetime import datetime, timedelta

import msgspec

from contracts.domains import Partition
from contracts.retrieval import Entry, Hit, Kept, Query
from contracts.vectors import Building, Built, Generation, Manifest, Spec, VectorsStatus
from runtime.errors import DiarchyError, InvalidError, OutcomeError, UnavailableError
from runtime.gate import Gate
from runtime.index_build import IndexBuild, Stage, UnequalIndexError
from runtime.index_fold import Changes
from runtime.index_heard import Hearing
from runtime.ports import EventLog
from runtime.telemetry import INDEX_BUILD_RATIO, Telemetry
from runtime.vector_ports import Shelf, Shelved

MANIFEST = "manifest"
KEPT_S_MAX = 86_400.0  # how long the generation before can be rolled back to
START_S_MAX = 10.0  # A start waits this long for what it can serve from the first moment on.
RETRY_S_MIN = 0.5
RETRY_S_MAX = 30.0
RETRY_AFTER_S_MAX = 60

_log = logging.getLogger(__name__)
_manifest = msgspec.json.Decoder(Manifest)


class _Open:
    """A generation that is searched. Its gate is closed for good before its store is."""

    def __init__(self, generation: Generation, shelved: Shelved) -> None:
        self.generation = generation
        self.shelved = shelved
        self.gate = Gate()


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
        self._serving: dict[Partition, _Open] = {}
        self._gate = Gate()  # around changes
        self._hearing = Hearing(log, changes, shelf)
        self._asked: Generation | None = None
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
        if not self._serving:
            waits.append(self._complete.wait())
        with suppress(TimeoutError):
            async with asyncio.timeout(START_S_MAX):
                await asyncio.gather(*waits)

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        opened, self._serving = set(self._serving.values()), {}
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
        opened = _Open(generation, shelved)
        self._serving.update(dict.fromkeys(generation.partitions, opened))

    # The Retrieval -------------------------------------------------------------------------------------------------

    async def index(self, partition: Partition, entries: Sequence[Entry], *, version: int = 0) -> None:
        async with self._gate.passing():
            opened = self._serving.get(partition)
            if opened is None:
                return  # It is in the log, and the build that is under way comes to it.
            newest = [one for one in entries if not self._too_late(partition, one.id, version or one.version)]
            await opened.shelved.retrieval.index(partition, newest, version=version)

    async def remove(self, partition: Partition, ids: Sequence[str], *, version: int = 0) -> None:
        async with self._gate.passing():
            opened = self._serving.get(partition)
            if opened is not None:
                heard = self._hearing.heard
                newest = [id_ for id_ in ids if not version or not heard.put_since(partition, id_, version)]
                await opened.shelved.retrieval.remove(partition, newest, version=version)

    def _too_late(self, partition: Partition, id_: str, version: int) -> bool:
        return version > 0 and self._hearing.heard.overtaken(partition, id_, version)

    async def search(self, query: Query) -> list[Hit]:
        """Also without what the logs say was changed or removed since. Raises UnavailableError."""
        with self._held(query.partitions) as held:
            parts = [(one, msgspec.structs.replace(query, partitions=tuple(some))) for one, some in held.items()]
            found = await asyncio.gather(*(one.shelved.retrieval.search(part) for one, part in parts))
        hits = sorted((hit for hits in found for hit in hits), key=lambda hit: hit.place, reverse=True)
        return self._hearing.heard.current(hits)[: query.limit]

    @contextmanager
    def _held(self, partitions: Iterable[Partition]) -> Iterator[dict[_Open, list[Partition]]]:
        """What serves these partitions, which is not closed meanwhile. Raises UnavailableError where nothing does."""
        held: dict[_Open, list[Partition]] = {}
        for partition in dict.fromkeys(partitions):
            opened = self._serving.get(partition)
            if opened is None:
                raise UnavailableError("vector index", self._why(), self._ready_in_s())
            held.setdefault(opened, []).append(partition)
        with ExitStack() as inside:
            for opened in held:
                inside.enter_context(opened.gate.inside())
            yield held

    def _why(self) -> str:
        building = self._building
        if building is None:
            return self._trouble or "it waits to be built"
        what = f"{building.stage} {building.done:,} of {building.total:,}"
        return f"it is being built with {building.spec.model} ({what}){f'; {self._trouble}' if self._trouble else ''}"

    def _ready_in_s(self) -> int:
        building = self._building
        if building is None or not building.done:
            return RETRY_AFTER_S_MAX
        left = (building.total - building.done) / building.done * (time.monotonic() - self._build_began)
        return max(1, min(RETRY_AFTER_S_MAX, round(left)))

    # What others ask of it -----------------------------------------------------------------------------------------

    async def status(self) -> VectorsStatus:
        with self._held(self._serving) as held:
            counts = {one: await opened.shelved.store.count(one) for opened, some in held.items() for one in some}
        return VectorsStatus(
            wanted=self._wanted,
            generations=self._manifest.generations,
            counts=counts,
            building=self._building or (_begun(self._asked) if self._asked else None),
            last=self._last,
            trouble=self._trouble,
        )

    async def listed(self, partition: Partition, *, after: str | None, limit: int) -> list[Kept]:
        """What the serving generation keeps; see VectorStore.listed. Raises UnavailableError where none serves."""
        with self._held((partition,)) as held:
            return await next(iter(held)).shelved.store.listed(partition, after=after, limit=limit)

    async def rebuild(self, partitions: Sequence[Partition] = ()) -> str:
        """Begin a new generation for these partitions (none: all); its name. Raises OutcomeError while one is built."""
        self._demand_idle()
        self._asked = self._new(partitions or self._partitions)
        self._wake.set()
        return self._asked.name

    async def roll_back(self) -> str:
        """Bring the generation before up to date and serve it again; its name. Raises OutcomeError where there is none."""
        self._demand_idle()
        kept = [one for one in self._manifest.generations if one.state == "kept" and one.spec == self._wanted]
        if not kept:
            raise OutcomeError("no generation is kept that was made with the model and the layout of today")
        self._asked = kept[-1]
        self._wake.set()
        return self._asked.name

    def _demand_idle(self) -> None:
        if self._building is not None or self._asked is not None:
            raise OutcomeError("a generation is being built already; wait for it")

    # Building ------------------------------------------------------------------------------------------------------

    async def _keep(self) -> None:
        """Build what is missing, made otherwise than wanted, or asked for, one generation after the other."""
        wait_s = RETRY_S_MIN
        while True:
            due = self._due()
            try:
                if due is None:
                    self._complete.set()
                    await self._drop_old()
                    self._trouble, wait_s = "", RETRY_S_MIN
                    await self._idle()
                    continue
                await self._build(due)
                self._trouble, wait_s = "", RETRY_S_MIN
            except UnequalIndexError as error:
                await self._failed(error)
            except Exception as error:  # noqa: BLE001 - reported whole, tried again; what serves goes on serving
                what = f"the build of {due.name} goes on" if due else "old generations are dropped"
                self._trouble = f"{what} in {wait_s:g} s: {error}"
                _log.warning("%s", self._trouble, exc_info=not isinstance(error, DiarchyError))
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, RETRY_S_MAX)
            finally:
                self._building = None

    async def _failed(self, error: UnequalIndexError) -> None:
        """What was built is wrong: it is dropped, and what is needed all the same is begun anew a little later."""
        built = [one for one in self._manifest.generations if one.state == "building"]
        for one in built:
            _log.error("generation %s was not swapped in: %s", one.name, error)
            self._last = Built(generation=one.name, trouble=str(error))
            with suppress(UnavailableError):
                await self._forget(one)
        if self._due() is not None:
            await asyncio.sleep(RETRY_S_MAX)

    def _due(self) -> Generation | None:
        """What is to be built next: what somebody asked for, or what the serving generations lack."""
        if self._asked is not None:
            return self._asked
        for one in self._manifest.generations:
            if one.state == "building" and one.spec == self._wanted:
                return one
        good = {
            partition
            for one in self._manifest.generations
            for partition in one.partitions
            if one.state == "serving" and one.spec == self._wanted
        }
        lacking = tuple(partition for partition in self._partitions if partition not in good)
        if not lacking:
            return None
        for one in reversed(self._manifest.generations):
            if one.state == "kept" and one.spec == self._wanted and set(lacking) <= set(one.partitions):
                return one  # As it is after going back to an earlier setting.
        return self._new(lacking)

    def _new(self, partitions: Sequence[Partition]) -> Generation:
        began = self._clock()
        name = f"{began:%Y%m%d-%H%M%S-%f}"
        return Generation(name=name, spec=self._wanted, state="building", partitions=tuple(partitions), began=began)

    async def _build(self, generation: Generation) -> None:
        generation = msgspec.structs.replace(generation, state="building", replaced=None)
        await self._write([one for one in self._manifest.generations if one.name != generation.name] + [generation])
        self._asked = None
        self._build_began = time.monotonic()
        self._building = _begun(generation)
        shelved = await self._shelf.open(generation)
        try:
            build = IndexBuild(
                self._event_log, self._changes, shelved.retrieval, shelved.store, generation.partitions, self._progress
            )
            await build.catch_up()
            async with self._gate.closed():
                self._progress("swapping", 0, 0)
                await build.settle()
                replaced = await self._swap(generation, shelved, build)
        except BaseException:
            await shelved.close()
            raise
        for one in replaced:
            async with one.gate.closed():
                await one.shelved.close()
        seconds = time.monotonic() - build.began
        self._last = Built(generation=generation.name, entries=build.entries, seconds=seconds)
        _log.info("generation %s serves: %d entries embedded in %.1f s", generation.name, build.entries, seconds)
        await self._shelf.drop_unnamed()

    async def _swap(self, generation: Generation, shelved: Shelved, build: IndexBuild) -> list[_Open]:
        """Serve it; what serves nothing any more. The manifest is written first, so a crash in between changes nothing."""
        new = set(generation.partitions)
        generation = msgspec.structs.replace(generation, state="serving", positions=dict(build.positions))
        after: list[Generation] = []
        for one in self._manifest.generations:
            left = tuple(partition for partition in one.partitions if partition not in new)
            if one.name == generation.name:
                after.append(generation)
            elif one.state != "serving" or len(left) == len(one.partitions):
                after.append(one)
            elif left:
                after.append(msgspec.structs.replace(one, partitions=left))
            else:
                after.append(msgspec.structs.replace(one, state="kept", replaced=self._clock()))
        await self._written(after)
        opened = _Open(generation, shelved)
        before = set(self._serving.values())
        self._serving.update(dict.fromkeys(generation.partitions, opened))
        return list(before - set(self._serving.values()))

    async def _written(self, generations: Sequence[Generation]) -> None:
        """Once it is certain: what is stored now must not go on with the generation before."""
        while True:
            try:
                return await self._write(generations)
            except UnavailableError as error:
                _log.warning("the swap waits: %s", error)
                await asyncio.sleep(RETRY_S_MIN)

    def _progress(self, stage: Stage, done: int, total: int) -> None:
        if self._building is not None:
            self._building = msgspec.structs.replace(self._building, stage=stage, done=done, total=total)
            self._telemetry.gauge(INDEX_BUILD_RATIO, done / total if total else 1.0)

    async def _idle(self) -> None:
        """Until something is asked for, or a kept generation is old."""
        ends = [self._kept_s_left(one) for one in self._manifest.generations if one.state == "kept"]
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, min(ends)) if ends else None):
                await self._wake.wait()
        self._wake.clear()

    def _kept_s_left(self, generation: Generation) -> float:
        ends = (generation.replaced or generation.began) + timedelta(seconds=KEPT_S_MAX)
        return (ends - self._clock()).total_seconds()

    async def _drop_old(self) -> None:
        """All generations that serve nothing, but for the one that was replaced last, for a day."""
        kept = [one for one in self._manifest.generations if one.state == "kept"]
        newest = max(kept, key=lambda one: one.replaced or one.began, default=None)
        for one in self._manifest.generations:
            old = one.state == "kept" and (one is not newest or self._kept_s_left(one) <= 0)
            if old or one.state == "building":
                await self._forget(one)

    async def _forget(self, generation: Generation) -> None:
        if self._asked is not None and self._asked.name == generation.name:
            self._asked = None
        await self._shelf.drop(generation.name)  # First: what is half dropped is built up again, should it be wanted.
        await self._write([one for one in self._manifest.generations if one.name != generation.name])

    async def _write(self, generations: Sequence[Generation]) -> None:
        manifest = Manifest(tuple(generations))
        await self._shelf.save(MANIFEST, msgspec.json.encode(manifest))
        self._manifest = manifest


def _begun(generation: Generation) -> Building:
    """What is told of a build from the moment it is asked for: its name is in the manifest only a flush later."""
    return Building(generation=generation.name, spec=generation.spec, partitions=generation.partitions)
