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
from contracts.domains import Clearance, Domain
from contracts.ids import new_id
from contracts.retrieval import Entry
from contracts.subjects import PARTITIONS as PARTITIONS_OF_ACTORS
from contracts.subjects import ActorRef
from contracts.vectors import Checked, Difference
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


async def all_ended(_domain: Domain) -> list[int]:
    """As if every reaction had."""
    return [1 << 60] * PARTITIONS_OF_ACTORS


async def none_ended(_domain: Domain) -> list[int]:
    return [0] * PARTITIONS_OF_ACTORS


def test_every_kind_of_difference_is_named_and_put_right() -> None:
    async def body() -> None:
        logs = Logs()
        ids = [await logs.add(f"item {number}") for number in range(6)]
        shelf = MemoryShelf(Counting("one"))
        async with running(generations(logs, shelf)) as owner:
            check = await checker(logs, owner)
            assert await check.check(all_ended, settle_s=0) == Checked(entries=6, differences=[], behind={})
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
            found = (await check.check(all_ended, settle_s=0)).differences
            assert {(one.id, one.problem) for one in found} == {
                (ids[0], "missing"),
                (ids[1], "stale"),
                (ids[2], "stale"),
                (unknown.id, "extra"),
                (ids[3], "doubled"),
            }
            for _ in range(2):  # To do it again changes nothing.
                await check.mend(found)
                assert (await check.check(all_ended, settle_s=0)).differences == []
            assert await titles(owner) == {f"item {number}" for number in range(6)}

    asyncio.run(asyncio.wait_for(body(), 20))


def test_what_no_reaction_has_come_to_is_behind_and_no_difference() -> None:
    """A put, a change, a removal; what no log speaks of differs all the same."""

    async def body() -> None:
        logs = Logs()
        ids = [await logs.add(title) for title in ("there", "before", "gone")]
        shelf = MemoryShelf(Counting("one"))
        async with running(generations(logs, shelf)) as owner:
            check = await checker(logs, owner)
            await logs.add("late")
            await logs.update(ids[1], "after")
            await logs.delete(ids[2])
            (store,) = shelf.stores.values()
            unknown = Entry(id=new_id(), title="t", text="x", label=Clearance.PUBLIC, version=3)
            await store.upsert("shared_knowledge", [Item(unknown, [VECTOR])])
            checked = await check.check(none_ended, settle_s=0)
            assert [(one.id, one.problem) for one in checked.differences] == [(unknown.id, "extra")]
            assert (checked.entries, checked.behind) == (3, {Domain.CEO: 3})
            assert len((await check.check(all_ended, settle_s=0)).differences) == 4

    asyncio.run(asyncio.wait_for(body(), 20))


def test_a_difference_shows_as_soon_as_the_reactions_have_passed_it() -> None:
    """Of two entries that are missing one was passed by; where its actor's partition stands decides."""

    async def body() -> None:
        logs = Logs()
        async with running(generations(logs, MemoryShelf(Counting("one")))) as owner:
            check = await checker(logs, owner)
            lost, late = [await logs.add(title) for title in ("lost", "late")]
            passed = ActorRef(Domain.CEO, "knowledge_item", lost).partition
            (_, version), (_, later) = await logs.entry(lost), await logs.entry(late)

            async def ended(_domain: Domain) -> list[int]:
                return [version if number == passed else 0 for number in range(PARTITIONS_OF_ACTORS)]

            assert later > version
            checked = await check.check(ended, settle_s=0)
            assert [(one.id, one.problem) for one in checked.differences] == [(lost, "missing")]
            assert checked.behind == {Domain.CEO: 1}

    asyncio.run(asyncio.wait_for(body(), 20))


def test_the_check_waits_for_what_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_build, "LOOK_AGAIN_S", 0.0)

    async def body() -> None:
        logs = Logs()
        await logs.add("there")
        async with running(generations(logs, MemoryShelf(Counting("one")))) as owner:
            check = await checker(logs, owner)
            late, lost = [await logs.add(title) for title in ("late", "lost")]
            looked = 0

            async def ended(domain: Domain) -> list[int]:
                """The reaction to `late` ends when it is asked for the third time."""
                nonlocal looked
                looked += domain is Domain.CEO
                if looked == 3:
                    entry, version = await logs.entry(late)
                    await owner.index("ceo_knowledge", [entry], version=version)
                return await (none_ended if looked < 3 else all_ended)(domain)

            checked = await check.check(ended, settle_s=60)
            assert [one.id for one in checked.differences] == [lost]
            assert (checked.behind, looked) == ({}, 4)  # A difference is told when it is seen twice.

    asyncio.run(asyncio.wait_for(body(), 20))


def test_what_is_recorded_while_it_is_looked_is_behind() -> None:
    async def body() -> None:
        logs = Logs()
        id_ = await logs.add("first")
        async with running(generations(logs, MemoryShelf(Counting("one")))) as owner:
            check = await checker(logs, owner)

            async def ended(domain: Domain) -> list[int]:
                if domain is Domain.CEO:
                    await logs.update(id_, "second")
                    entry, version = await logs.entry(id_)
                    await owner.index("ceo_knowledge", [entry], version=version)
                return await all_ended(domain)

            assert (await check.check(ended, settle_s=0)).behind == {Domain.CEO: 1}

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
            found = (await check.check(all_ended, settle_s=0)).differences
            await logs.update(id_, "second")
            entry, version = await logs.entry(id_)
            await owner.index("ceo_knowledge", [entry], version=version)
            await check.mend(found)
            await check.mend([Difference("ceo_knowledge", id_, "extra", 0, 1)])
            assert await titles(owner) == {"second"}

    asyncio.run(asyncio.wait_for(body(), 20))
