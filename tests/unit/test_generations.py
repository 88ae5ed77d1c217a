"""Generations of the vector index: built of the logs beside the serving one, swapped at once, and never worse after a crash."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import msgspec
import pytest

from adapters.memory_vectors import MemoryVectors
from adapters.vector_admin import ailment
from adapters.vector_shelf import MemoryShelf
from contracts.domains import Partition
from contracts.knowledge import KnowledgeAdded
from contracts.vectors import Generation, Manifest, Spec
from runtime import generations as module
from runtime import index_manifest
from runtime.errors import OutcomeError, UnavailableError
from runtime.generations import MANIFEST, Generations
from runtime.vector_ports import Item, Shelved
from tests.indexing import Counting, Logs, built, generations, knowledge, running, spec, titles, until


def play(scenario: Callable[[Logs], Awaitable[None]]) -> None:
    async def body() -> None:
        await scenario(Logs())

    asyncio.run(asyncio.wait_for(body(), 20))


def states(owner_shelf: MemoryShelf) -> list[tuple[str, str]]:
    manifest = msgspec.json.decode(owner_shelf.notes[MANIFEST], type=Manifest)
    return [(one.spec.model, one.state) for one in manifest.generations]


async def three(logs: Logs) -> list[str]:
    """Three items: one as it was, one updated into another partition; the third is deleted again."""
    ids = [await logs.add(title) for title in ("as it was", "before", "gone")]
    await logs.update(ids[1], "after", "shared_knowledge")
    await logs.delete(ids[2])
    return ids


def test_an_index_that_is_not_there_is_built_of_the_logs_before_the_start_ends() -> None:
    async def scenario(logs: Logs) -> None:
        await three(logs)
        embedder = Counting("one")
        shelf = MemoryShelf(embedder)
        async with running(generations(logs, shelf)) as owner:
            assert await titles(owner) == {"as it was", "after"}
            assert embedder.entries == ["as it was. x", "after. x"]  # What was overtaken is not embedded.
            status = await owner.status()
            assert (status.counts["ceo_knowledge"], status.counts["shared_knowledge"]) == (1, 1)
            assert status.building is None
        async with running(generations(logs, shelf)) as owner:
            assert await titles(owner) == {"as it was", "after"}
        assert len(embedder.entries) == 2  # Nothing is built twice.

    play(scenario)


def test_a_new_model_is_built_beside_while_the_old_one_answers() -> None:
    async def scenario(logs: Logs) -> None:
        ids = await three(logs)
        old, new = Counting("one"), Counting("two")
        shelf = MemoryShelf(old, new)
        async with running(generations(logs, shelf)):
            pass
        new.go_on.clear()
        async with running(generations(logs, shelf, spec("two"))) as owner:
            await new.begun.wait()
            assert await titles(owner) == {"as it was", "after"}
            assert old.queries == ["a"]
            assert states(shelf) == [("one", "serving"), ("two", "building")]
            building = (await owner.status()).building
            assert building is not None
            assert building.spec == spec("two")
            # What is recorded and indexed meanwhile is in both: in the serving one now, in the new one from the log.
            late = await logs.add("late")
            entry, version = await logs.entry(late)
            await owner.index("ceo_knowledge", [entry], version=version)
            deleted = await logs.delete(ids[0])
            await owner.remove("ceo_knowledge", [ids[0]], version=deleted)
            assert await titles(owner) == {"after", "late"}
            new.go_on.set()
            await built(owner, building.generation)
            assert await titles(owner) == {"after", "late"}
            assert new.queries == ["a"]
            assert states(shelf) == [("one", "kept"), ("two", "serving")]

    play(scenario)


@pytest.mark.parametrize("wanted", [spec("two"), spec("one", schema=2)], ids=["model", "layout"])
def test_without_the_old_model_or_layout_a_search_says_what_it_waits_for(wanted: Spec) -> None:
    async def scenario(logs: Logs) -> None:
        await three(logs)
        shelf = MemoryShelf(Counting("one"))
        async with running(generations(logs, shelf)):
            pass
        new = Counting(wanted.model)
        new.go_on.clear()
        shelf.embedders, shelf.schema = {new.model: new}, wanted.schema
        owner = generations(logs, shelf, wanted)
        starting = asyncio.create_task(owner.start())
        await new.begun.wait()
        with pytest.raises(UnavailableError, match=f"it is being built with {wanted.model}.*is not served") as refused:
            await titles(owner)
        assert refused.value.retry_after_s > 0
        assert refused.value.told == "it is being built anew (embedding, 0 % of this step is done)"
        id_ = await logs.add("late")
        entry, version = await logs.entry(id_)
        await owner.index("ceo_knowledge", [entry], version=version)  # It is in the log: the build comes to it.
        new.go_on.set()
        await starting
        assert await titles(owner) == {"as it was", "after", "late"}
        await owner.stop()

    play(scenario)


@pytest.mark.parametrize("error", [UnavailableError("model", "away"), OutcomeError("wrong"), OSError("disk full")])
def test_a_build_that_failed_or_was_killed_goes_on_where_it_was(error: Exception) -> None:
    async def scenario(logs: Logs) -> None:
        for number in range(150):
            await logs.add(f"item {number}")
        old, new = Counting("one"), Counting("two")
        shelf = MemoryShelf(old, new)
        async with running(generations(logs, shelf)):
            pass
        new.entries_max, new.error = 64, error
        async with running(generations(logs, shelf, spec("two"))) as owner:

            async def stopped() -> bool:
                return "goes on" in (await owner.status()).trouble

            await until(stopped)
            assert len(await titles(owner)) == 150
        assert 0 < len(new.entries) < 150
        new.entries_max = 1_000
        assert states(shelf) == [("one", "serving"), ("two", "building")]
        async with running(generations(logs, shelf, spec("two"))) as owner:
            building = (await owner.status()).building
            if building is not None:
                await built(owner, building.generation)
            assert len(await titles(owner)) == 150
            assert sorted(new.entries) == sorted({f"item {number}. x" for number in range(150)})
        assert states(shelf) == [("one", "kept"), ("two", "serving")]

    play(scenario)


def test_one_partition_is_rebuilt_and_the_others_stay() -> None:
    async def scenario(logs: Logs) -> None:
        await three(logs)
        embedder = Counting("one")
        shelf = MemoryShelf(embedder)
        async with running(generations(logs, shelf)) as owner:
            first = (await owner.status()).generations[0].name
            await shelf.stores[first].remove("shared_knowledge", [])
            before = len(embedder.entries)
            second = await owner.rebuild(["shared_knowledge"])
            with pytest.raises(OutcomeError, match="already"):
                await owner.rebuild()
            await built(owner, second)
            assert embedder.entries[before:] == ["after. x"]
            assert await titles(owner) == {"as it was", "after"}
            assert await titles(owner, "a", "shared_knowledge") == {"after"}
            served = {one.name: one.partitions for one in (await owner.status()).generations}
            assert served[second] == ("shared_knowledge",)
            assert "shared_knowledge" not in served[first]
        async with running(generations(logs, shelf)) as owner:
            assert await titles(owner) == {"as it was", "after"}

    play(scenario)


def test_the_generation_before_can_be_rolled_back_to_and_has_what_came_since() -> None:
    async def scenario(logs: Logs) -> None:
        await three(logs)
        shelf = MemoryShelf(Counting("one"))
        async with running(generations(logs, shelf)) as owner:
            first = (await owner.status()).generations[0].name
            with pytest.raises(OutcomeError, match="no generation is kept"):
                await owner.roll_back()
            second = await owner.rebuild()
            await built(owner, second)
            await logs.add("late")
            assert await owner.roll_back() == first
            await built(owner, first)
            assert await titles(owner) == {"as it was", "after", "late"}
            assert [(one.name, one.state) for one in (await owner.status()).generations] == [
                (first, "serving"),
                (second, "kept"),
            ]
            third = await owner.rebuild()
            await built(owner, third)

            async def dropped() -> bool:
                return set(shelf.stores) == {first, third}  # Only the one before is kept.

            await until(dropped)

    play(scenario)


def test_an_old_generation_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_manifest, "KEPT_S_MAX", 0.0)

    async def scenario(logs: Logs) -> None:
        shelf = MemoryShelf(Counting("one"))
        async with running(generations(logs, shelf)) as owner:
            second = await owner.rebuild()
            await built(owner, second)

            async def dropped() -> bool:
                return set(shelf.stores) == {second}

            await until(dropped)

    play(scenario)


def test_a_search_does_not_return_what_the_log_removed_or_changed() -> None:
    """The reaction that would tell the store may be late, or wait for a worker that died."""

    async def scenario(logs: Logs) -> None:
        ids = [await logs.add(title) for title in ("stays", "deleted", "changed")]
        shelf = MemoryShelf(Counting("one"))
        async with running(generations(logs, shelf)) as owner:
            assert await titles(owner) == {"stays", "deleted", "changed"}
            await logs.delete(ids[1])
            await logs.update(ids[2], "anew")

            async def heard() -> bool:
                return await titles(owner) == {"stays"}

            await until(heard)
            entry, version = await logs.entry(ids[2])
            await owner.index("ceo_knowledge", [entry], version=version)
            assert await titles(owner) == {"stays", "anew"}

    play(scenario)


def test_what_was_removed_before_a_restart_is_not_brought_back_by_a_late_call() -> None:
    async def scenario(logs: Logs) -> None:
        id_ = await logs.add("deleted")
        entry, version = await logs.entry(id_)
        shelf = MemoryShelf(Counting("one"))
        async with running(generations(logs, shelf)) as owner:
            removed = await logs.delete(id_)
            await owner.remove("ceo_knowledge", [id_], version=removed)
        async with running(generations(logs, shelf)) as owner:
            await owner.index("ceo_knowledge", [entry], version=version)
            assert (await owner.status()).counts["ceo_knowledge"] == 0
        shelf.notes["heard"] = b"torn"  # Then the logs are heard from their beginning.
        async with running(generations(logs, shelf)) as owner:
            await owner.index("ceo_knowledge", [entry], version=version)
            assert (await owner.status()).counts["ceo_knowledge"] == 0

    play(scenario)


def test_an_index_has_one_owner() -> None:
    async def scenario(logs: Logs) -> None:
        shelf = MemoryShelf(Counting("one"))
        async with running(generations(logs, shelf)):
            with pytest.raises(UnavailableError, match="another process"):
                await generations(logs, shelf).start()

    play(scenario)


def test_searches_go_on_through_every_swap() -> None:
    """While generation after generation is built, every search finds everything."""

    async def scenario(logs: Logs) -> None:
        for number in range(20):
            await logs.add(f"item {number}")
        embedder = Counting("one")
        shelf = MemoryShelf(embedder)
        async with running(generations(logs, shelf)) as owner:
            for _ in range(3):
                embedder.begun.clear()
                embedder.go_on.clear()
                name = await owner.rebuild()
                status = await owner.status()
                assert status.building is not None
                assert status.building.generation == name  # from the first moment on
                await embedder.begun.wait()
                assert len(await titles(owner)) == 20
                embedder.go_on.set()

                async def whole(name: str = name) -> bool:
                    status = await owner.status()
                    assert len(await titles(owner)) == 20
                    return status.last is not None and status.last.generation == name

                await until(whole)

    play(scenario)


def test_a_call_under_way_when_the_swap_comes_is_in_the_new_generation() -> None:
    async def scenario(logs: Logs) -> None:
        embedder = Counting("one")
        shelf = MemoryShelf(embedder)
        async with running(generations(logs, shelf)) as owner:
            calls = []
            rebuilding = asyncio.create_task(_rebuild_often(owner, 3))
            for number in range(60):
                id_ = await logs.add(f"item {number}")
                entry, version = await logs.entry(id_)
                calls.append(asyncio.create_task(owner.index("ceo_knowledge", [entry], version=version)))
                await asyncio.sleep(0)
            await asyncio.gather(rebuilding, *calls)
            assert await titles(owner) == {f"item {number}" for number in range(60)}

    play(scenario)


async def _rebuild_often(owner: Generations, times: int) -> None:
    for _ in range(times):
        await built(owner, await owner.rebuild())


def test_what_no_store_takes_is_left_out() -> None:
    async def scenario(logs: Logs) -> None:
        await logs.record(KnowledgeAdded(by="ann", knowledge=knowledge("odd")), "no-uuid")
        async with running(generations(logs, MemoryShelf(Counting("one")))) as owner:
            assert await titles(owner) == set()

    play(scenario)


class Hiccups(MemoryShelf):
    """Its next saves of the manifest fail."""

    fails = 0

    async def save(self, note: str, content: bytes) -> None:
        if note == MANIFEST and self.fails:
            self.fails -= 1
            raise UnavailableError("broker", "hiccup")
        await super().save(note, content)


def test_changes_wait_until_it_is_certain_which_generation_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_S_MIN", 0.0)

    async def scenario(logs: Logs) -> None:
        embedder = Counting("one")
        shelf = Hiccups(embedder)
        await logs.add("there")
        async with running(generations(logs, shelf)) as owner:
            embedder.begun.clear()
            embedder.go_on.clear()
            second = await owner.rebuild()
            await embedder.begun.wait()
            shelf.fails = 3  # The notes of the swap.
            embedder.go_on.set()
            await built(owner, second)
            assert shelf.fails == 0
            assert await titles(owner) == {"there"}
            assert [(one.name, one.state) for one in (await owner.status()).generations][-1] == (second, "serving")

    play(scenario)


class Losing(MemoryVectors):
    """An engine that says it has stored what it has not."""

    async def upsert(self, partition: Partition, items: Sequence[Item]) -> None:
        """Nothing."""


class Forgetful(MemoryShelf):
    """New stores forget what they are given."""

    forgets = False

    async def open(self, generation: Generation) -> Shelved:
        if self.forgets:
            self.stores[generation.name] = Losing(Counting.dimensions)
        return await super().open(generation)


def test_what_is_not_as_the_logs_say_is_not_swapped_in() -> None:
    async def scenario(logs: Logs) -> None:
        ids = await three(logs)
        shelf = Forgetful(Counting("one"))
        async with running(generations(logs, shelf)) as owner:
            first = (await owner.status()).generations[0].name
            shelf.forgets = True
            second = await owner.rebuild()
            await built(owner, second)
            assert (last := (await owner.status()).last) is not None
            assert f"2 entries are not as the logs say: {ids[0]} in ceo_knowledge is missing" in last.trouble
            assert await titles(owner) == {"as it was", "after"}
            assert [one.name for one in (await owner.status()).generations] == [first]
            assert set(shelf.stores) == {first}
            assert ailment(await owner.status()) == ""  # What serves is as it is wanted.

    play(scenario)


def test_an_index_that_does_not_become_what_it_is_to_be_ails() -> None:
    async def scenario(logs: Logs) -> None:
        await three(logs)
        shelf = Forgetful(Counting("one"), Counting("two"))
        async with running(generations(logs, shelf)):
            pass
        shelf.forgets = True
        async with running(generations(logs, shelf, spec("two"))) as owner:

            async def failed() -> bool:
                return (await owner.status()).last is not None

            await until(failed)
            assert "was not swapped in: 2 entries are not as the logs say" in ailment(await owner.status())

    play(scenario)
