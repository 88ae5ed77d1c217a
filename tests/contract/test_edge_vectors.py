"""EdgeVectors on its disk: one owner, what it acknowledged is kept, and graphs are built beside."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from adapters import edge_files, edge_shard
from adapters.edge_shard import Change, EdgeShard
from adapters.qdrant_edge import EdgeVectors
from runtime.errors import InvalidError, UnavailableError
from tests.contract.vector_stores import DIMENSIONS, entry, items, query, vector


def test_edge_is_refused_before_start_after_close_and_to_a_second_owner(tmp_path: Path) -> None:
    async def run() -> None:
        store = EdgeVectors(tmp_path, DIMENSIONS)
        with pytest.raises(UnavailableError, match="not open"):
            await store.count("ceo_knowledge")
        await store.start()
        second = EdgeVectors(tmp_path, DIMENSIONS)
        with pytest.raises(UnavailableError, match="WAL"):
            await second.start()
        await store.close()
        await store.close()
        with pytest.raises(UnavailableError, match="not open"):
            await store.search(query(), vector(1))
        with pytest.raises(InvalidError, match="another size"):
            await EdgeVectors(tmp_path, DIMENSIONS + 1).start()

    asyncio.run(run())


def test_edge_builds_a_graph_beside_and_misses_no_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge_shard, "GRAPH_FROM", 300)

    async def found(store: EdgeVectors) -> dict[str, str]:
        hits = await store.search(query(limit=1_000), vector(1))
        return {hit.entry.id: hit.entry.text for hit in hits}

    async def run() -> None:
        store = EdgeVectors(tmp_path, DIMENSIONS)
        await store.start()
        stored = [entry(number) for number in range(400)]
        await store.upsert("ceo_knowledge", items(stored, [vector(number) for number in range(400)]))
        expected = {item.id: item.text for item in stored}
        for number in range(20):  # The graph is being built meanwhile, or in place already.
            changed = entry(number, text=f"changed {number}")
            await store.upsert("ceo_knowledge", items([changed], [vector(number)]))
            await store.remove("ceo_knowledge", [entry(100 + number).id])
            expected[changed.id] = changed.text
            del expected[entry(100 + number).id]
            assert await found(store) == expected
        await store.graphed()
        assert await found(store) == expected
        assert [place.name for place in (tmp_path / "ceo_knowledge").iterdir()] == ["2"]
        await store.close()
        (tmp_path / "ceo_knowledge" / "3").mkdir()  # As a crash during a build leaves it.
        await store.start()
        assert await found(store) == expected
        assert [place.name for place in (tmp_path / "ceo_knowledge").iterdir()] == ["2"]
        await store.close()

    asyncio.run(run())


def test_edge_builds_the_graph_that_a_stop_prevented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And only that one: what has its graph is opened as it is."""

    async def run() -> None:
        store = EdgeVectors(tmp_path, DIMENSIONS)
        await store.start()
        stored = [entry(number, text="a word") for number in range(400)]
        await store.upsert("ceo_knowledge", items(stored, [vector(number) for number in range(400)]))
        await store.close()
        monkeypatch.setattr(edge_shard, "GRAPH_FROM", 300)
        for _ in range(2):
            await store.start()
            await store.graphed()
            assert [place.name for place in (tmp_path / "ceo_knowledge").iterdir()] == ["2"]
            assert await store.count("ceo_knowledge") == 400
            await store.close()

    asyncio.run(run())


def test_a_change_that_comes_while_the_copy_catches_up_is_in_the_copy() -> None:
    """Each round every entry is put again or removed; another thread reads meanwhile, and is never refused."""
    with edge_files.scratch() as folder:
        _changed_while_copied(folder)


def _changed_while_copied(folder: Path) -> None:
    shard = EdgeShard("ceo_knowledge", folder / "ceo_knowledge", DIMENSIONS)
    numbers = range(200)

    def put(version: int, some: Sequence[int]) -> Change:
        stored = [entry(number, text=f"version {version} " * 200, version=version) for number in some]
        return Change(put=items(stored, [vector(number) for number in some]))

    def read() -> None:
        assert shard.count() == len(shard.scrolled(None, len(numbers))) == len(shard.versions(ids))

    ids = [entry(number).id for number in numbers[10:]]
    shard.change(put(1, numbers))
    shard.change(Change(gone=[entry(number).id for number in numbers[:10]]))
    ended = threading.Event()
    with ThreadPoolExecutor(1) as reading:
        outcome = reading.submit(_until, ended, read)
        try:
            for version in range(2, 6):
                shard.copied()
                for start in range(10, len(numbers), 8):
                    shard.change(put(version, numbers[start : start + 8]))
                    shard.catch_up()
                shard.swap()
                kept = {payload["version"] for _, payload in shard.scrolled(None, len(numbers))}
                assert (shard.count(), kept) == (len(numbers) - 10, {version})
        finally:
            ended.set()
        outcome.result()
    shard.close()


def _until(ended: threading.Event, work: Callable[[], object]) -> None:
    while not ended.is_set():
        work()


def test_edge_searches_without_a_graph_that_could_not_be_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge_shard, "GRAPH_FROM", 3)
    monkeypatch.setattr(sys, "executable", "/bin/false")

    async def run() -> None:
        store = EdgeVectors(tmp_path, DIMENSIONS)
        await store.start()
        await store.upsert("ceo_knowledge", items([entry(n) for n in range(5)], [vector(n) for n in range(5)]))
        await store.graphed()
        await store.upsert("ceo_knowledge", items([entry(5)], [vector(5)]))
        assert len(await store.search(query(), vector(1))) == 6
        assert [place.name for place in (tmp_path / "ceo_knowledge").iterdir()] == ["1"]
        await store.close()

    asyncio.run(run())


def test_edge_persists_over_reopening(tmp_path: Path) -> None:
    async def run() -> None:
        store = EdgeVectors(tmp_path, DIMENSIONS)
        await store.start()
        await store.upsert("agent_memories", items([entry(1), entry(2)], [vector(1), vector(2)]))
        await store.remove("agent_memories", [entry(1).id])
        await store.close()
        await store.start()
        assert [hit.entry for hit in await store.search(query("agent_memories"), vector(1))] == [entry(2)]
        await store.close()

    asyncio.run(run())


_DIE = """
import asyncio, os, signal, sys
from pathlib import Path
from adapters.edge_shard import Change, EdgeShard
from adapters.qdrant_edge import EdgeVectors
from tests.contract.vector_stores import DIMENSIONS, entry, items, vector

async def run():
    store = EdgeVectors(Path(sys.argv[1]), DIMENSIONS)
    await store.start()
    for number in range(20):
        await store.upsert("ceo_knowledge", items([entry(number)], [vector(number)]))
    await store.remove("ceo_knowledge", [entry(0).id])
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(run())
"""


def test_edge_keeps_what_it_acknowledged_over_kill_9(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    died = subprocess.run([sys.executable, "-c", _DIE, str(tmp_path)], cwd=root, check=False, env=dict(os.environ))  # noqa: S603
    assert died.returncode == -signal.SIGKILL

    async def run() -> None:
        store = EdgeVectors(tmp_path, DIMENSIONS)
        await store.start()
        hits = await store.search(query(limit=50), vector(7))
        assert hits[0].entry == entry(7)
        assert {hit.entry.id for hit in hits} == {entry(number).id for number in range(1, 20)}
        await store.close()

    asyncio.run(run())
