"""Holding a vector store against the logs, and bringing it to what they say: what it holds already is left, what is missing or
stale is embedded.

So the same work builds a new index, goes on with one whose build was interrupted, and checks and repairs one that serves.
"""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from contextlib import aclosing
from typing import Literal

import msgspec

from contracts.domains import Domain, Partition
from contracts.retrieval import Entry, Put
from contracts.vectors import Checked, Difference
from runtime.errors import DiarchyError
from runtime.index_fold import DOMAINS, Changes, Expected, Lister, Place, changes_of, differences
from runtime.ports import EventLog, Retrieval
from runtime.rebuild import between

EMBED_ENTRIES_MAX = 64  # handed to the index at once; queries come in between
REMOVE_IDS_MAX = 256
SETTLE_RECORDS_MAX = 200  # How far behind a build may be when changes are made to wait for it.
CATCH_UP_ROUNDS_MAX = 100
LOOK_AGAIN_S = 0.5

Stage = Literal["reading", "embedding", "comparing", "swapping"]
Progress = Callable[[Stage, int, int], None]
"""Told the stage, what of it is done, and of how many as far as is known."""


Ended = Callable[[Domain], Awaitable[Sequence[int]]]
"""Up to which sequence of a domain's log the reactions to all events have ended, by the partition of its actors."""


class UnequalIndexError(DiarchyError):
    """What was built is not what the logs say."""


