"""Taking the last swap of the vector index back: whole, up to date, however many generations served before it."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.memory_vectors import MemoryVectors
from adapters.vector_payload import PARTITIONS
from adapters.vector_shelf import MemoryShelf
from contracts.domains import Partition
from contracts.vectors import Generation, Manifest
from runtime import index_manifest
from runtime.errors import OutcomeError
from runtime.generations import MANIFEST, Generations
from runtime.vector_ports import Item
from tests.indexing import Counting, Logs, built, generations, play, running, spec, three, titles, until

NOW = datetime.now(UTC)


def serving(manifest: Manifest) -> dict[Partition, str]:
    """Which generation serves each partition."""
    served = [(part, one.name) for one in manifest.generations if one.state == "serving" for part in one.partitions]
    assert len(dict(served)) == len(served)
    return dict(served)


def noted(shelf: MemoryShelf) -> Manifest:
    return msgspec.json.decode(shelf.notes[MANIFEST], type=Manifest)


async def first_and_parts(owner: Generations, logs: Logs) -> tuple[str, str]:
    """One item in each of two partitions; then one of these in a generation of its own."""
    await logs.add("of the ceo")
    await logs.add("shared", "shared_knowledge")
    first = await owner.rebuild()
    await built(owner, first)
    second = await owner.rebuild(["ceo_knowledge"])
    await built(owner, second)
    return first, second


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


def test_a_rebuild_of_one_partition_is_taken_back_and_again() -> None:
    async def scenario(logs: Logs) -> None:
        shelf = MemoryShelf(Counting("one"))
        async with running(generations(logs, shelf)) as owner:
            first, second = await first_and_parts(owner, logs)
            assert serving(noted(shelf))["ceo_knowledge"] == second
            late = await logs.add("late")
            entry, version = await logs.entry(late)
            await owner.index("ceo_knowledge", [entry], version=version)  # To the one that serves.
            back = await owner.roll_back()
            assert back == first
            await built(owner, back)
            assert set(serving(noted(shelf)).values()) == {first}
            assert await titles(owner) == {"of the ceo", "shared", "late"}
            assert await titles(owner, "a", "ceo_knowledge") == {"of the ceo", "late"}
            await built(owner, await owner.roll_back())
            assert serving(noted(shelf))["ceo_knowledge"] == second
            assert serving(noted(shelf))["shared_knowledge"] == first
            assert await titles(owner) == {"of the ceo", "shared", "late"}
        async with running(generations(logs, shelf)) as owner:
            assert await titles(owner) == {"of the ceo", "shared", "late"}

    play(scenario)


def test_all_generations_that_served_before_a_full_rebuild_serve_again() -> None:
    async def scenario(logs: Logs) -> None:
        shelf = MemoryShelf(Counting("one"))
        async with running(generations(logs, shelf)) as owner:
            first, second = await first_and_parts(owner, logs)
            before = serving(noted(shelf))
            third = await owner.rebuild()
            await built(owner, third)
            assert set(serving(noted(shelf)).values()) == {third}
            await logs.add("late", "shared_knowledge")
            back = await owner.roll_back()
            assert back == f"{first}, {second}"
            building = (await owner.status()).building
            assert building is not None
            assert set(building.partitions) == set(PARTITIONS)
            await built(owner, back)
            assert serving(noted(shelf)) == before
            assert await titles(owner) == {"of the ceo", "shared", "late"}
            fourth = await owner.rebuild()
            await built(owner, fourth)

            async def dropped() -> bool:
                return set(shelf.stores) == {first, second, fourth}  # No more than the last swap replaced.

            await until(dropped)

    play(scenario)


def test_going_back_goes_on_after_a_crash() -> None:
    async def scenario(logs: Logs) -> None:
        embedder = Counting("one")
        shelf = MemoryShelf(embedder)
        async with running(generations(logs, shelf)) as owner:
            first, second = await first_and_parts(owner, logs)
            before = serving(noted(shelf))
            third = await owner.rebuild()
            await built(owner, third)
            await logs.add("late")
            embedder.begun.clear()
            embedder.go_on.clear()
            await owner.roll_back()
            await embedder.begun.wait()
        assert set(serving(noted(shelf)).values()) == {third}
        async with running(generations(logs, shelf)) as owner:
            building = (await owner.status()).building
            assert building is not None
            assert building.generation == f"{first}, {second}"
            with pytest.raises(OutcomeError, match="already"):
                await owner.rebuild()
            embedder.go_on.set()
            await built(owner, building.generation)
            assert serving(noted(shelf)) == before
            assert await titles(owner) == {"of the ceo", "shared", "late"}

    play(scenario)


def test_an_earlier_model_is_gone_back_to_though_two_generations_had_it() -> None:
    async def scenario(logs: Logs) -> None:
        one = Counting("one")
        shelf = MemoryShelf(one, Counting("two"))
        async with running(generations(logs, shelf)) as owner:
            await first_and_parts(owner, logs)
        before, embedded = serving(noted(shelf)), len(one.entries)

        async with running(generations(logs, shelf, spec("two"))) as owner:

            async def complete() -> bool:
                status = await owner.status()
                return status.last is not None and status.building is None

            await until(complete)
            with pytest.raises(OutcomeError, match="no generation is kept that was made with the model"):
                await owner.roll_back()
        async with running(generations(logs, shelf)) as owner:
            await until(complete)
            assert await titles(owner) == {"of the ceo", "shared"}
        assert serving(noted(shelf)) == before
        assert len(one.entries) == embedded

    play(scenario)


class Losing(MemoryVectors):
    """An engine that says it has stored what it has not, from now on."""

    loses = False

    async def upsert(self, partition: Partition, items: Sequence[Item]) -> None:
        if not self.loses:
            await super().upsert(partition, items)


def test_what_cannot_be_brought_up_to_date_does_not_serve_again() -> None:
    async def scenario(logs: Logs) -> None:
        shelf = MemoryShelf(Counting("one"))
        async with running(generations(logs, shelf)) as owner:
            await logs.add("of the ceo")
            first = await owner.rebuild()
            shelf.stores[first] = store = Losing(Counting.dimensions)
            await built(owner, first)
            second = await owner.rebuild(["ceo_knowledge"])
            await built(owner, second)
            before = serving(noted(shelf))
            await logs.add("late")
            store.loses = True
            back = await owner.roll_back()
            await built(owner, back)
            assert (last := (await owner.status()).last) is not None
            assert "1 entries are not as the logs say" in last.trouble
            assert serving(noted(shelf)) == before
            with pytest.raises(OutcomeError, match="no generation is kept"):
                await owner.roll_back()

    play(scenario)


@given(st.lists(st.none() | st.sets(st.sampled_from(PARTITIONS), min_size=1), max_size=12))
def test_whatever_was_swapped_the_last_swap_is_taken_back_whole(swaps: list[set[Partition] | None]) -> None:
    """None: take it back. What goes meanwhile is never what could still be needed, and what stays is bounded."""
    manifest = swapped(Manifest(), 0, PARTITIONS)
    before: dict[Partition, str] = {}
    for number, partitions in enumerate(swaps, 1):
        was = serving(manifest)
        if partitions is not None:
            manifest = swapped(manifest, number, sorted(partitions))
        elif due := index_manifest.replaced(manifest, spec()):
            manifest = index_manifest.begun(manifest, due)
            manifest = index_manifest.swapped(manifest, due, {one.name: {} for one in due}, NOW)
            assert serving(manifest) == before
        before = was
        gone = {one.name for one in index_manifest.unneeded(manifest)}
        left = tuple(one for one in manifest.generations if one.name not in gone)
        manifest = msgspec.structs.replace(manifest, generations=left)
        assert set(serving(manifest)) == set(PARTITIONS)
        assert len(left) <= 2 * len(PARTITIONS)


def swapped(manifest: Manifest, number: int, partitions: Sequence[Partition]) -> Manifest:
    new = Generation(name=str(number), spec=spec(), state="building", partitions=tuple(partitions), began=NOW)
    return index_manifest.swapped(index_manifest.begun(manifest, (new,)), (new,), {new.name: {}}, NOW)
