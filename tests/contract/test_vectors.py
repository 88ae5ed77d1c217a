"""The VectorStore contract, on memory, on the embedded Qdrant engine, and on the server adapter.

With QDRANT_URL the server adapter runs against that server, in collections of its own. There is no server binary among the
packages: without, it runs over qdrant-client's local mode, which exercises its requests, filters and payloads and not its HTTP
transport; the tests' names and a skip with its reason say so.
"""

import asyncio
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qdrant_client import AsyncQdrantClient

from adapters.memory_vectors import MemoryVectors
from adapters.qdrant_edge import EdgeVectors
from adapters.qdrant_server import ServerVectors
from adapters.vector_payload import PARTITIONS
from contracts.domains import Clearance, Partition
from contracts.retrieval import Entry, Kept, Query, Ranking, Span, digest
from runtime.errors import InvalidError, UnavailableError
from runtime.vector_ports import Item, Vector, VectorStore

# The local mode of the client says that it ignores payload indexes; a server does not.
pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect:UserWarning")

QDRANT_URL = os.environ.get("QDRANT_URL", "")
DIMENSIONS = 8
NOW = datetime(2026, 11, 21, 12, 0, 0, 500_000, tzinfo=UTC)

Opener = Callable[[], AbstractAsyncContextManager[VectorStore]]


@asynccontextmanager
async def memory() -> AsyncIterator[VectorStore]:
    yield MemoryVectors(DIMENSIONS)


@asynccontextmanager
async def edge() -> AsyncIterator[VectorStore]:
    with tempfile.TemporaryDirectory() as folder:
        store = EdgeVectors(Path(folder), DIMENSIONS)
        await store.start()
        try:
            yield store
        finally:
            await store.close()


@asynccontextmanager
async def server() -> AsyncIterator[VectorStore]:
    client = AsyncQdrantClient(url=QDRANT_URL) if QDRANT_URL else AsyncQdrantClient(":memory:")
    prefix = f"test_{uuid4().hex}_"
    store = ServerVectors(client, DIMENSIONS, prefix)
    try:
        await store.start()
        yield store
    finally:
        for partition in PARTITIONS:
            await client.delete_collection(prefix + partition)
        await store.close()


OPENERS = {"memory": memory, "edge": edge, "server" if QDRANT_URL else "server adapter without HTTP": server}


@pytest.fixture(params=list(OPENERS.values()), ids=list(OPENERS))
def opener(request: pytest.FixtureRequest) -> Opener:
    chosen: Opener = request.param
    return chosen


@pytest.mark.skipif(
    not QDRANT_URL, reason="QDRANT_URL is not set: the server adapter's HTTP transport is not exercised"
)
def test_the_server_is_asked_over_http() -> None:
    exercise(server, lambda store: store.upsert("ceo_knowledge", items([entry(1)], [vector(1)])))


def exercise(opener: Opener, test: Callable[[VectorStore], Awaitable[None]]) -> None:
    async def run() -> None:
        async with opener() as store:
            await test(store)

    asyncio.run(run())


def entry(number: int, label: Clearance = Clearance.PUBLIC, **fields: object) -> Entry:
    values = {"title": f"title {number}", "text": f"text {number}", **fields}
    return Entry(id=str(UUID(int=number)), label=label, **values)  # type: ignore[arg-type]


def vector(seed: int) -> list[float]:
    numbers = np.random.default_rng(seed).standard_normal(DIMENSIONS)
    return [float(number) for number in numbers / np.linalg.norm(numbers)]


def items(entries: Sequence[Entry], vectors: Sequence[Vector]) -> list[Item]:
    return [Item(item, [one]) for item, one in zip(entries, vectors, strict=True)]


def query(*partitions: Partition, **fields: object) -> Query:
    values = {"text": "", "clearance": Clearance.TOP_SECRET, "now": NOW, **fields}
    return Query(partitions=partitions or ("ceo_knowledge",), **values)  # type: ignore[arg-type]


def test_an_entry_comes_back_as_it_was_stored(opener: Opener) -> None:
    full = entry(
        1,
        Clearance.CONFIDENTIAL,
        category="risk_management",
        priority=9,
        source="board",
        tags=("a", "ü"),
        expires=NOW + timedelta(microseconds=1),
        attachment="ab" * 32,
        media_type="text/csv",
    )

    async def test(store: VectorStore) -> None:
        await store.upsert("ceo_knowledge", items([full, entry(2)], [vector(1), vector(2)]))
        hits = await store.search(query(), vector(1))
        assert [hit.entry for hit in hits] == [full, entry(2)]
        assert hits[0].partition == "ceo_knowledge"
        assert hits[0].score == pytest.approx(1, abs=1e-5)
        assert hits[1].score == pytest.approx(float(np.dot(vector(1), vector(2))), abs=1e-5)

    exercise(opener, test)