class IndexBuild:
    """A store, the way it is written to, and which of its partitions are to be as the logs say.

    `catch_up` and `settle` build: nobody else writes to the store meanwhile. `check` and `mend` are for one that serves.
    `entries` counts what was embedded.
    """

    def __init__(
        self,
        log: EventLog,
        changes: Changes,
        retrieval: Retrieval,
        store: Lister,
        partitions: Sequence[Partition],
        progress: Progress,
    ) -> None:
        self._log = log
        self._changes = changes
        self._retrieval = retrieval
        self._store = store
        self._partitions = frozenset(partitions)
        self._progress = progress
        self._expected = Expected(changes)
        self.entries = 0
        self.began = time.monotonic()

    @property
    def positions(self) -> Mapping[Domain, int]:
        return self._expected.positions

    @property
    def expected(self) -> int:
        """How many entries the logs say there are."""
        return sum(len(self._expected.entries[partition]) for partition in self._partitions)

    async def catch_up(self) -> None:
        """Everything that the logs hold, but for the last few records; what the store then holds is compared with them.

        Raises UnequalIndexError, UnavailableError (what was done is not lost: begin again).
        """
        await self._read()
        await self.mend(await self._compare())
        for _ in range(CATCH_UP_ROUNDS_MAX):
            if sum([await self._log.last(domain) - self.positions[domain] for domain in DOMAINS]) <= SETTLE_RECORDS_MAX:
                break
            await self.settle()
        left = await self._compare()
        if left:  # Once more: what went wrong by chance does not again.
            await self.mend(left)
            left = await self._compare()
        if left:
            named = ", ".join(f"{one.id} in {one.partition} is {one.problem}" for one in left[:3])
            raise UnequalIndexError(f"{len(left)} entries are not as the logs say: {named}")

    async def check(self, ended: Ended, *, settle_s: float) -> Checked:
        """Where the store disagrees with the logs as far as it has come, and by how many entries it is behind them.

        It has come as far as the reactions that write to it have `ended`. For what is not done yet it waits up to `settle_s`.
        Raises UnavailableError.
        """
        await self._read()
        until, before = time.monotonic() + settle_s, None
        while True:
            reached = {domain: await ended(domain) for domain in DOMAINS}  # before it is looked what the store has
            found = await self._compare()
            differing, behind = self._divided(found, reached, await self._tail(put=False))
            again = differing == before and not behind
            if not found or again or time.monotonic() >= until:
                return Checked(entries=self.expected, differences=differing, behind=behind)
            before = differing
            await asyncio.sleep(LOOK_AGAIN_S)

    def _divided(
        self, found: Sequence[Difference], reached: Mapping[Domain, Sequence[int]], touched: Set[Place]
    ) -> tuple[list[Difference], dict[Domain, int]]:
        """What differs, and how much of each domain is only not done yet: its last event was not reached."""
        differing: list[Difference] = []
        behind: Counter[Domain] = Counter()
        for one in found:
            place = one.partition, one.id
            said = self._expected.said(place)
            if said is None:
                differing.append(one)
                continue
            sequence, (domain, partition) = said
            if place in touched or sequence > reached[domain][partition]:
                behind[domain] += 1
            else:
                differing.append(one)
        return differing, dict(behind)

    async def settle(self) -> None:
        """The records that came since. Complete, if nobody records anything meanwhile that was to be indexed."""
        await self._tail(put=True)

    async def _tail(self, *, put: bool) -> set[Place]:
        """What came since, and was changed by that."""
        changed: set[Place] = set()
        for domain in DOMAINS:
            last = await self._log.last(domain)
            async with aclosing(between(self._log, domain, self.positions[domain], last)) as batches:
                async for batch in batches:
                    touched = self._expected.fold(domain, batch)
                    changed |= touched.keys()
                    if put:
                        await self._put(touched)
            self._expected.positions[domain] = last
        return changed

    async def _read(self) -> None:
        """Fold the logs on. Nothing is embedded yet: of an entry that changed often only the last version is."""
        lasts = {domain: await self._log.last(domain) for domain in DOMAINS}
        done, total = 0, sum(lasts.values())
        for domain, last in lasts.items():
            async with aclosing(between(self._log, domain, self.positions[domain], last)) as batches:
                async for batch in batches:
                    self._expected.fold(domain, batch)
                    self._progress("reading", done + batch[-1].sequence, total)
            self._expected.positions[domain] = last
            done += last

    async def _compare(self) -> list[Difference]:
        self._progress("comparing", 0, self.expected)
        return await differences(self._store, self._expected, sorted(self._partitions))

    async def mend(self, found: Sequence[Difference]) -> None:
        """Put right what differs; to do it again changes nothing. Raises UnavailableError."""
        lacking = {(one.partition, one.id) for one in found if one.version}
        for one in found:
            if not one.version:  # What was kept goes, but nothing that came since.
                await self._retrieval.remove(one.partition, [one.id], version=one.kept)
        if lacking:
            await self._embed(lacking)

    async def _embed(self, lacking: set[Place]) -> None:
        """Read the logs once more for the texts of these entries."""
        total, before = len(lacking), self.entries
        waiting: dict[Place, Entry | None] = {}
        self._progress("embedding", 0, total)
        for domain in DOMAINS:
            async with aclosing(between(self._log, domain, 0, self.positions[domain])) as batches:
                async for batch in batches:
                    for sequence, change in changes_of(batch, self._changes):
                        if not isinstance(change, Put):
                            continue
                        place = change.partition, change.entry.id
                        due = self._expected.entries[change.partition].get(change.entry.id)
                        if place in lacking and due is not None and due.version == sequence:
                            waiting[place] = msgspec.structs.replace(change.entry, version=sequence)
                        if len(waiting) >= EMBED_ENTRIES_MAX:
                            await self._put(waiting)
                            waiting = {}
                            self._progress("embedding", self.entries - before, total)
        await self._put(waiting)
        self._progress("embedding", self.entries - before, total)

    async def _put(self, touched: Mapping[Place, Entry | None]) -> None:
        """Have the store follow: an entry is kept instead of what has its id, None: nothing is."""
        entries: defaultdict[Partition, list[Entry]] = defaultdict(list)
        gone: defaultdict[Partition, list[str]] = defaultdict(list)
        for (partition, id_), entry in touched.items():
            if partition not in self._partitions:
                continue
            if entry is None:
                gone[partition].append(id_)
            else:
                entries[partition].append(entry)
        for partition, several in entries.items():
            for start in range(0, len(several), EMBED_ENTRIES_MAX):
                part = several[start : start + EMBED_ENTRIES_MAX]
                await self._retrieval.index(partition, part)
                self.entries += len(part)
        for partition, ids in gone.items():
            for start in range(0, len(ids), REMOVE_IDS_MAX):
                await self._retrieval.remove(partition, ids[start : start + REMOVE_IDS_MAX])
