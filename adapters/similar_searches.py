"""Searches that were made before in almost the same words: their hits, for as long as nothing has changed that they rest on.

An earlier search answers a later one when both ask the same partitions with the same filters under the same clearance, the
cosine of their vectors is COSINE_MIN at least, they have the same words (by their stems, stop words left out), the same words
with digits in the same order, and it was asked for no later moment (what has expired since is missing from it). The cosine alone
does not do: "… the third quarter of 2024 …" and "… 2025 …" are at 0.986 of each other, and of a long query the model reads the
beginning only, while the words of all of it are searched for. The words alone would not: "which customers are at risk" and "… are
not at risk" are at 0.96 (ADR 27).

A change of a partition drops, before it is acknowledged, all that was found in it. This holds in the process that makes all
changes, which is the one that owns the engine.
"""

import re
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import msgspec
import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from adapters import words
from contracts.domains import Partition
from contracts.retrieval import Hit, Query
from runtime.caching import Key
from runtime.telemetry import CACHE_LOOKUPS_TOTAL, Telemetry
from runtime.vector_ports import Vector

SPACE = "searches"
COSINE_MIN = 0.985
TTL_S = 86_400.0
SEARCHES_MAX = 1_000
BYTES_MAX = 32 << 20  # of hits
UNSURE_S = 60.0  # after a change that was given up while the engine may still be at it

Epochs = tuple[int, ...]

_WITH_DIGIT = re.compile(r"\S*\d\S*")
_NEVER = datetime.min.replace(tzinfo=UTC)
_hits = msgspec.msgpack.Decoder(list[Hit])


_Said = tuple[frozenset[int], tuple[str, ...]]
_Place = tuple[Key, _Said]
"""Those that may answer each other, but for their cosine and their time."""


class Asked(Struct, frozen=True):
    """A search that is to be made, and the state of its partitions before it is."""

    query: Query
    place: _Place
    epochs: Epochs


class _Search(Struct, frozen=True):
    vector: NDArray[np.float32]
    hits: bytes
    asked: datetime
    until: float


class SimilarSearches:
    """Bounded by searches and bytes; those in words that were asked longest ago go first."""

    def __init__(
        self,
        telemetry: Telemetry,
        *,
        ttl_s: float = TTL_S,
        searches_max: int = SEARCHES_MAX,
        bytes_max: int = BYTES_MAX,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._telemetry = telemetry
        self._ttl_s = ttl_s
        self._searches_max = searches_max
        self._bytes_max = bytes_max
        self._clock = clock
        self._alike: OrderedDict[_Place, list[_Search]] = OrderedDict()
        self._resting: defaultdict[Partition, set[_Place]] = defaultdict(set)
        self._epochs: defaultdict[Partition, int] = defaultdict(int)
        self._unsure_until: dict[Partition, float] = {}
        self._searches = self._bytes = 0

    def asked(self, query: Query) -> Asked:
        """What `find` and `keep` are told of a search, taken before it is made."""
        return Asked(query, (_key(query), _said(query.text)), self._state(query))

    def find(self, asked: Asked, vector: Vector) -> list[Hit] | None:
        """The hits of such a search; None where there was none, or where one of them has expired at `query.now`."""
        hits = self._found(asked, np.asarray(vector, np.float32))
        self._telemetry.count(CACHE_LOOKUPS_TOTAL, space=SPACE, outcome="miss" if hits is None else "l1")
        return hits

    def keep(self, asked: Asked, vector: Vector, hits: list[Hit]) -> None:
        """Keep what was found, unless a partition has changed since."""
        now, query, place = self._clock(), asked.query, asked.place
        if asked.epochs != self._state(query) or any(now < self._unsure_until.get(one, 0) for one in query.partitions):
            return
        encoded = msgspec.msgpack.encode(hits)
        search = _Search(np.asarray(vector, np.float32), encoded, query.now, now + self._ttl_s)
        self._alike.setdefault(place, []).append(search)
        self._alike.move_to_end(place)
        for partition in query.partitions:
            self._resting[partition].add(place)
        self._searches += 1
        self._bytes += len(encoded)
        while self._searches > self._searches_max or self._bytes > self._bytes_max:
            self._forget_oldest()

    def changed(self, partition: Partition) -> None:
        """Forget what was found in it, and do not keep what is being searched there."""
        self._epochs[partition] += 1
        for place in self._resting.pop(partition, set()):
            for search in self._alike.pop(place, []):
                self._searches -= 1
                self._bytes -= len(search.hits)
            self._rests_nowhere(place)

    @contextmanager
    def changing(self, partition: Partition) -> Iterator[None]:
        """Around a change of the partition. One that fails may still be done later: for a while nothing is kept then."""
        self.changed(partition)
        try:
            yield
        except BaseException:
            self._unsure_until[partition] = self._clock() + UNSURE_S
            raise
        finally:
            self.changed(partition)

    def _state(self, query: Query) -> Epochs:
        return tuple(self._epochs[partition] for partition in query.partitions)

    def _found(self, asked: Asked, vector: NDArray[np.float32]) -> list[Hit] | None:
        searches = self._alike.get(asked.place)
        if not searches:
            return None
        self._alike.move_to_end(asked.place)
        cosines = np.stack([search.vector for search in searches]) @ vector
        now, query = self._clock(), asked.query
        for number in np.argsort(-cosines):
            search = searches[number]
            if cosines[number] < COSINE_MIN:
                return None
            if now < search.until and search.asked <= query.now:
                hits = _hits.decode(search.hits)
                alive = all(hit.entry.expires is None or hit.entry.expires > query.now for hit in hits)
                return hits if alive else None
        return None

    def _forget_oldest(self) -> None:
        place, searches = next(iter(self._alike.items()))
        self._searches -= 1
        self._bytes -= len(searches.pop(0).hits)
        if not searches:
            del self._alike[place]
            self._rests_nowhere(place)

    def _rests_nowhere(self, place: _Place) -> None:
        for places in self._resting.values():
            places.discard(place)


def _key(query: Query) -> Key:
    """All of a query but its words and its time."""
    what = msgspec.json.encode(replace(query, text="", now=_NEVER))
    return Key(SPACE, query.clearance, what)


def _said(text: str) -> _Said:
    return frozenset(words.of_query(text)), tuple(_WITH_DIGIT.findall(text.lower()))