def test_every_partition_is_apart_and_a_search_spans_those_it_names(opener: Opener) -> None:
    async def test(store: VectorStore) -> None:
        for number, partition in enumerate(PARTITIONS):
            await store.upsert(partition, items([entry(number)], [vector(number)]))
        for number, partition in enumerate(PARTITIONS):
            assert await store.count(partition) == 1
            assert [hit.entry for hit in await store.search(query(partition), vector(0))] == [entry(number)]
        hits = await store.search(query(*PARTITIONS, "ceo_knowledge"), vector(3))
        assert len(hits) == len(PARTITIONS)
        assert {hit.partition for hit in hits} == set(PARTITIONS)
        assert hits[0].entry == entry(3)
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)

    exercise(opener, test)


def test_replaced_and_removed(opener: Opener) -> None:
    async def test(store: VectorStore) -> None:
        await store.upsert("shared_knowledge", items([entry(1), entry(2)], [vector(1), vector(2)]))
        newer = entry(1, Clearance.RESTRICTED, expires=NOW + timedelta(hours=1))
        await store.upsert("shared_knowledge", items([newer], [vector(7)]))
        assert await store.count("shared_knowledge") == 2
        hits = await store.search(query("shared_knowledge"), vector(7))
        assert hits[0].entry == newer
        assert hits[0].score == pytest.approx(1, abs=1e-5)
        await store.remove("shared_knowledge", [newer.id, str(UUID(int=99))])
        await store.remove("shared_knowledge", [])
        assert [hit.entry for hit in await store.search(query("shared_knowledge"), vector(7))] == [entry(2)]
        await store.upsert("shared_knowledge", items([], []))
        assert await store.count("shared_knowledge") == 1

    exercise(opener, test)


def test_a_replacement_without_expiry_never_expires(opener: Opener) -> None:
    async def test(store: VectorStore) -> None:
        await store.upsert("ceo_knowledge", items([entry(1, expires=NOW)], [vector(1)]))
        assert await store.search(query(), vector(1)) == []
        await store.upsert("ceo_knowledge", items([entry(1)], [vector(1)]))
        assert [hit.entry for hit in await store.search(query(), vector(1))] == [entry(1)]

    exercise(opener, test)


def test_filters_hold_together(opener: Opener) -> None:
    stored = [
        entry(
            1, category="a", source="x", media_type="text/csv", tags=("tall", "red"), updated=NOW - timedelta(days=1)
        ),
        entry(2, category="a", source="y", tags=("red",), updated=NOW),
        entry(3, category="b", source="x", media_type="text/csv"),
    ]

    async def test(store: VectorStore) -> None:
        await store.upsert("code_knowledge", items(stored, [vector(number) for number in range(3)]))

        async def found(**fields: object) -> set[int]:
            hits = await store.search(query("code_knowledge", **fields), vector(1))
            return {UUID(hit.entry.id).int for hit in hits}

        assert await found(category="a") == {1, 2}
        assert await found(source="x") == {1, 3}
        assert await found(media_type="text/csv") == {1, 3}
        assert await found(category="a", source="x", media_type="text/csv") == {1}
        assert await found(category="") == set()
        assert await found(priority_min=5) == {1, 2, 3}
        assert await found(priority_min=6) == set()
        assert len(await found(limit=2)) == 2
        assert await found(limit=0) == set()
        assert await found(tags=()) == {1, 2, 3}
        assert await found(tags=("red",)) == {1, 2}
        assert await found(tags=("red", "tall")) == {1}
        assert await found(tags=("tall",), category="a") == {1}
        assert await found(tags=("re",)) == set()
        assert await found(updated_from=NOW) == {2}
        assert await found(updated_to=NOW - timedelta(days=1)) == {1}
        assert await found(updated_from=NOW - timedelta(days=1), updated_to=NOW, tags=("red",)) == {1, 2}

    exercise(opener, test)


