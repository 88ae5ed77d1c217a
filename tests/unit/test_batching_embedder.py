"""BatchingEmbedder: concurrent calls share batches, everybody gets his own vectors, stop is clean."""

import asyncio
from collections.abc import Sequence

import pytest

from adapters.batching_embedder import BATCH_TEXTS_MAX, CALLS_WAITING_MAX, BatchingEmbedder
from runtime.errors import UnavailableError
from runtime.vector_ports import Vector


class Counting:
    """An Embedder whose vectors are the texts' numbers; while `gate` is closed it waits, and it fails on the text "0"."""

    model = "counting"
    dimensions = 1

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.entered = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        self.batches.append(list(texts))
        self.entered.set()
        await self.gate.wait()
        if "0" in texts:
            raise UnavailableError("counting", "nought")
        return [[float(text)] for text in texts]


def test_calls_that_overlap_share_batches() -> None:
    async def run() -> None:
        inner = Counting()
        embedder = BatchingEmbedder(inner)
        await embedder.start()
        answers = await asyncio.gather(*(embedder.embed([str(number)]) for number in range(1, 101)))
        assert answers == [[[float(number)]] for number in range(1, 101)]
        assert len(inner.batches) <= 5
        assert max(map(len, inner.batches)) == BATCH_TEXTS_MAX
        await embedder.stop()

    asyncio.run(run())


def test_many_texts_come_back_in_order_and_do_not_hold_up_others() -> None:
    async def run() -> None:
        inner = Counting()
        inner.gate.clear()
        embedder = BatchingEmbedder(inner)
        await embedder.start()
        many = [str(number) for number in range(200, 0, -1)]
        big = asyncio.create_task(embedder.embed(many))
        await inner.entered.wait()
        small = asyncio.create_task(embedder.embed(["7"]))
        inner.gate.set()
        assert await small == [[7.0]]
        assert not big.done()
        assert await big == [[float(text)] for text in many]
        assert max(map(len, inner.batches)) <= BATCH_TEXTS_MAX
        assert await embedder.embed([]) == []
        await embedder.stop()

    asyncio.run(run())


def test_an_error_reaches_its_batch_only() -> None:
    async def run() -> None:
        embedder = BatchingEmbedder(Counting())
        await embedder.start()
        with pytest.raises(UnavailableError, match="nought"):
            await embedder.embed(["0"])
        assert await embedder.embed(["1"]) == [[1.0]]
        await embedder.stop()

    asyncio.run(run())


def test_a_cancelled_call_is_left_out() -> None:
    async def run() -> None:
        inner = Counting()
        inner.gate.clear()
        embedder = BatchingEmbedder(inner)
        await embedder.start()
        first = asyncio.create_task(embedder.embed(["1"]))
        await inner.entered.wait()
        given_up, kept = asyncio.create_task(embedder.embed(["2"])), asyncio.create_task(embedder.embed(["3"]))
        await asyncio.sleep(0)
        given_up.cancel()
        inner.gate.set()
        assert (await first, await kept) == ([[1.0]], [[3.0]])
        assert inner.batches == [["1"], ["3"]]
        await embedder.stop()

    asyncio.run(run())


def test_a_full_queue_refuses_and_stop_finishes_what_waits() -> None:
    async def run() -> None:
        inner = Counting()
        inner.gate.clear()
        embedder = BatchingEmbedder(inner)
        with pytest.raises(UnavailableError, match="stopped"):
            await embedder.embed(["1"])
        await embedder.start()
        first = asyncio.create_task(embedder.embed(["1"]))
        await inner.entered.wait()
        waiting = [asyncio.create_task(embedder.embed(["2"])) for _ in range(CALLS_WAITING_MAX)]
        await asyncio.sleep(0)
        with pytest.raises(UnavailableError, match="waiting"):
            await embedder.embed(["3"])
        stopping = asyncio.create_task(embedder.stop())
        await asyncio.sleep(0)
        with pytest.raises(UnavailableError, match="stopped"):
            await embedder.embed(["4"])
        inner.gate.set()
        await stopping
        assert first.done()
        assert await asyncio.gather(*waiting) == [[[2.0]]] * CALLS_WAITING_MAX
        await embedder.stop()

    asyncio.run(run())
