"""Generations of the vector index: built of the logs beside the serving one, swapped at once, and never worse after a crash."""

import asyncio
from collections.abc import Sequence

import msgspec
import pytest

from adapters.memory_vectors import MemoryVectors
from adapters.vector_admin import ailment
from adapters.vector_shelf import MemoryShelf
from contracts.domains import Partition
from contracts.knowledge import KnowledgeAdded
from contracts.vectors import Generation, Manifest, Spec
from runtime import generations as module
from runtime.errors import OutcomeError, UnavailableError
from runtime.generations import MANIFEST
from runtime.vector_ports import Item, Shelved
from tests.indexing import Counting, Logs, built, generations, knowledge, play, running, spec, three, titles, until


def states(owner_shelf: MemoryShelf) -> list[tuple[str, str]]:
    manifest = msgspec.json.decode(owner_shelf.notes[MANIFEST], type=Manifest)
    return [(one.spec.model, one.state) for one in manifest.generations]


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


def test_an_index_has_one_owner() -> None:
    async def scenario(logs: Logs) -> None:
        shelf = MemoryShelf(Counting("one"))
        async with running(generations(logs, shelf)):
            with pytest.raises(UnavailableError, match="another process"):
                await generations(logs, shelf).start()

    play(scenario)


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