def test_what_is_kept_is_listed_by_id_page_by_page(opener: Opener) -> None:
    stored = [entry(number, version=100 + number, updated=NOW) for number in (5, 1, 4, 2, 3)]

    async def test(store: VectorStore) -> None:
        assert await store.listed("ceo_knowledge", after=None, limit=3) == []
        await store.upsert("ceo_knowledge", items(stored, [vector(number) for number in range(5)]))
        await store.remove("ceo_knowledge", [entry(4).id])
        kept = [Kept(item.id, item.version, digest(item)) for item in sorted(stored, key=lambda item: item.id)]
        del kept[3]
        assert await store.listed("ceo_knowledge", after=None, limit=10) == kept
        assert await store.listed("ceo_knowledge", after=None, limit=2) == kept[:2]
        assert await store.listed("ceo_knowledge", after=kept[1].id, limit=1) == kept[2:3]
        assert await store.listed("ceo_knowledge", after=entry(4).id, limit=2) == kept[3:]
        assert await store.listed("ceo_knowledge", after=entry(4).id.upper(), limit=2) == kept[3:]
        assert await store.listed("ceo_knowledge", after=kept[3].id, limit=2) == []
        assert await store.listed("ceo_knowledge", after=None, limit=0) == []
        assert await store.listed("shared_knowledge", after=None, limit=10) == []
        with pytest.raises(InvalidError, match="UUID"):
            await store.listed("ceo_knowledge", after="x", limit=1)
        changed = entry(1, text="other", version=200, updated=NOW)
        await store.upsert("ceo_knowledge", items([changed], [vector(1)]))
        assert await store.listed("ceo_knowledge", after=None, limit=1) == [Kept(changed.id, 200, digest(changed))]

    exercise(opener, test)


def test_the_versions_of_what_is_kept_are_told_by_the_ids_asked_for(opener: Opener) -> None:
    async def test(store: VectorStore) -> None:
        await store.upsert("ceo_knowledge", items([entry(1, version=7), entry(2)], [vector(1), vector(2)]))
        asked = [entry(0xA).id.upper(), entry(1).id, entry(2).id]
        await store.upsert("ceo_knowledge", items([entry(0xA, version=9)], [vector(3)]))
        assert await store.versions("ceo_knowledge", asked) == {asked[0]: 9, asked[1]: 7, asked[2]: 0}
        await store.remove("ceo_knowledge", [entry(1).id])
        assert await store.versions("ceo_knowledge", [entry(1).id]) == {}
        assert await store.versions("shared_knowledge", asked) == {}

    exercise(opener, test)


def test_a_long_entry_is_found_once_by_its_nearest_passage(opener: Opener) -> None:
    text = "First one thing. Then another."
    spans = Span(0, 16), Span(17, 30)
    long = Item(entry(1, text=text), [vector(1), vector(2)], spans)

    async def test(store: VectorStore) -> None:
        await store.upsert("ceo_knowledge", [long, Item(entry(2), [vector(3)])])
        assert await store.count("ceo_knowledge") == 2
        for number, span in ((1, spans[0]), (2, spans[1])):
            best = (await store.search(query(), vector(number)))[0]
            assert (best.entry, best.passage) == (long.entry, span)
            assert best.score == pytest.approx(1, abs=1e-5)
        await store.upsert("ceo_knowledge", items([entry(1, text="Short.")], [vector(4)]))
        hits = await store.search(query(), vector(2))
        assert {hit.entry.text: hit.passage for hit in hits} == {"Short.": None, "text 2": None}
        assert all(hit.score < 0.99 for hit in hits)
        with pytest.raises(InvalidError, match="1 vectors for 2 passages"):
            await store.upsert("ceo_knowledge", [Item(entry(1, text=text), [vector(1)], spans)])

    exercise(opener, test)


def test_words_find_what_the_vector_does_not_and_say_where(opener: Opener) -> None:
    """An error code is met by its word, stems meet, and stop words say nothing."""
    stored = [entry(number, title=f"note {number}", text="Nothing of interest.") for number in range(2, 30)]
    code = entry(1, title="Borrowing", text="It is so. The compiler reports E0382 for moved values. That is all.")

    async def test(store: VectorStore) -> None:
        await store.upsert("code_knowledge", items([code, *stored], [vector(5)] * 29))
        hits = await store.search(query("code_knowledge", text="the value moves: e0382", limit=3), vector(5))
        assert hits[0].entry == code
        assert hits[0].relevance > hits[0].score + 0.3
        marked = [code.text[span.start : span.end] for span in hits[0].highlights]
        assert marked == ["The compiler reports E0382 for moved values.", "E0382", "moved", "values"]
        assert all(hit.relevance == hit.score and hit.highlights == () for hit in hits[1:])

    exercise(opener, test)


