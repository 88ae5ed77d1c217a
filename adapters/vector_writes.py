"""Changes of a vector store, in the order they were asked for: those of a while together, for a flush costs the same for many.

The embedded engine keeps Python's lock while it flushes, some 10 ms on a quiet machine and 120 on a busy one, and nothing is
embedded then. An import whose items were flushed as they came, 1.3 at a time, spent nine tenths of its time so.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from msgspec import Struct

from contracts.domains import Partition
from runtime.errors import UnavailableError
from runtime.vector_ports import Item, VectorStore

MERGED_MAX = 64  # changes that are done in one go
PAUSE_S_MAX = 0.5  # between two goes while changes come in crowds; a change is to be found within a second
PAUSES_A_GO = 8  # and not more than so often the time that the last go took


class Change(Struct, frozen=True):
    """Items to be put under their ids, or ids to be forgotten; each with its version, of which a lower one is left out."""

    put: Sequence[Item] = ()
    gone: Sequence[tuple[str, int]] = ()


_Waiting = tuple[Change, "asyncio.Future[None]"]


class VectorWrites:
    """`newest` says whether nothing later was begun for an id; `changing` is entered around each change of a partition."""

    def __init__(
        self,
        store: VectorStore,
        newest: Callable[[Partition, str, int], bool],
        changing: Callable[[Partition], AbstractContextManager[None]],
    ) -> None:
        self._store = store
        self._newest = newest
        self._changing = changing
        self._doing: dict[Partition, asyncio.Task[None]] = {}
        self._waiting: defaultdict[Partition, list[_Waiting]] = defaultdict(list)

    async def do(self, partition: Partition, change: Change) -> None:
        """Return once it is done, together with what else waits. Whoever stops waiting is left out, unless it has begun: then it
        is done to its end, and nothing passes it by.

        Raises what the store does; where it refuses changes together, each is tried alone. Of one that is away nothing is
        asked again: each would wait for it as long as all together.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[partition].append((change, done))
        if partition not in self._doing:
            self._doing[partition] = asyncio.create_task(self._work_off(partition), name=f"changes of {partition}")
        await done

    async def _work_off(self, partition: Partition) -> None:
        """Go on until nobody waits."""
        try:
            while waiting := [one for one in self._waiting.pop(partition, []) if not one[1].done()]:
                self._waiting[partition] = waiting[MERGED_MAX:]
                began = time.monotonic()
                await self._settle(partition, waiting[:MERGED_MAX])
                if len(waiting) > 1:
                    await asyncio.sleep(min(PAUSES_A_GO * (time.monotonic() - began), PAUSE_S_MAX))
        finally:
            del self._doing[partition]
            _tell(self._waiting.pop(partition, []), UnavailableError("vector store", "interrupted"))

    async def _settle(self, partition: Partition, batch: Sequence[_Waiting]) -> None:
        """Do the changes and tell their outcomes; an interruption is unavailability."""
        problem: Exception | None = UnavailableError("vector store", "interrupted")
        try:
            await self._apply(partition, [change for change, _ in batch])
            problem = None
        except Exception as error:  # noqa: BLE001 - it is for who asked
            if len(batch) == 1 or isinstance(error, UnavailableError):
                problem = error
                return
            for one in batch:  # One of them may be to blame.
                await self._settle(partition, [one])
        finally:
            _tell(batch, problem)

    async def _apply(self, partition: Partition, changes: Sequence[Change]) -> None:
        """What remains of the changes when of each id the last one counts."""
        last: dict[str, Item | None] = {}
        for change in changes:
            last |= {
                item.entry.id: item for item in change.put if self._newest(partition, item.entry.id, item.entry.version)
            }
            last |= {id_: None for id_, version in change.gone if self._newest(partition, id_, version)}
        put = [item for item in last.values() if item is not None]
        gone = [id_ for id_, item in last.items() if item is None]
        if not last:
            return
        with self._changing(partition):
            if put:
                await self._store.upsert(partition, put)
            if gone:
                await self._store.remove(partition, gone)


def _tell(waiting: Sequence[_Waiting], problem: Exception | None) -> None:
    for _, done in waiting:
        if not done.done():
            done.set_result(None) if problem is None else done.set_exception(problem)
