"""SimilarSearches under LocalRetrieval: what is found again, and nothing that a search would not find now."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from adapters.memory_vectors import MemoryVectors
from adapters.retrieval import LocalRetrieval
from adapters.similar_searches import SimilarSearches
from contracts.domains import Clearance, Partition
from contracts.ids import keyed_id
from contracts.retrieval import Entry, Hit, Query
from runtime.errors import UnavailableError
from runtime.telemetry import NoTelemetry
from runtime.vector_ports import Item, Vector
from tests.embedders import WordHashes

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ITEM = keyed_id("item", "merger")
PARTITIONS: tuple[Partition, ...] = ("ceo_knowledge", "shared_knowledge")
LONG = "what do we know of the planned merger with the other company and of what it means for all of our customers and plans"


class Counted(MemoryVectors):
    """A store that counts its searches; while `broken` its changes fail, and while `held` is set its searches wait."""

    def __init__(self) -> None:
        super().__init__(64)
        self.searches = 0
        self.broken = False
        self.held: asyncio.Event | None = None
        self.searching = asyncio.Event()

    async def search(self, query: Query, vector: Vector) -> list[Hit]:
        self.searches += 1
        hits = await super().search(query, vector)
        self.searching.set()
        if self.held is not None:
            await self.held.wait()
        return hits

    async def upsert(self, partition: Partition, items: Sequence[Item]) -> None:
        await super().upsert(partition, items)
        if self.broken:
            raise UnavailableError("store", "broken")


class World:
    def __init__(self) -> None:
        self.time = 0.0
        self.store = Counted()
        self.similar = SimilarSearches(NoTelemetry(), clock=lambda: self.time)
        self.retrieval = LocalRetrieval(WordHashes(), self.store, NoTelemetry(), self.similar)

    async def found(self, **changed: Any) -> list[str]:
        query = Query(partitions=("ceo_knowledge",), text=LONG, clearance=Clearance.TOP_SECRET, now=NOW)
        return [hit.entry.text for hit in await self.retrieval.search(replace(query, **changed))]

    async def index(self, partition: Partition = "ceo_knowledge", **changed: Any) -> None:
        await self.retrieval.index(partition, [replace(entry(), **changed)])


def entry() -> Entry:
    return Entry(id=ITEM, title="Merger", text="the planned merger", label=Clearance.RESTRICTED)


def run(body: Callable[[World], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(body(World()), 20)

    asyncio.run(bounded())


def test_almost_the_same_words_are_searched_once() -> None:
    async def body(world: World) -> None:
        await world.index()
        for text in (LONG, LONG.upper(), f" {LONG}  ", LONG.replace("planned", "Planned")):
            assert await world.found(text=text, now=NOW + timedelta(hours=world.store.searches)) == [
                "the planned merger"
            ]
        assert world.store.searches == 1
        await world.found(text="something else altogether")
        assert world.store.searches == 2

    run(body)


@pytest.mark.parametrize(
    "changed",
    [
        {"clearance": Clearance.PUBLIC},
        {"partitions": ("ceo_knowledge", "shared_knowledge")},
        {"limit": 3},
        {"category": "risk_management"},
        {"source": "import"},
        {"media_type": "text/csv"},
        {"priority_min": 9},
        {"text": f"{LONG} 2026"},
    ],
)
def test_whatever_is_asked_otherwise_is_searched(changed: dict[str, Any]) -> None:
    async def body(world: World) -> None:
        await world.index()
        await world.found()
        await world.found(**changed)
        assert world.store.searches == 2

    run(body)


def test_a_cache_warmed_by_a_higher_reader_gives_a_lower_one_nothing() -> None:
    async def body(world: World) -> None:
        await world.index()
        assert await world.found(clearance=Clearance.RESTRICTED) == ["the planned merger"]
        for level in (Clearance.PUBLIC, Clearance.INTERNAL, Clearance.CONFIDENTIAL):
            assert await world.found(clearance=level) == []

    run(body)


def test_a_number_is_a_word_that_matters() -> None:
    async def body(world: World) -> None:
        await world.index()
        await world.found(text=f"{LONG} in 2025")
        await world.found(text=f"{LONG} in 2026")
        assert world.store.searches == 2

    run(body)


def test_delete_update_relabel_and_expiry_empty_it_at_once() -> None:
    async def body(world: World) -> None:
        await world.index()
        assert await world.found(clearance=Clearance.RESTRICTED) == ["the planned merger"]
        await world.index(text="the merger is off")
        assert await world.found(clearance=Clearance.RESTRICTED) == ["the merger is off"]
        await world.index(label=Clearance.TOP_SECRET)
        assert await world.found(clearance=Clearance.RESTRICTED) == []
        await world.index(expires=NOW + timedelta(minutes=1))
        assert await world.found() == ["the planned merger"]
        assert await world.found(now=NOW + timedelta(minutes=1)) == []
        await world.index()
        assert await world.found() == ["the planned merger"]
        await world.retrieval.remove("ceo_knowledge", [ITEM])
        assert await world.found() == []

    run(body)


def test_a_change_elsewhere_leaves_it_and_time_ends_it() -> None:
    async def body(world: World) -> None:
        await world.index()
        await world.found()
        await world.index("shared_knowledge")
        await world.found()
        assert world.store.searches == 1
        world.time = 86_400.0
        await world.found()
        assert world.store.searches == 2

    run(body)


def test_what_was_searched_while_something_changed_is_not_kept() -> None:
    async def body(world: World) -> None:
        await world.index()
        world.store.held = asyncio.Event()
        searching = asyncio.create_task(world.found())
        await world.store.searching.wait()
        await world.index(text="the merger is off")
        world.store.held.set()
        assert await searching == ["the planned merger"]  # It began before the change.
        world.store.held = None
        assert await world.found() == ["the merger is off"]

    run(body)


def test_after_a_change_that_failed_nothing_is_kept_for_a_while() -> None:
    async def body(world: World) -> None:
        await world.index()
        world.store.broken = True
        with pytest.raises(UnavailableError):
            await world.index(text="perhaps")
        for _ in range(2):
            await world.found()
        assert world.store.searches == 2
        world.time = 60.0
        for _ in range(2):
            await world.found()
        assert world.store.searches == 3

    run(body)


def test_it_is_bounded_in_searches_and_in_bytes() -> None:
    async def body(world: World) -> None:
        for similar in (
            SimilarSearches(NoTelemetry(), searches_max=2),
            SimilarSearches(NoTelemetry(), bytes_max=2 * 600),
        ):
            retrieval = LocalRetrieval(WordHashes(), world.store, NoTelemetry(), similar)
            await retrieval.index("ceo_knowledge", [replace(entry(), text="x" * 300)])
            world.store.searches = 0
            queries = [
                Query(partitions=("ceo_knowledge",), text=text, clearance=Clearance.TOP_SECRET, now=NOW)
                for text in ("one", "two", "three", "two", "three", "one")
            ]
            for query in queries:
                await retrieval.search(query)
            assert world.store.searches == 4

    run(body)


changes = st.lists(
    st.tuples(
        st.sampled_from(["index", "remove", "search"]),
        st.sampled_from(PARTITIONS),
        st.integers(0, 3),
        st.sampled_from(list(Clearance)),
        st.integers(0, 3),
    ),
    max_size=30,
)


@settings(deadline=None)
@given(changes)
def test_it_never_says_anything_that_a_search_would_not(
    steps: list[tuple[str, Partition, int, Clearance, int]],
) -> None:
    """Random changes and searches by random readers at random times, beside a retrieval without it."""
    texts = ("planned merger", "planned  MERGER", "merger in 2025", "merger in 2026")

    async def body(world: World) -> None:
        plain = LocalRetrieval(WordHashes(), world.store, NoTelemetry())
        for what, partition, number, level, hour in steps:
            item = keyed_id("item", str(number))
            if what == "index":
                expires = NOW + timedelta(hours=hour) if hour else None
                fresh = replace(entry(), id=item, text=texts[number], label=level, expires=expires)
                await world.retrieval.index(partition, [fresh])
            elif what == "remove":
                await world.retrieval.remove(partition, [item])
            else:
                now = NOW + timedelta(hours=hour)
                query = Query(partitions=PARTITIONS[: 1 + number % 2], text=texts[number], clearance=level, now=now)
                assert said(await world.retrieval.search(query)) == said(await plain.search(query))

    run(body)


def test_a_search_for_a_later_moment_says_nothing_about_an_earlier_one() -> None:
    async def body(world: World) -> None:
        await world.retrieval.index(PARTITIONS[0], [replace(entry(), expires=NOW + timedelta(hours=1))])
        later = Query(
            partitions=PARTITIONS[:1], text=entry().text, clearance=Clearance.TOP_SECRET, now=NOW + timedelta(hours=2)
        )
        assert await world.retrieval.search(later) == []
        assert await world.retrieval.search(replace(later, now=NOW)) != []

    run(body)


def test_what_the_model_does_not_read_of_a_long_query_is_compared_too() -> None:
    """Its vector is that of the beginning: here both have the same."""
    searches = SimilarSearches(NoTelemetry())
    asked = Query(partitions=PARTITIONS[:1], text="filler gargantuan", clearance=Clearance.TOP_SECRET, now=NOW)
    searches.keep(searches.asked(asked), [1.0, 0.0], [])
    assert searches.find(searches.asked(replace(asked, text="the filler, GARGANTUAN")), [1.0, 0.0]) == []
    assert searches.find(searches.asked(replace(asked, text="filler Norway")), [1.0, 0.0]) is None


def test_the_same_words_in_another_order_may_mean_something_else() -> None:
    searches = SimilarSearches(NoTelemetry())
    query = Query(partitions=PARTITIONS[:1], text="dog bites man", clearance=Clearance.TOP_SECRET, now=NOW)
    asked, other = searches.asked(query), searches.asked(replace(query, text="man bites dog"))
    searches.keep(asked, [1.0, 0.0], [])
    assert asked.place == other.place
    assert searches.find(other, [0.8, 0.6]) is None
    searches.keep(other, [0.8, 0.6], [])
    assert searches.find(asked, [1.0, 0.0]) == searches.find(other, [0.8, 0.6]) == []


def test_nothing_is_left_of_searches_that_a_change_has_ended() -> None:
    searches = SimilarSearches(NoTelemetry())
    for number in range(10):
        asked = Query(partitions=PARTITIONS[:2], text="t", clearance=Clearance.PUBLIC, now=NOW, limit=number + 1)
        searches.keep(searches.asked(asked), [1.0], [])
        searches.changed(PARTITIONS[0])
    assert not any(searches._resting.values())


def said(hits: list[Hit]) -> list[tuple[Partition, str, str]]:
    return sorted((hit.partition, hit.entry.id, hit.entry.text) for hit in hits)
