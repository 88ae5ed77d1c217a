"""BatchingEmbedder: concurrent calls share batches of like length, searches pass imports, everybody gets his own vectors."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.batching_embedder import CALLS_WAITING_MAX, PASSED_OVER_MAX, BatchingEmbedder, Bounds
from runtime.errors import OutcomeError, UnavailableError
from runtime.vector_ports import ENTRY, Purpose, Vector

QUERY = Purpose("query")
BOUNDS = Bounds(texts_max=8, chars_max=40, text_chars_max=20)


class Counting:
    """An Embedder whose vectors are the texts' numbers; while `gate` is closed it waits. It is away for "0", and refuses "-1"."""

    model = "counting"
    dimensions = 1

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.purposes: list[Purpose] = []
        self.entered = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def embed(self, texts: Sequence[str], purpose: Purpose = ENTRY) -> list[Vector]:
        self.batches.append(list(texts))
        self.purposes.append(purpose)
        self.entered.set()
        await self.gate.wait()
        if "0" in texts:
            raise UnavailableError("counting", "nought")
        if "-1" in texts:
            raise OutcomeError("negative")
        return [[float(text)] for text in texts]


def chars(batch: Sequence[str]) -> int:
    return sum(map(BOUNDS.length, batch))


def test_calls_that_overlap_share_batches() -> None:
    async def run() -> None:
        inner = Counting()
        embedder = BatchingEmbedder(inner)
        await embedder.start()
        answers = await asyncio.gather(*(embedder.embed([str(number)]) for number in range(1, 101)))
        assert answers == [[[float(number)]] for number in range(1, 101)]
        assert len(inner.batches) <= 5
        assert max(map(len, inner.batches)) == Bounds().texts_max
        await embedder.stop()

    asyncio.run(run())


@given(
    calls=st.lists(st.lists(st.integers(1, 10**25), max_size=12), max_size=12),
    uses=st.lists(st.sampled_from(["query", "entry", "plain"]), min_size=12, max_size=12),
)
def test_everybody_gets_his_own_vectors_and_no_batch_is_over_its_bounds(
    calls: list[list[int]], uses: list[str]
) -> None:
    async def run() -> None:
        inner = Counting()
        embedder = BatchingEmbedder(inner, BOUNDS)
        await embedder.start()
        asked = [
            embedder.embed([str(number) for number in call], Purpose(use))  # type: ignore[arg-type]  # drawn from the uses
            for call, use in zip(calls, uses, strict=False)
        ]
        answers = await asyncio.gather(*asked)
        assert answers == [[[float(number)] for number in call] for call in calls]
        assert sum(map(len, inner.batches)) == sum(map(len, calls))
        for batch in inner.batches:
            assert len(batch) <= BOUNDS.texts_max
            assert len(batch) == 1 or chars(batch) <= BOUNDS.chars_max
        await embedder.stop()

    asyncio.run(run())


def test_texts_of_like_length_share_a_batch() -> None:
    async def run() -> None:
        inner = Counting()
        inner.gate.clear()
        embedder = BatchingEmbedder(inner, BOUNDS, workers=1)
        await embedder.start()
        first = asyncio.create_task(embedder.embed(["1"]))
        await inner.entered.wait()
        texts = ("2" * 10, "3" * 18, "4" * 9, "5" * 19, "6" * 11)
        mixed = [asyncio.create_task(embedder.embed([text])) for text in texts]
        await asyncio.sleep(0)
        inner.gate.set()
        await asyncio.gather(first, *mixed)
        assert inner.batches == [["1"], ["2" * 10, "4" * 9, "6" * 11], ["3" * 18, "5" * 19]]
        await embedder.stop()

    asyncio.run(run())


def test_a_query_passes_an_import_that_waits_and_the_import_still_gets_its_turn() -> None:
    async def run() -> None:
        inner = Counting()
        inner.gate.clear()
        embedder = BatchingEmbedder(inner, Bounds(texts_max=1), workers=1)
        await embedder.start()
        entries = [asyncio.create_task(embedder.embed(["1"])) for _ in range(5)]
        await inner.entered.wait()
        queries = [asyncio.create_task(embedder.embed(["2"], QUERY)) for _ in range(PASSED_OVER_MAX + 1)]
        await asyncio.sleep(0)
        inner.gate.set()
        await asyncio.gather(*entries, *queries)
        uses = [purpose.use for purpose in inner.purposes]
        assert uses == ["entry", *["query"] * PASSED_OVER_MAX, "entry", "query", *["entry"] * 3]
        await embedder.stop()

    asyncio.run(run())