def test_what_is_above_the_clearance_moves_no_score(opener: Opener) -> None:
    """Neither whether a word is rare nor how many entries there are, whatever comes and goes there."""
    low = [entry(1, text="merger plans"), entry(2, text="holiday plans")]
    high = [entry(number, Clearance.RESTRICTED, text="merger merger talks") for number in range(10, 30)]
    asked = query(text="merger of holiday plans", clearance=Clearance.INTERNAL)

    async def test(store: VectorStore) -> None:
        await store.upsert("ceo_knowledge", items(low, [vector(1), vector(2)]))
        before = await store.search(asked, vector(3))
        await store.upsert("ceo_knowledge", items(high, [vector(number) for number in range(10, 30)]))
        assert await store.search(asked, vector(3)) == before
        cleared = msgspec.structs.replace(asked, clearance=Clearance.RESTRICTED, limit=30)
        assert {hit.entry.id: hit.relevance for hit in await store.search(cleared, vector(3))}[low[0].id] != next(
            hit.relevance for hit in before if hit.entry.id == low[0].id
        )
        await store.upsert("ceo_knowledge", items(high[:5], [vector(0)] * 5))
        await store.remove("ceo_knowledge", [item.id for item in high[5:]])
        assert await store.search(asked, vector(3)) == before

    exercise(opener, test)


def test_priority_and_recency_decide_among_equals_within_bounds(opener: Opener) -> None:
    old, new = NOW - timedelta(days=720), NOW
    stored = [
        entry(1, priority=1, updated=old, text=""),
        entry(2, priority=10, updated=old, text=""),
        entry(3, priority=1, updated=new, text=""),
    ]

    async def test(store: VectorStore) -> None:
        await store.upsert("ceo_knowledge", items(stored, [vector(1)] * 3))

        async def order(**fields: object) -> list[tuple[int, float]]:
            ranking = Ranking(**fields)  # type: ignore[arg-type]
            hits = await store.search(query(ranking=ranking), vector(1))
            return [(UUID(hit.entry.id).int, round(hit.place - hit.relevance, 3)) for hit in hits]

        assert await order(priority=0, recency=0) == [(1, 0), (2, 0), (3, 0)]
        assert await order(priority=0.1, recency=0) == [(2, 0.1), (1, 0), (3, 0)]
        assert await order(priority=0, recency=0.1, half_life_days=720) == [(3, 0.1), (1, 0.05), (2, 0.05)]
        assert await order(priority=9, recency=-1) == [(2, 0.2), (1, 0), (3, 0)]
        assert [number for number, _ in await order()] == [2, 3, 1]

    exercise(opener, test)


def test_of_more_entries_than_are_candidates_the_same_are_found_as_by_comparing_all(opener: Opener) -> None:
    entries = [
        entry(
            number,
            text=" ".join(["amber"] * (number * 7 % 11) + ["basalt"] * (number * 5 % 13) + ["cobalt"] * (number % 3)),
            priority=1 + number % 10,
            updated=NOW - timedelta(days=number),
        )
        for number in range(1, 261)
    ]
    stored = items(entries, [vector(number) for number in range(1, 261)])

    async def found(store: VectorStore) -> list[list[str]]:
        await store.upsert("ceo_knowledge", stored[:130])
        await store.upsert("ceo_knowledge", stored[130:])
        asked = [
            Query(
                partitions=("ceo_knowledge",),
                text=text,
                clearance=Clearance.PUBLIC,
                now=NOW,
                limit=40,
                ranking=Ranking(priority=share, recency=share),
            )
            for share in (0.0, 0.2)
            for text in ("amber", "basalt cobalt", "cobalt amber basalt", "nothing of the kind")
        ]
        hits = [await store.search(query, vector(1_000 + place)) for place, query in enumerate(asked)]
        return [[hit.entry.id for hit in some] for some in hits]

    async def test(store: VectorStore) -> None:
        assert await found(store) == await found(MemoryVectors(DIMENSIONS))

    exercise(opener, test)


def test_each_partition_has_fields_of_its_own_which_a_search_may_match(opener: Opener) -> None:
    stored = [
        entry(1, fields={"language": "python", "path": "a.py"}),
        entry(2, fields={"language": "rust"}),
        entry(3),
    ]

    async def test(store: VectorStore) -> None:
        await store.upsert("code_knowledge", items(stored, [vector(number) for number in range(3)]))
        await store.upsert("research_data", items([entry(4, fields={"published_year": 1999})], [vector(4)]))

        async def found(*partitions: Partition, **fields: object) -> list[Entry]:
            return [hit.entry for hit in await store.search(query(*partitions, fields=fields), vector(1))]

        assert await found("code_knowledge", language="python") == [stored[0]]
        assert await found("code_knowledge", language="python", path="b.py") == []
        assert await found("code_knowledge", path="a.py") == [stored[0]]
        assert len(await found("code_knowledge")) == 3
        assert [item.id for item in await found("research_data", published_year=1999)] == [entry(4).id]
        assert await found("research_data", published_year=2000) == []
        with pytest.raises(InvalidError, match="unknown field `language`"):
            await found("code_knowledge", "research_data", language="python")
        with pytest.raises(InvalidError, match="published_year"):
            await found("research_data", published_year="1999")
        for wrong in ({"published_year": "new"}, {"languages": "python"}):
            with pytest.raises(InvalidError, match=next(iter(wrong))):
                await store.upsert("research_data", items([entry(5, fields=wrong)], [vector(5)]))
        with pytest.raises(InvalidError, match="kind"):
            await store.upsert("agent_memories", items([entry(5, fields={"kind": "vague"})], [vector(5)]))
        assert await store.count("research_data") == 1

    exercise(opener, test)


