"""VectorWrites: who waits is done together, in order, the last change of an id counts, and one bad change harms nobody else."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters import vector_writes
from adapters.memory_vectors import MemoryVectors
from adapters.vector_writes import Change, VectorWrites
from contracts.domains import Clearance, Partition
from contracts.ids import keyed_id
from contracts.retrieval import Entry
from contracts.span import Span
from runtime.errors import InvalidError, UnavailableError
from runtime.vector_ports import Item

BAD = keyed_id("bad")
AWAY = keyed_id("away")


class Slow(MemoryVectors):
    """A store that waits for its gate, counts its changes, refuses the id BAD, and does not answer to AWAY."""

    def __init__(self) -> None:
        super().__init__(2)
        self.changes: list[int] = []
        self.gate = asyncio.Event()
        self.entered = asyncio.Event()

    async def upsert(self, partition: Partition, items: Sequence[Item]) -> None:
        self.entered.set()
        await self.gate.wait()
        self.changes.append(len(items))
        if any(item.entry.id == BAD for item in items):
            raise InvalidError("no such thing")
        if any(item.entry.id == AWAY for item in items):
            raise UnavailableError("vector store", "no answer")
        await super().upsert(partition, items)


def item(id_: str, text: str = "text") -> Item:
    entry = Entry(id=id_, title="", text=text, label=Clearance.PUBLIC)
    return Item(entry, [[1.0, 0.0]], (Span(0, len(text)),))


def unversioned(_partition: Partition, _id: str, _version: int) -> bool:
    return True


def still(_partition: Partition) -> AbstractContextManager[None]:
    return nullcontext()


def writes_to(store: MemoryVectors) -> VectorWrites:
    return VectorWrites(store, unversioned, still)


async def put(writes: VectorWrites, name: str) -> None:
    await writes.do("ceo_knowledge", Change(put=[item(keyed_id(name))]))


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_writes, "PAUSE_S_MAX", 0.001)


def test_those_that_wait_are_done_in_one_go() -> None:
    async def body() -> None:
        store = Slow()
        writes = writes_to(store)
        first = asyncio.create_task(put(writes, "0"))
        await store.entered.wait()
        waiting = [asyncio.create_task(put(writes, str(number))) for number in range(1, 9)]
        await asyncio.sleep(0)
        store.gate.set()
        await asyncio.gather(first, *waiting)
        assert store.changes == [1, 8]
        assert await store.count("ceo_knowledge") == 9

    asyncio.run(body())


def test_one_that_is_refused_is_told_so_and_the_others_are_done() -> None:
    async def body() -> None:
        store = Slow()
        store.gate.set()
        writes = writes_to(store)
        ids = [keyed_id("one"), BAD, keyed_id("two")]
        told = await asyncio.gather(
            *(writes.do("ceo_knowledge", Change(put=[item(id_)])) for id_ in ids), return_exceptions=True
        )
        assert [type(one) for one in told] == [type(None), InvalidError, type(None)]
        assert await store.count("ceo_knowledge") == 2

    asyncio.run(body())


def test_a_store_that_is_away_is_asked_once_for_all_that_wait() -> None:
    async def body() -> None:
        store = Slow()
        writes = writes_to(store)
        first = asyncio.create_task(put(writes, "0"))
        await store.entered.wait()
        waiting = [asyncio.create_task(put(writes, name)) for name in ("1", "away", "2")]
        await asyncio.sleep(0)
        store.gate.set()
        await first
        told = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(one) for one in told] == [UnavailableError] * 3
        assert store.changes == [1, 3]
        await put(writes, "1")

    asyncio.run(body())


def test_who_gives_up_is_left_out() -> None:
    async def body() -> None:
        store = Slow()
        writes = writes_to(store)
        first = asyncio.create_task(put(writes, "one"))
        await store.entered.wait()
        gone, kept = (asyncio.create_task(put(writes, name)) for name in ("two", "three"))
        await asyncio.sleep(0)
        gone.cancel()
        store.gate.set()
        await asyncio.gather(first, kept)
        assert store.changes == [1, 1]
        assert gone.cancelled()

    asyncio.run(body())


def test_what_has_begun_is_done_though_its_caller_gives_up_and_nothing_passes_it_by() -> None:
    async def body() -> None:
        store = Slow()
        writes = writes_to(store)
        doer = asyncio.create_task(put(writes, "one"))
        await store.entered.wait()
        others = [asyncio.create_task(put(writes, name)) for name in ("two", "three")]
        doer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await doer
        assert not any(other.done() for other in others)
        store.gate.set()
        await asyncio.gather(*others)
        assert store.changes == [1, 2]
        assert await store.count("ceo_knowledge") == 3

    asyncio.run(body())


def test_who_waits_when_the_process_ends_is_told_to_come_again() -> None:
    async def body() -> None:
        store = Slow()
        writes = writes_to(store)
        first, other = (asyncio.create_task(put(writes, name)) for name in ("one", "two"))
        await store.entered.wait()
        (doing,) = (task for task in asyncio.all_tasks() if task.get_name() == "changes of ceo_knowledge")
        doing.cancel()
        for told in (first, other):
            with pytest.raises(UnavailableError, match="interrupted"):
                await told
        store.gate.set()
        await put(writes, "three")
        assert store.changes == [1]

    asyncio.run(body())


steps = st.lists(st.tuples(st.booleans(), st.integers(0, 3), st.integers(0, 99)), max_size=20)


@given(steps)
def test_together_they_leave_what_they_would_have_left_one_by_one(changes: list[tuple[bool, int, int]]) -> None:
    async def body() -> None:
        store, alone = Slow(), MemoryVectors(2)
        writes = writes_to(store)
        tasks = []
        for put, number, said in changes:
            id_ = keyed_id(str(number))
            change = Change(put=[item(id_, str(said))]) if put else Change(gone=[(id_, 0)])
            tasks.append(asyncio.create_task(writes.do("ceo_knowledge", change)))
            if put:
                await alone.upsert("ceo_knowledge", [item(id_, str(said))])
            else:
                await alone.remove("ceo_knowledge", [id_])
        store.gate.set()
        await asyncio.gather(*tasks)
        left, wanted = [await one.listed("ceo_knowledge", after=None, limit=9) for one in (store, alone)]
        assert left == wanted

    asyncio.run(body())
