"""The VectorStore contract: what is kept, until it is replaced or removed."""

import asyncio
from datetime import timedelta
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.vector_payload import PARTITIONS
from contracts.domains import Clearance
from contracts.retrieval import Entry, Kept, Query, digest
from runtime.errors import InvalidError
from runtime.vector_ports import Item, VectorStore
from tests.contract.vector_stores import NOW, Opener, entry, exercise, items, on_every_store, query, vector

pytestmark = on_every_store


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
