"""EdgeVectors, whose callers stop waiting: what has begun is done in its turn, and nothing passes it by."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from adapters import edge_files, edge_graph, edge_shard, qdrant_edge, words
from adapters.edge_shard import Change, EdgeShard
from adapters.qdrant_edge import EdgeVectors
from contracts.domains import Clearance
from contracts.retrieval import Entry
from runtime.vector_ports import Item
from tests.contract.vector_stores import DIMENSIONS, entry, items, query, vector

WAIT_S_MAX = 20.0  # for what comes at once, unless the test fails


class Held:
    """Holds the thread that puts an entry, until something is asked of that thread, or something was done without it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
        self.begun, self.passed, self.done = threading.Event(), threading.Event(), threading.Event()
        held = self
        of_item, change, synced = words.of_item, EdgeShard.change, edge_files.sync_all

        class Watched(ThreadPoolExecutor):
            def __init__(self, workers: int, **named: Any) -> None:
                self.alone = workers == 1
                super().__init__(workers, **named)

            def submit(self, work: Callable[..., Any], /, *given: Any, **named: Any) -> "Future[Any]":
                future = super().submit(work, *given, **named)
                if self.alone and held.begun.is_set():
                    held.passed.set()
                return future

        def counting(item: Item) -> words.Sparse:
            if item.entry.text == text:
                held.begun.set()
                assert held.passed.wait(WAIT_S_MAX)
            return of_item(item)

        def changing(shard: EdgeShard, one: Change) -> None:
            change(shard, one)
            (held.done if [item.entry.text for item in one.put] == [text] else held.passed).set()

        def syncing(place: Path) -> None:
            if held.begun.is_set():  # It is a copy, not a new partition.
                held.passed.set()
                assert held.done.wait(WAIT_S_MAX)
            synced(place)

        monkeypatch.setattr(qdrant_edge, "ThreadPoolExecutor", Watched)
        monkeypatch.setattr(words, "of_item", counting)
        monkeypatch.setattr(EdgeShard, "change", changing)
        monkeypatch.setattr(edge_files, "sync_all", syncing)

    async def given_up(self, store: EdgeVectors, one: Entry) -> None:
        """Put the entry, and stop waiting once its thread is at work."""
        self.passed.clear()
        putting = asyncio.create_task(store.upsert("ceo_knowledge", items([one], [vector(1)])))
        assert await asyncio.to_thread(self.begun.wait, WAIT_S_MAX)
        putting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await putting


async def found(store: EdgeVectors, clearance: Clearance) -> dict[str, str]:
    hits = await store.search(query(clearance=clearance), vector(1))
    return {hit.entry.id: hit.entry.text for hit in hits}


def test_a_graph_is_not_swapped_in_past_a_change_whose_caller_gave_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the old text would come back under its old label."""
    monkeypatch.setattr(edge_shard, "GRAPH_FROM", 3)
    held = Held(monkeypatch, "raised")
    stored = [entry(number) for number in range(1, 6)]

    async def run() -> None:
        build, built, swap = edge_graph.build, asyncio.Event(), asyncio.Event()

        async def building(place: Path, dimensions: int) -> None:
            await build(place, dimensions)
            built.set()
            await swap.wait()

        monkeypatch.setattr(edge_graph, "build", building)
        store = EdgeVectors(tmp_path, DIMENSIONS)
        await store.start()
        await store.upsert("ceo_knowledge", items(stored, [vector(number) for number in range(1, 6)]))
        await built.wait()
        await held.given_up(store, entry(1, Clearance.RESTRICTED, text="raised"))
        swap.set()
        await store.graphed()
        assert [place.name for place in (tmp_path / "ceo_knowledge").iterdir()] == ["2"]
        left = {one.id: one.text for one in stored[1:]}
        for _ in range(2):
            assert await found(store, Clearance.PUBLIC) == left
            assert await found(store, Clearance.RESTRICTED) == {**left, stored[0].id: "raised"}
            await store.close()
            await store.start()
        await store.close()

    asyncio.run(run())


def test_a_change_whose_caller_gave_up_does_not_undo_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(monkeypatch, "first")

    async def run() -> None:
        store = EdgeVectors(tmp_path, DIMENSIONS)
        await store.start()
        await held.given_up(store, entry(1, text="first"))
        await store.upsert("ceo_knowledge", items([entry(1, Clearance.RESTRICTED, text="second")], [vector(1)]))
        assert await asyncio.to_thread(held.done.wait, WAIT_S_MAX)
        for _ in range(2):
            assert await found(store, Clearance.PUBLIC) == {}
            assert await found(store, Clearance.RESTRICTED) == {entry(1).id: "second"}
            await store.close()
            await store.start()
        await store.close()

    asyncio.run(run())
