"""MergedEmbeddings: texts that are asked for at the same time travel together, and nobody can tell by what he gets."""

import asyncio
from array import array
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.otel import OtelTelemetry
from adapters.span_store import MemorySpanStore
from contracts.domains import Clearance
from contracts.embeddings import Embedded, EmbedTexts, ServedModel, floats, packed
from contracts.ids import new_id
from contracts.trace import SpanRecord
from runtime.errors import InvalidError, OutcomeError, UnavailableError
from runtime.merged_embeddings import CHARS_MAX, TEXTS_MAX, UNDER_WAY_MAX, MergedEmbeddings
from runtime.telemetry import SPAN_TEXTS, NoTelemetry

LONG_S = 1_000.0
"""A patience that no test outlives."""


class Numbers:
    """An Embeddings whose vectors are the texts as numbers; while `gate` is closed it waits. It fails with `errors` by text."""

    def __init__(self, errors: dict[str, Exception] | None = None) -> None:
        self.requests: list[EmbedTexts] = []
        self.errors = errors or {}
        self.entered = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def models(self) -> list[ServedModel]:
        return []

    async def embed(self, request: EmbedTexts) -> Embedded:
        self.requests.append(request)
        self.entered.set()
        await self.gate.wait()
        for text in request.texts:
            if text in self.errors:
                raise self.errors[text]
        numbers = packed(array("f", map(float, request.texts)))
        return Embedded(model=request.model, dimensions=1, vectors=numbers, tokens=tuple(map(len, request.texts)))

    @property
    def sizes(self) -> list[int]:
        return [len(request.texts) for request in self.requests]


def asked(
    text: str, model: str = "m", clearance: Clearance = Clearance.INTERNAL, size: int | None = None
) -> EmbedTexts:
    return EmbedTexts(model=model, texts=(text,), clearance=clearance, dimensions=size)