def test_a_query_finds_room_where_an_import_has_filled_its_queue() -> None:
    async def run() -> None:
        inner = Counting()
        inner.gate.clear()
        embedder = BatchingEmbedder(inner, Bounds(texts_max=1), workers=1, waiting_max=1)
        await embedder.start()
        first = asyncio.create_task(embedder.embed(["1"]))
        await inner.entered.wait()
        second = asyncio.create_task(embedder.embed(["2"]))
        await asyncio.sleep(0)
        with pytest.raises(UnavailableError, match="waiting"):
            await embedder.embed(["3"])
        query = asyncio.create_task(embedder.embed(["4"], QUERY))
        await asyncio.sleep(0)
        inner.gate.set()
        assert [await first, await second, await query] == [[[1.0]], [[2.0]], [[4.0]]]
        await embedder.stop()

    asyncio.run(run())


def test_many_texts_come_back_in_order_and_do_not_hold_up_others() -> None:
    async def run() -> None:
        inner = Counting()
        inner.gate.clear()
        embedder = BatchingEmbedder(inner)
        await embedder.start()
        many = [str(number) for number in range(400, 0, -1)]
        big = asyncio.create_task(embedder.embed(many))
        await inner.entered.wait()
        small = asyncio.create_task(embedder.embed(["7"]))
        inner.gate.set()
        assert await small == [[7.0]]
        assert not big.done()
        assert await big == [[float(text)] for text in many]
        assert await embedder.embed([]) == []
        await embedder.stop()

    asyncio.run(run())


def test_an_error_reaches_its_batch_only() -> None:
    async def run() -> None:
        embedder = BatchingEmbedder(Counting())
        await embedder.start()
        with pytest.raises(UnavailableError, match="nought"):
            await embedder.embed(["0"])
        with pytest.raises(UnavailableError, match="nought"):
            await embedder.embed(["0", "1"])
        assert await embedder.embed(["1"]) == [[1.0]]
        await embedder.stop()

    asyncio.run(run())


def test_a_text_that_is_refused_fails_its_own_caller_only() -> None:
    async def run() -> None:
        inner = Counting()
        inner.gate.clear()
        embedder = BatchingEmbedder(inner, workers=1)
        await embedder.start()
        first = asyncio.create_task(embedder.embed(["1"]))
        await inner.entered.wait()
        numbers = [*range(2, 14), -1, *range(14, 30)]
        calls = [asyncio.create_task(embedder.embed([str(number)])) for number in numbers]
        await asyncio.sleep(0)
        inner.gate.set()
        assert await first == [[1.0]]
        for number, answer in zip(numbers, await asyncio.gather(*calls, return_exceptions=True), strict=True):
            assert isinstance(answer, OutcomeError) if number == -1 else answer == [[float(number)]]
        assert len(inner.batches) <= 2 + 2 * 5  # halved until it is found
        await embedder.stop()

    asyncio.run(run())


def test_a_cancelled_call_is_left_out() -> None:
    async def run() -> None:
        inner = Counting()
        inner.gate.clear()
        embedder = BatchingEmbedder(inner, workers=1)
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


def test_a_full_queue_refuses_and_stop_finishes_the_queries_that_wait() -> None:
    async def run() -> None:
        inner = Counting()
        inner.gate.clear()
        embedder = BatchingEmbedder(inner, workers=1)
        with pytest.raises(UnavailableError, match="stopped"):
            await embedder.embed(["1"])
        await embedder.start()
        first = asyncio.create_task(embedder.embed(["1"]))
        await inner.entered.wait()
        waiting = [asyncio.create_task(embedder.embed(["2"], QUERY)) for _ in range(CALLS_WAITING_MAX)]
        entry = asyncio.create_task(embedder.embed(["5"]))
        await asyncio.sleep(0)
        with pytest.raises(UnavailableError, match="waiting"):
            await embedder.embed(["3"], QUERY)
        stopping = asyncio.create_task(embedder.stop())
        await asyncio.sleep(0)
        with pytest.raises(UnavailableError, match="stopped"):
            await embedder.embed(["4"])
        with pytest.raises(UnavailableError, match="stopped"):
            await entry
        inner.gate.set()
        await stopping
        assert first.done()
        assert await asyncio.gather(*waiting) == [[[2.0]]] * CALLS_WAITING_MAX
        await embedder.stop()

    asyncio.run(run())
