"""What of the vector index serves: which open generation answers for a partition and takes its changes, swap after swap."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import msgspec

from contracts.domains import Partition
from contracts.retrieval import Entry, Hit, Query
from runtime.errors import UnavailableError
from runtime.gate import Gate
from runtime.index_heard import Hearing
from runtime.vector_ports import Shelved


class Open:
    """A generation that is searched. Its gate is closed for good before its store is."""

    def __init__(self, name: str, shelved: Shelved) -> None:
        self.name = name
        self.shelved = shelved
        self.gate = Gate()


class Serving:
    """A Retrieval of the generations that are open. Changes pass `gate`; searches do not. `unserved` makes the error to raise.

    What is changed in a partition that none serves is left to the build that is under way: it is in the log.
    """

    def __init__(self, hearing: Hearing, unserved: Callable[[], UnavailableError]) -> None:
        self.opened: dict[Partition, Open] = {}
        self.gate = Gate()
        self._hearing = hearing
        self._unserved = unserved

    def turn_to(self, opened: Open, partitions: Iterable[Partition]) -> None:
        """From now on it serves these."""
        self.opened.update(dict.fromkeys(partitions, opened))

    def end(self) -> set[Open]:
        """Serve nothing any more; what is left to be closed."""
        opened, self.opened = set(self.opened.values()), {}
        return opened

    async def index(self, partition: Partition, entries: Sequence[Entry], *, version: int = 0) -> None:
        async with self.gate.passing():
            opened = self.opened.get(partition)
            if opened is not None:
                newest = [one for one in entries if not self._too_late(partition, one.id, version or one.version)]
                await opened.shelved.retrieval.index(partition, newest, version=version)

    async def remove(self, partition: Partition, ids: Sequence[str], *, version: int = 0) -> None:
        async with self.gate.passing():
            opened = self.opened.get(partition)
            if opened is not None:
                heard = self._hearing.heard
                newest = [id_ for id_ in ids if not version or not heard.put_since(partition, id_, version)]
                await opened.shelved.retrieval.remove(partition, newest, version=version)

    def _too_late(self, partition: Partition, id_: str, version: int) -> bool:
        return version > 0 and self._hearing.heard.overtaken(partition, id_, version)

    async def search(self, query: Query) -> list[Hit]:
        """Also without what the logs say was changed or removed since. Raises UnavailableError."""
        with self.held(query.partitions) as held:
            parts = [(one, msgspec.structs.replace(query, partitions=tuple(some))) for one, some in held.items()]
            found = await asyncio.gather(*(one.shelved.retrieval.search(part) for one, part in parts))
        hits = sorted((hit for hits in found for hit in hits), key=lambda hit: hit.place, reverse=True)
        return self._hearing.heard.current(hits)[: query.limit]

    @contextmanager
    def held(self, partitions: Iterable[Partition]) -> Iterator[dict[Open, list[Partition]]]:
        """What serves these partitions, which is not closed meanwhile. Raises UnavailableError where nothing does."""
        held: dict[Open, list[Partition]] = {}
        for partition in dict.fromkeys(partitions):
            opened = self.opened.get(partition)
            if opened is None:
                raise self._unserved()
            held.setdefault(opened, []).append(partition)
        with ExitStack() as inside:
            for opened in held:
                inside.enter_context(opened.gate.inside())
            yield held
