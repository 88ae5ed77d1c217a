"""The check: where a serving index and the logs disagree is named, put right once, and what is under way is no difference."""

import asyncio

import msgspec
import pytest

from actors.findable import changes
from adapters.memory import MemoryBroker, MemoryRpc
from adapters.retrieval import RemoteRetrieval, serve_retrieval
from adapters.vector_admin import RemoteVectors, serve_vectors
from adapters.vector_payload import PARTITIONS
from adapters.vector_shelf import MemoryShelf
from contracts.retrieval import Entry
from contracts.vectors import Difference
from runtime import index_build
from runtime.generations import Generations
from runtime.index_build import IndexBuild
from runtime.telemetry import NoTelemetry
from runtime.vector_ports import Item
from tests.indexing import Counting, Logs, generations, running, titles

VECTOR = [1.0] + [0.0] * 7


async def checker(logs: Logs, owner: Generations) -> IndexBuild:
    """As the command is: in another process, through the owner's services."""
    rpc = MemoryRpc(MemoryBroker())
    await serve_retrieval(rpc, owner)
    await serve_vectors(rpc, owner)
    retrieval = RemoteRetrieval(rpc, NoTelemetry())
    return IndexBuild(logs.log, changes, retrieval, RemoteVectors(rpc), PARTITIONS, lambda *_: None)


def test_every_kind_of_difference_is_named_and_put_right() -> None:
    async def body() -> None:
        logs = Logs()
        ids = [await logs.add(f"item {number}") for number in range(6)]
        shelf = MemoryShelf(Counting("one"))
        async with running(generations(logs, shelf)) as owner:
            check = await checker(logs, owner)
            assert await check.check(settle_s=0) == []
            assert check.expected == 6
            (store,) = shelf.stores.values()
            await store.remove("ceo_knowledge", [ids[0]])
            entry, version = await logs.entry(ids[1])
            wrong = msgspec.structs.replace(entry, text="forged", version=version)
            older = msgspec.structs.replace((await logs.entry(ids[2]))[0], version=1)
            unknown = Entry(
                id="00000000-0000-0000-0000-000000000001", title="t", text="x", label=entry.label, version=3
            )
            await store.upsert("ceo_knowledge", [Item(one, [VECTOR]) for one in (wrong, older, unknown)])
            twice, its = await logs.entry(ids[3])
            await store.upsert("shared_knowledge", [Item(msgspec.structs.replace(twice, version=its), [VECTOR])])
            found = await check.check(settle_s=0)
            assert {(one.id, one.problem) for one in found} == {
                (ids[0], "missing"),
                (ids[1], "stale"),
                (ids[2], "stale"),
                (unknown.id, "extra"),
                (ids[3], "doubled"),
            }
            for _ in range(2):  # To do it again changes nothing.
                await check.mend(found)
                assert await check.check(settle_s=0) == []
            assert await titles(owner) == {f"item {number}" for number in range(6)}

    asyncio.run(asyncio.wait_for(body(), 20))


def test_what_is_indexed_meanwhile_is_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_build, "LOOK_AGAIN_S", 0.0)

    async def body() -> None:
        logs = Logs()
        await logs.add("there")
        async with running(generations(logs, MemoryShelf(Counting("one")))) as owner:
            check = await checker(logs, owner)
            late, lost = [await logs.add(title) for title in ("late", "lost")]
            found = await check.check(settle_s=0)
            assert {(one.id, one.problem) for one in found} == {(late, "missing"), (lost, "missing")}

            async def index() -> None:
                entry, version = await logs.entry(late)
                await owner.index("ceo_knowledge", [entry], version=version)

            checking = asyncio.create_task(check.check(settle_s=0.5))
            await index()
            assert [one.id for one in await checking] == [lost]

    asyncio.run(asyncio.wait_for(body(), 20))


def test_a_repair_does_not_undo_what_came_since() -> None:
    """What was found is put right as of then; what the logs say since has won already."""

    async def body() -> None:
        logs = Logs()
        id_ = await logs.add("first")
        shelf = MemoryShelf(Counting("one"))
        async with running(generations(logs, shelf)) as owner:
            check = await checker(logs, owner)
            (store,) = shelf.stores.values()
            await store.remove("ceo_knowledge", [id_])
            found = await check.check(settle_s=0)
            await logs.update(id_, "second")
            entry, version = await logs.entry(id_)
            await owner.index("ceo_knowledge", [entry], version=version)
            await check.mend(found)
            await check.mend([Difference("ceo_knowledge", id_, "extra", 0, 1)])
            assert await titles(owner) == {"second"}

    asyncio.run(asyncio.wait_for(body(), 20))
