"""EmbeddingWorkers: a server that is away is passed over or named, and found again; what comes back is what was asked for."""

import asyncio
import math
from collections.abc import Awaitable, Callable

import pytest

from adapters.embedding_rpc import REQUEST_TEXTS_MAX, RemoteEmbeddings, serve_embeddings
from adapters.memory import MemoryBroker, MemoryRpc
from contracts.domains import Clearance
from contracts.embeddings import EmbedTexts, floats
from runtime.embedding_workers import EmbeddingWorkers, Source
from runtime.errors import InvalidError, OutcomeError, UnavailableError
from runtime.telemetry import NoTelemetry
from tests.embedders import WordHashes, hashed


def asked(model: str, *texts: str, dimensions: int | None = None) -> EmbedTexts:
    return EmbedTexts(model=model, texts=texts or ("a text",), clearance=Clearance.INTERNAL, dimensions=dimensions)


def hashes(source: Source) -> WordHashes:
    assert isinstance(source.embedder, WordHashes)
    return source.embedder


def run(body: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(body(), 20)

    asyncio.run(bounded())


def test_a_routed_request_goes_on_where_a_server_is_away_and_a_named_one_says_which() -> None:
    async def body() -> None:
        best, small = hashed("mxbai-embed-large", "far"), hashed("all-minilm")
        workers = EmbeddingWorkers([best, small], NoTelemetry())
        assert (await workers.embed(asked("diarchy-quality"))).model == "mxbai-embed-large"
        hashes(best).away = True
        assert (await workers.embed(asked("diarchy-quality"))).model == "all-minilm"
        tries = len(hashes(best).asked)
        assert (await workers.embed(asked("diarchy-quality"))).model == "all-minilm"
        assert len(hashes(best).asked) == tries  # known to be away, so not asked again
        with pytest.raises(UnavailableError, match=r"mxbai-embed-large.*far"):
            await workers.embed(asked("mxbai-embed-large"))
        with pytest.raises(UnavailableError):
            await workers.embed(asked("diarchy-quality", dimensions=1_024))

    run(body)


def test_a_server_that_is_away_is_asked_again_until_it_answers() -> None:
    async def body() -> None:
        source = hashed("bge-m3", "far")
        hashes(source).away = True
        workers = EmbeddingWorkers([source], NoTelemetry(), probe_s=0.001)
        with pytest.raises(UnavailableError):
            await workers.embed(asked("bge-m3"))
        await workers.start()
        hashes(source).answered.clear()
        hashes(source).away = False
        await hashes(source).answered.wait()
        assert (await workers.models())[0].available
        assert (await workers.embed(asked("bge-m3"))).dimensions == 1_024
        await workers.stop()
        await workers.stop()

    run(body)


def test_why_a_server_is_away_is_logged_once_and_said_with_the_name_of_its_model(
    caplog: pytest.LogCaptureFixture,
) -> None:
    size, key = "its server gives 8 numbers where 1,024 are expected", "its key is refused"

    def logged() -> list[str]:
        records = [*caplog.records]
        caplog.clear()
        return [record.getMessage() for record in records if record.name == "runtime.embedding_workers"]

    async def body() -> None:
        first, second = hashed("bge-m3", "one"), hashed("bge-m3", "two")
        hashes(first).error = UnavailableError("m:latest", size, told=size)
        hashes(second).error = UnavailableError("m:latest", key)
        broker = MemoryBroker()
        await serve_embeddings(MemoryRpc(broker), EmbeddingWorkers([first, second], NoTelemetry()))
        remote = RemoteEmbeddings(MemoryRpc(broker))
        hashes(first).away = hashes(second).away = True
        for reason in (key, f"one: {size}; two: {key}"):  # the last that was asked; then what is known of all
            with pytest.raises(UnavailableError) as away:
                await remote.embed(asked("bge-m3"))
            assert str(away.value) == f"bge-m3 is unavailable: {reason}"
        assert away.value.told == size
        await first.probe()
        assert (await remote.models())[0].reasons == (size, key)
        assert logged() == [f"embedding model bge-m3 on one: {size}", f"embedding model bge-m3 on two: {key}"]
        hashes(first).away = False
        await first.probe()
        await first.probe()
        assert logged() == ["embedding model bge-m3 on one: it answers again"]
        served = (await remote.models())[0]
        assert (served.available, served.reasons, served.told) == (True, ("", key), "")
        hashes(first).away, hashes(first).error = True, OutcomeError("it refuses the word")
        await first.probe()
        assert logged() == ["embedding model bge-m3 on one: it refuses the word"]

    run(body)


def test_equal_sources_stand_in_for_each_other() -> None:
    async def body() -> None:
        first, second = hashed("bge-m3", "one"), hashed("bge-m3", "two")
        workers = EmbeddingWorkers([first, second], NoTelemetry())
        hashes(first).away = True
        assert (await workers.embed(asked("bge-m3"))).model == "bge-m3"
        assert (await workers.models())[0].servers == ("one", "two")
        assert (await workers.models())[0].available

    run(body)


def test_shorter_vectors_are_unit_vectors_of_the_models_that_allow_them() -> None:
    async def body() -> None:
        workers = EmbeddingWorkers([hashed("mxbai-embed-large"), hashed("all-minilm")], NoTelemetry())
        texts = [" ".join(f"word{number}" for number in range(200)), "one " * 3 + "two three four five six seven"]
        short = await workers.embed(asked("mxbai-embed-large", *texts, dimensions=512))
        whole = await workers.embed(asked("mxbai-embed-large", *texts))
        for index in range(2):
            cut, vector = floats(short.vector(index)), floats(whole.vector(index))
            assert math.fsum(number * number for number in cut) == pytest.approx(1, abs=1e-5)
            scale = cut[0] / vector[0] if vector[0] else 0
            if scale:
                assert list(cut) == pytest.approx([number * scale for number in vector[:512]], abs=1e-5)
        with pytest.raises(InvalidError, match="384") as refused:
            await workers.embed(asked("all-minilm", dimensions=256))
        assert refused.value.field == "dimensions"

    run(body)


def test_over_request_and_reply_many_texts_keep_their_order_and_their_one_model() -> None:
    async def body() -> None:
        best, small = hashed("mxbai-embed-large"), hashed("all-minilm")
        broker = MemoryBroker()
        await serve_embeddings(MemoryRpc(broker), EmbeddingWorkers([best, small], NoTelemetry()))
        remote = RemoteEmbeddings(MemoryRpc(broker))
        texts = [f"text {number} " * (number % 7 + 1) for number in range(2 * REQUEST_TEXTS_MAX + 3)]
        found = await remote.embed(asked("diarchy-latency", *texts))
        assert (found.model, found.dimensions) == ("all-minilm", 384)
        for number in (0, 1, 6, len(texts) - 1):
            alone = await remote.embed(asked("all-minilm", texts[number]))
            assert found.vector(number) == alone.vector(0)
            assert found.tokens[number] == alone.tokens[0]
        assert {one.model.name: one.available for one in await remote.models()} == {
            "mxbai-embed-large": True,
            "all-minilm": True,
        }
        with pytest.raises(InvalidError) as refused:
            await remote.embed(asked("ada"))
        assert refused.value.field == "model"

    run(body)