def run(body: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(body(), 20)

    asyncio.run(bounded())


async def held(merged: MergedEmbeddings, inner: Numbers, *texts: str) -> list[asyncio.Task[Embedded]]:
    """The texts asked for while as many requests are under way as leave unasked, so that they wait; those asked first, too."""
    inner.gate.clear()
    tasks = [asyncio.create_task(merged.embed(asked(text))) for text in (*["0"] * UNDER_WAY_MAX, *texts)]
    while len(inner.requests) < UNDER_WAY_MAX:
        inner.entered.clear()
        await inner.entered.wait()
    return tasks


def test_who_is_alone_does_not_wait_and_those_who_come_meanwhile_go_together() -> None:
    async def body() -> None:
        inner = Numbers()
        merged = MergedEmbeddings(inner, NoTelemetry(), patience_s=0)
        assert floats((await merged.embed(asked("7"))).vectors).tolist() == [7]
        tasks = await held(merged, inner, "1", "22", "333")
        inner.gate.set()
        found = await asyncio.gather(*tasks)
        assert [floats(one.vectors).tolist() for one in found[UNDER_WAY_MAX:]] == [[1], [22], [333]]
        assert [one.tokens for one in found[UNDER_WAY_MAX:]] == [(1,), (2,), (3,)]
        assert inner.sizes == [1, *[1] * UNDER_WAY_MAX, 3]
        await merged.stop()

    run(body)


def test_a_full_request_does_not_wait() -> None:
    async def body() -> None:
        inner = Numbers()
        merged = MergedEmbeddings(inner, NoTelemetry())
        tasks = await held(merged, inner, *["1"] * TEXTS_MAX, *["2" * 600] * 3)
        while len(inner.requests) < UNDER_WAY_MAX + 2:
            inner.entered.clear()
            await inner.entered.wait()
        assert inner.sizes == [*[1] * UNDER_WAY_MAX, TEXTS_MAX, CHARS_MAX // 600]
        inner.gate.set()
        await asyncio.gather(*tasks)
        await merged.stop()

    run(body)


def test_many_who_ask_again_and_again_are_divided_among_the_requests() -> None:
    async def body() -> None:
        inner = Numbers()
        merged = MergedEmbeddings(inner, NoTelemetry(), patience_s=LONG_S)
        done = asyncio.Event()

        async def client(number: int) -> None:
            while len(inner.requests) < 30:
                await merged.embed(asked(str(number)))
            done.set()

        clients = [asyncio.create_task(client(number)) for number in range(10 * UNDER_WAY_MAX)]
        await done.wait()
        for task in clients:
            task.cancel()
        assert inner.sizes[:UNDER_WAY_MAX] == [1] * UNDER_WAY_MAX
        assert inner.sizes[3 * UNDER_WAY_MAX :] == [10] * len(inner.sizes[3 * UNDER_WAY_MAX :])
        await merged.stop()

    run(body)


def test_one_of_them_who_comes_back_alone_is_not_left_waiting() -> None:
    async def body() -> None:
        inner = Numbers()
        merged = MergedEmbeddings(inner, NoTelemetry(), patience_s=0.001)
        tasks = await held(merged, inner, "1", "2", "3")
        inner.gate.set()
        await asyncio.gather(*tasks)
        await merged.embed(asked("4"))
        assert inner.sizes[-2:] == [3, 1]
        await merged.stop()

    run(body)


KINDS = st.tuples(
    st.sampled_from(["one", "other", "auto"]),
    st.sampled_from([Clearance.PUBLIC, Clearance.TOP_SECRET]),
    st.sampled_from([None, 1]),
)


@settings(deadline=None)
@given(st.lists(st.tuples(KINDS, st.integers(0, 2**20), st.integers(0, 3)), max_size=60))
def test_everybody_gets_his_own_and_no_request_mixes_clearances(
    calls: list[tuple[tuple[str, Clearance, int | None], int, int]],
) -> None:
    async def body() -> None:
        inner = Numbers()
        merged = MergedEmbeddings(inner, NoTelemetry(), patience_s=0)

        async def call(kind: tuple[str, Clearance, int | None], number: int, turns: int) -> None:
            for _ in range(turns):
                await asyncio.sleep(0)
            model, clearance, size = kind
            found = await merged.embed(asked(f"{number:0100d}", model, clearance, size))
            assert (found.model, floats(found.vectors).tolist()) == (model, [number])

        await asyncio.gather(*(call(*one) for one in calls))
        sent = [(one.model, one.clearance, one.dimensions, text) for one in inner.requests for text in one.texts]
        assert sorted(map(repr, sent)) == sorted(repr((*kind, f"{number:0100d}")) for kind, number, _ in calls)
        for one in inner.requests:
            assert len(one.texts) <= TEXTS_MAX
            assert sum(map(len, one.texts)) <= CHARS_MAX
            assert len(one.texts) == 1 or one.model != "auto"
        await merged.stop()

    run(body)


def test_what_is_wrong_with_one_text_is_for_its_caller_alone() -> None:
    async def body() -> None:
        inner = Numbers({"2": OutcomeError("refused")})
        merged = MergedEmbeddings(inner, NoTelemetry())
        tasks = await held(merged, inner, "1", "2", "3")
        inner.gate.set()
        one, two, three = await asyncio.gather(*tasks[UNDER_WAY_MAX:], return_exceptions=True)
        assert isinstance(two, OutcomeError)
        assert isinstance(one, Embedded)
        assert isinstance(three, Embedded)
        assert (floats(one.vectors).tolist(), floats(three.vectors).tolist()) == ([1], [3])
        await merged.stop()

    run(body)


@pytest.mark.parametrize("error", [UnavailableError("m", "away", 1), InvalidError("there is no m", "model")])
def test_what_is_true_for_all_is_not_asked_again(error: Exception) -> None:
    async def body() -> None:
        inner = Numbers({"2": error})
        merged = MergedEmbeddings(inner, NoTelemetry())
        tasks = await held(merged, inner, "1", "2", "3")
        inner.gate.set()
        ended = await asyncio.gather(*tasks[UNDER_WAY_MAX:], return_exceptions=True)
        assert ended == [error] * 3
        assert inner.sizes == [*[1] * UNDER_WAY_MAX, 3]
        await merged.stop()

    run(body)


def test_who_gives_up_is_left_out_and_disturbs_nobody() -> None:
    async def body() -> None:
        inner = Numbers()
        merged = MergedEmbeddings(inner, NoTelemetry(), patience_s=0)
        *first, waiting, kept = await held(merged, inner, "1", "2")
        first[0].cancel()
        waiting.cancel()
        inner.gate.set()
        assert floats((await kept).vectors).tolist() == [2]
        await first[1]
        assert [request.texts for request in inner.requests[UNDER_WAY_MAX:]] == [("2",)]
        both = [asyncio.create_task(merged.embed(asked("3"))) for _ in range(2)]
        await asyncio.sleep(0)
        for task in both:
            task.cancel()
        assert floats((await merged.embed(asked("4"))).vectors).tolist() == [4]
        await merged.stop()

    run(body)


def test_several_texts_and_long_ones_go_by_themselves() -> None:
    async def body() -> None:
        inner = Numbers()
        merged = MergedEmbeddings(inner, NoTelemetry())
        tasks = await held(merged, inner)
        several = EmbedTexts(model="m", texts=("1", "2"), clearance=Clearance.PUBLIC)
        long = asked("1" * (CHARS_MAX // 2 + 1))
        tasks += [asyncio.create_task(merged.embed(one)) for one in (several, long)]
        while len(inner.requests) < UNDER_WAY_MAX + 2:
            inner.entered.clear()
            await inner.entered.wait()
        assert inner.requests[UNDER_WAY_MAX:] == [several, long]
        inner.gate.set()
        await asyncio.gather(*tasks)
        await merged.stop()

    run(body)


def test_nothing_is_kept_of_kinds_that_nobody_asks_for() -> None:
    async def body() -> None:
        merged = MergedEmbeddings(Numbers(), NoTelemetry(), patience_s=0)
        await asyncio.gather(*(merged.embed(asked("1", f"model {number}")) for number in range(50)))
        while merged._lines:  # noqa: ASYNC110 - only the loop's clock ends it
            await asyncio.sleep(0)
        assert not merged._asking
        await merged.stop()

    run(body)


def test_stop_tells_whoever_waits() -> None:
    async def body() -> None:
        inner = Numbers()
        merged = MergedEmbeddings(inner, NoTelemetry())
        tasks = await held(merged, inner, "1", "2")
        await merged.stop()
        ended = await asyncio.gather(*tasks, merged.embed(asked("3")), return_exceptions=True)
        assert all(isinstance(one, UnavailableError) for one in ended)
        await merged.stop()

    run(body)


def test_a_trace_says_in_which_run_a_text_was_embedded_with_others() -> None:
    async def body() -> None:
        inner, store = Numbers(), MemorySpanStore()
        telemetry = OtelTelemetry("test", store=store)
        await telemetry.start()
        merged = MergedEmbeddings(inner, telemetry)
        runs = [new_id() for _ in range(UNDER_WAY_MAX + 2)]

        async def call(run: str) -> None:
            with telemetry.span("request", run=run):
                await merged.embed(asked("1"))

        inner.gate.clear()
        tasks = [asyncio.create_task(call(run)) for run in runs]
        await inner.entered.wait()
        inner.gate.set()
        await asyncio.gather(*tasks)
        await merged.stop()
        await telemetry.stop()

        async def spans(run: str) -> dict[str, SpanRecord]:
            return {span.name: span for span in await store.trace(run.replace("-", ""))}

        assert "together_in" not in (await spans(runs[0]))["request"].attributes
        one, other = [str((await spans(run))["request"].attributes["together_in"]) for run in runs[UNDER_WAY_MAX:]]
        assert one == other
        assert (await spans(one))[SPAN_TEXTS].attributes == {"texts": 2}

    run(body)