def test_wrong_input_is_the_askers(opener: Opener) -> None:
    async def test(store: VectorStore) -> None:
        with pytest.raises(InvalidError, match="UUID"):
            await store.upsert(
                "ceo_knowledge", items([Entry(id="x", title="", text="", label=Clearance.PUBLIC)], [vector(1)])
            )
        with pytest.raises(InvalidError, match="3 numbers"):
            await store.upsert("ceo_knowledge", items([entry(1)], [[0.0, 0.0, 1.0]]))
        with pytest.raises(InvalidError, match="3 numbers"):
            await store.search(query(), [0.0, 0.0, 1.0])
        with pytest.raises(InvalidError, match="0 vectors"):
            await store.upsert("ceo_knowledge", [Item(entry(1), [])])
        assert await store.count("ceo_knowledge") == 0

    exercise(opener, test)


_moments = st.one_of(st.none(), st.integers(-3, 3).map(lambda microseconds: NOW + timedelta(microseconds=microseconds)))
_entries = st.builds(
    lambda number, label, expires, category, text: entry(number, label, expires=expires, category=category, text=text),
    st.integers(0, 15),
    st.sampled_from(Clearance),
    _moments,
    st.sampled_from(["", "a", "b"]),
    st.lists(st.sampled_from(["merger", "plans", "Plan B", "E0382", "the"]), max_size=4).map(" ".join),
)
_changes = st.lists(st.one_of(st.lists(_entries, min_size=1, max_size=6), st.integers(0, 15)), max_size=12)
_queries = st.builds(
    lambda clearance, category, limit: query(clearance=clearance, category=category, limit=limit),
    st.sampled_from(Clearance),
    st.sampled_from([None, "a"]),
    st.integers(1, 20),
)


def test_any_history_is_searched_as_the_model_says(opener: Opener) -> None:
    """Never above the clearance, never expired, the latest version only, best first, and nothing that belongs is missing."""

    async def clear(store: VectorStore) -> None:
        await store.remove("ceo_knowledge", [str(UUID(int=number)) for number in range(16)])

    with asyncio.Runner() as runner:
        context = opener()
        store = runner.run(context.__aenter__())

        @settings(max_examples=25, deadline=None)
        @given(_changes, _queries, st.integers(0, 50))
        def check(changes: list[list[Entry] | int], asked: Query, seed: int) -> None:
            async def run() -> None:
                await clear(store)
                model: dict[str, Entry] = {}
                for change in changes:
                    if isinstance(change, int):
                        model.pop(str(UUID(int=change)), None)
                        await store.remove("ceo_knowledge", [str(UUID(int=change))])
                        continue
                    latest = {item.id: item for item in change}
                    model |= latest
                    vectors = [vector(UUID(item.id).int) for item in latest.values()]
                    await store.upsert("ceo_knowledge", items(list(latest.values()), vectors))
                hits = await store.search(asked, vector(seed))
                belongs = [
                    item
                    for item in model.values()
                    if item.label <= asked.clearance
                    and (item.expires is None or item.expires > asked.now)
                    and asked.category in (None, item.category)
                ]
                belongs.sort(key=lambda item: -float(np.dot(vector(UUID(item.id).int), vector(seed))))
                assert [hit.entry for hit in hits] == belongs[: asked.limit]
                assert await store.count("ceo_knowledge") == len(model)

            runner.run(run())

        try:
            check()
        finally:
            runner.run(context.__aexit__(None, None, None))


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # Bound and not listening: connections are refused.
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"

        async def run() -> None:
            store = ServerVectors.connect(url, DIMENSIONS)
            with pytest.raises(UnavailableError):
                await store.start()
            with pytest.raises(UnavailableError):
                await store.search(query(), vector(1))
            await store.close()

        asyncio.run(run())
