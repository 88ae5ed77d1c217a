"""What health says of the vector index and of providers of models: the truth of every process that it asks, over the broker."""

import pytest

from adapters.embedding_rpc import serve_embeddings
from adapters.provider_chain import ProviderChain
from adapters.provider_health import HealthChecks
from adapters.vector_admin import serve_vectors
from adapters.vector_shelf import MemoryShelf
from contracts.domains import Domain
from deploy.health_checks import ASKING, embedding_server, provider, vectors
from runtime.embedding_workers import EmbeddingWorkers
from runtime.errors import OutcomeError, UnavailableError
from runtime.model_ports import Call
from runtime.telemetry import NoTelemetry
from tests.contract.conftest import Run, World
from tests.embedders import WordHashes, hashed
from tests.indexing import Counting, Logs, built, generations, running, spec, until
from tests.model_server import ModelServer
from tests.providers import ASKED, Setting, over


def test_health_asks_every_workers_circuits(run: Run, servers: list[ModelServer]) -> None:
    async def scenario(world: World) -> None:
        chains: dict[Domain, ProviderChain] = {}

        async def body(setting: Setting) -> None:
            for domain in ASKING:
                chains[domain] = setting.chain("a", "b")
                await HealthChecks(chains[domain].members, NoTelemetry()).serve(world.rpc(None), domain)
            rpc = world.rpc(None)
            for name in "ab":
                assert await provider(rpc, name)() == "healthy, circuit closed"
            for domain in ASKING:  # One worker after the other finds it away, and only that one knows.
                servers[0].options.failures = [(503, {}, "down")] * 5
                for number in range(5):
                    await chains[domain].chat(ASKED, Call(f"{domain.value} {number}"))
                with pytest.raises(UnavailableError, match="circuit open") as away:
                    await provider(rpc, "a")()
                why = "its last calls failed, so it is left alone for a while, circuit open"
                assert str(away.value) == f"a for {domain.value} is unavailable: {why}"
                assert await provider(rpc, "b")() == "healthy, circuit closed"
                setting.now += 60
                for number in range(3):
                    await chains[domain].chat(ASKED, Call(f"{domain.value} again {number}"))
                assert await provider(rpc, "a")() == "healthy, circuit closed"
            with pytest.raises(UnavailableError, match="was started without it"):
                await provider(rpc, "c")()

        await over(servers, body)

    run(scenario)


def test_a_key_that_calls_are_refused_for_is_told_of_where_the_list_of_models_is_open(
    run: Run, servers: list[ModelServer]
) -> None:
    async def scenario(world: World) -> None:
        async def body(setting: Setting) -> None:
            checks: list[HealthChecks] = []
            chains = [setting.chain("a") for _ in ASKING]
            for domain, chain in zip(ASKING, chains, strict=True):
                checks.append(HealthChecks(chain.members, NoTelemetry()))
                await checks[-1].serve(world.rpc(None), domain)
            servers[0].options.failures = [(401, {}, "no such key")]
            with pytest.raises(OutcomeError):
                await chains[0].chat(ASKED, Call("one"))
            for _ in range(2):
                with pytest.raises(UnavailableError, match="the key of its last call was refused: check its api_key"):
                    await provider(world.rpc(None), "a")()
                for check in checks:
                    await check.check()
            await chains[0].chat(ASKED, Call("two"))
            assert await provider(world.rpc(None), "a")() == "healthy, circuit closed"

        await over(servers, body)

    run(scenario)


def test_a_worker_that_does_not_answer_is_told_of(run: Run, servers: list[ModelServer]) -> None:
    async def scenario(world: World) -> None:
        async def body(setting: Setting) -> None:
            for domain in ASKING[:-1]:
                await HealthChecks(setting.chain("a").members, NoTelemetry()).serve(world.rpc(None), domain)
            with pytest.raises(UnavailableError, match=ASKING[-1].value):
                await provider(world.rpc(None), "a")()

        await over(servers, body)

    run(scenario)


def test_each_embedding_server_is_told_of_with_what_it_is_asked_for(run: Run) -> None:
    async def scenario(world: World) -> None:
        rpc, size = world.rpc(None), "its server gives 8 numbers where 1,024 are expected"
        near, far, other = hashed("bge-m3", "near"), hashed("bge-m3", "far"), hashed("all-minilm", "far")
        await serve_embeddings(rpc, EmbeddingWorkers([near, far, other], NoTelemetry()))
        assert await embedding_server(rpc, "near")() == "answers for bge-m3"
        assert await embedding_server(rpc, "far")() == "answers for bge-m3, all-minilm"
        assert isinstance(far.embedder, WordHashes)
        far.embedder.away, far.embedder.error = True, UnavailableError("m:latest", size)
        await far.probe()
        with pytest.raises(UnavailableError) as away:
            await embedding_server(rpc, "far")()
        assert str(away.value) == f"far is unavailable: bge-m3: {size}"
        assert await embedding_server(rpc, "near")() == "answers for bge-m3"
        far.embedder.away = False
        await far.probe()
        assert await embedding_server(rpc, "far")() == "answers for bge-m3, all-minilm"
        with pytest.raises(UnavailableError, match="was started without it"):
            await embedding_server(rpc, "nowhere")()

    run(scenario)


@pytest.mark.parametrize("error", [UnavailableError("model", "no answer"), OutcomeError("no such model")])
def test_a_build_that_does_not_succeed_is_told_of_while_the_old_index_answers(run: Run, error: Exception) -> None:
    async def scenario(world: World) -> None:
        logs, rpc = Logs(), world.rpc(None)
        await logs.add("an item")
        new = Counting("two")
        shelf = MemoryShelf(Counting("one"), new)
        async with running(generations(logs, shelf)):
            pass
        new.entries_max, new.error = 0, error
        async with running(generations(logs, shelf, spec("two"))) as owner:
            await serve_vectors(rpc, owner)

            async def troubled() -> bool:
                return bool((await owner.status()).trouble)

            await until(troubled)
            with pytest.raises(UnavailableError, match=rf"{error}.*1 entries with one"):
                await vectors(rpc)()
            new.entries_max = 100
            name = (await owner.status()).generations[-1].name
            await built(owner, name)
            assert await vectors(rpc)() == "1 entries with two"

    run(scenario)
