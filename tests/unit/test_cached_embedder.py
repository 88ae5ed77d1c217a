"""CachedEmbedder: repeats are not embedded again, entries go past it, and no reader gets what another clearance put there."""

import asyncio

import pytest

from adapters.memory_cache import MemoryCache
from contracts.domains import Clearance
from runtime.cached_embedder import CachedEmbedder, Of
from runtime.caching import Cache
from runtime.telemetry import NoTelemetry
from runtime.vector_ports import Purpose
from tests.embedders import WordHashes

HASHES = Of("here", "hashes")
LOW, HIGH = Purpose("plain", Clearance.PUBLIC), Purpose("plain", Clearance.TOP_SECRET)


def test_a_text_is_embedded_once_and_its_vector_stays_the_same() -> None:
    async def body() -> None:
        inner = WordHashes()
        embedder = CachedEmbedder(inner, Cache(NoTelemetry()), of=HASHES)
        first = await embedder.embed(["one", "two", "one"], LOW)
        again = await embedder.embed(["two", "three", "one"], LOW)
        assert [text for text, _ in inner.asked] == ["one", "two", "three"]
        assert list(again[0]) == pytest.approx(list(first[1]), abs=1e-7)
        assert list(again[2]) == pytest.approx(list(first[0]), abs=1e-7)

    asyncio.run(body())


def test_a_cache_warmed_by_a_higher_reader_gives_a_lower_one_nothing_in_no_process() -> None:
    async def body() -> None:
        inner, shared = WordHashes(), MemoryCache()
        for purpose, asked in ((HIGH, 1), (LOW, 2), (HIGH, 2), (LOW, 2)):
            for cache in (Cache(NoTelemetry(), shared), Cache(NoTelemetry(), shared)):
                for _ in range(2):
                    await CachedEmbedder(inner, cache, of=HASHES).embed(["the merger"], purpose)
            assert len(inner.asked) == asked

    asyncio.run(body())


def test_only_what_comes_again_is_shared() -> None:
    async def body() -> None:
        inner, shared = WordHashes(), MemoryCache()
        here = CachedEmbedder(inner, Cache(NoTelemetry(), shared), of=HASHES)
        for texts in (["once", "twice"], ["twice"]):
            await here.embed(texts, LOW)
        elsewhere = CachedEmbedder(inner, Cache(NoTelemetry(), shared), of=HASHES)
        await elsewhere.embed(["twice", "once"], LOW)
        assert [text for text, _ in inner.asked] == ["once", "twice", "once"]

    asyncio.run(body())


def test_entries_and_texts_under_no_clearance_leave_nothing() -> None:
    async def body() -> None:
        inner = WordHashes()
        embedder = CachedEmbedder(inner, Cache(NoTelemetry()), of=HASHES)
        for purpose in (Purpose(), Purpose("entry", Clearance.PUBLIC), Purpose("plain")):
            for _ in range(2):
                await embedder.embed(["text"], purpose)
        assert len(inner.asked) == 6
        await embedder.embed(["text"], Purpose("query", Clearance.PUBLIC))
        await embedder.embed(["text"], LOW)
        assert len(inner.asked) == 8  # models may read a query differently

    asyncio.run(body())


@pytest.mark.parametrize(
    "other", [Of("there", "m"), Of("here", "n"), Of("here", "m", "q: "), Of("here", "m", "", "e: ")]
)
def test_another_models_vectors_are_not_taken(other: Of) -> None:
    """Not even where both servers call theirs the same, and both give as many numbers."""

    async def body() -> None:
        cache = Cache(NoTelemetry())
        mine, its = WordHashes("default"), WordHashes("default")
        await CachedEmbedder(mine, cache, of=Of("here", "m")).embed(["text"], LOW)
        await CachedEmbedder(its, cache, of=other).embed(["text"], LOW)
        assert len(its.asked) == 1

    asyncio.run(body())
