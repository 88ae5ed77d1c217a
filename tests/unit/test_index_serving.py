"""What searches and changes meet while the index is as it is, and while generation after generation is swapped in."""

import asyncio

from adapters.vector_shelf import MemoryShelf
from runtime.generations import Generations
from tests.indexing import Counting, Logs, built, generations, play, running, titles, until


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
