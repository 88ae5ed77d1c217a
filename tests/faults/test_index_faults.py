"""Kill -9 in the middle of an import and of a rebuild: nothing is lost or doubled, and the index agrees with the logs."""

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from adapters.jetstream_log import JetStreamLog
from adapters.jetstream_rpc import NatsRpc
from adapters.vector_admin import RemoteVectors
from contracts.catalogue import tag
from contracts.domains import Clearance, Domain
from contracts.kernel import EffectRecorded
from contracts.knowledge import KnowledgeAdded
from deploy.embedded.supervisor import Supervisor, standard_roles
from deploy.settings import load
from deploy.stack import broker, prepared, url_of
from runtime.errors import UnavailableError
from runtime.rebuild import between
from tests.data import shared_data
from tests.faults.test_supervisor import Watcher
from tests.model_server import ModelServer, Options
from tests.stack import MODELS, ROOT, UNCOUNTED, Stack, ok

DOCUMENTS = 80
KILLED_AT = (8, 25, 50)
"""After so many documents were indexed."""


class Killing:
    """A running stack of the standard roles, one of which is killed now and then."""

    def __init__(self, supervisor: Supervisor, watcher: Watcher, role: str) -> None:
        self.supervisor = supervisor
        self._watcher = watcher
        self._role = role
        self._deaths = 0

    async def kill(self) -> None:
        """Kill -9, and return when the role is ready again."""
        pid = self.supervisor.pid(self._role)
        assert pid is not None
        self._deaths += 1
        os.kill(pid, signal.SIGKILL)
        await self._watcher.times(self._role, "ready", self._deaths + 1)


@asynccontextmanager
async def killing(folder: Path, role: str) -> AsyncIterator[Killing]:
    watcher = Watcher()
    settings = load(environment={"DIARCHY_MODELS": str(MODELS), **UNCOUNTED}, data=str(folder))
    supervisor = Supervisor(prepared(settings, 0), standard_roles(), on_state=watcher, healthy_s=0)
    await supervisor.start()
    try:
        async with broker(supervisor.settings) as connection:
            # On a busy machine the first index is there a little after the roles are.
            await until_model(RemoteVectors(NatsRpc(connection)), "all-minilm")
        yield Killing(supervisor, watcher, role)
    finally:
        await supervisor.stop()


async def diarchy(folder: Path, *words: str) -> Any:
    """What a command prints as JSON; it has to succeed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deploy", *words, "--data", str(folder), "--json"),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, errors = await process.communicate()
    assert process.returncode == 0, f"{' '.join(words)}: {errors.decode()[-2_000:]}{said.decode()[-2_000:]}"
    return json.loads(said)


def some_documents(folder: Path) -> Path:
    """The beginning of CISI; the copy is what is imported."""
    path = folder / "documents.jsonl"
    lines = shared_data("cisi-documents.jsonl").read_text().splitlines()[:DOCUMENTS]
    path.write_text("\n".join(lines))
    return path


async def indexed(log: JetStreamLog) -> AsyncGenerator[int, None]:
    """How many documents were indexed, told whenever there are more."""
    number = 0
    async with aclosing(log.follow(Domain.CEO, ("run",), after=0)) as batches:
        async for batch in batches:
            effects = [msgspec.json.decode(one.record.body, type=EffectRecorded).name for one in batch]
            number += effects.count("index")
            yield number


async def added(log: JetStreamLog) -> Counter[str]:
    """How often each document was added, by its title, as the log has it."""
    found: Counter[str] = Counter()
    async with aclosing(between(log, Domain.CEO, 0, await log.last(Domain.CEO))) as batches:
        async for batch in batches:
            for one in batch:
                if one.record.envelope.type == tag(KnowledgeAdded):
                    event = msgspec.json.decode(one.record.body, type=KnowledgeAdded)
                    found[f"{event.knowledge.source} {event.knowledge.title}"] += 1
    return found


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 240))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("role", ["embedding", "ceo"])
def test_an_import_survives_kill_9(role: str, data_folder: Path, tmp_path: Path) -> None:
    documents = some_documents(tmp_path)

    async def scenario() -> None:
        async with killing(data_folder, role) as stack, broker(stack.supervisor.settings) as connection:
            log = JetStreamLog(connection)
            importing = asyncio.create_task(
                diarchy(data_folder, "import", str(documents), "--partition", "research_data")
            )
            kills = list(KILLED_AT)
            async with aclosing(indexed(log)) as numbers:
                async for number in numbers:
                    if number >= kills[0]:
                        await stack.kill()
                        kills.pop(0)
                    if not kills:
                        break
            imported = await importing
            assert (imported["documents"], imported["failed"]) == (DOCUMENTS, 0)
            times = await added(log)
            assert set(times.values()) == {1}
            assert len(times) == DOCUMENTS
            checked = await diarchy(data_folder, "vectors", "check")
            assert checked["differences"] == []
            assert checked["entries"] == DOCUMENTS
            assert (await diarchy(data_folder, "vectors", "status"))["counts"]["research_data"] == DOCUMENTS
            again = await diarchy(data_folder, "import", str(documents), "--partition", "research_data")
            # Nothing is left to be done, nothing is done twice, and the read model has each document once.
            assert (again["documents"], again["unchanged"], again["gone"]) == (0, DOCUMENTS, 0)
            assert len(await added(log)) == DOCUMENTS

    run(scenario)


@pytest.mark.timeout(300)
def test_a_rebuild_survives_kill_9_and_searches_go_on(data_folder: Path, tmp_path: Path) -> None:
    """Begun with the vectors of a version without generations, which are replaced; killed while it embeds, twice."""
    documents = some_documents(tmp_path)
    (data_folder / "vectors" / "research_data").mkdir(parents=True)

    async def scenario() -> None:
        async with killing(data_folder, "embedding") as stack, broker(stack.supervisor.settings) as connection:
            owner = RemoteVectors(NatsRpc(connection))
            assert not (data_folder / "vectors" / "research_data").exists()
            await diarchy(data_folder, "import", str(documents), "--partition", "research_data")
            first = (await owner.status()).generations[-1].name
            second = await owner.rebuild()
            await until_embedding(owner)
            with client(stack.supervisor) as http:
                for _ in range(2):
                    await stack.kill()
                    search = {"query": "libraries", "partitions": ["research_data"], "limit": 10}
                    found = ok(await asyncio.to_thread(http.post, "/v1/knowledge/search", json=search))
                    assert len(found["hits"]) == 10
            await until_serving(owner, second)
            states = [(one.name, one.state) for one in (await owner.status()).generations]
            assert states == [(first, "kept"), (second, "serving")]
            assert (await diarchy(data_folder, "vectors", "check"))["differences"] == []

    run(scenario)


@pytest.mark.timeout(300)
def test_another_model_is_taken_up_while_the_old_one_answers_and_given_up_again(
    data_folder: Path, tmp_path: Path
) -> None:
    """The built-in model, then one of a server, then the built-in one again, whose generation is still there."""
    documents, go_on = some_documents(tmp_path), tmp_path / "go on"

    async def indexed_with(stack: Stack, model: str, times: int) -> None:
        """Until so many generations of the model serve or are kept; then the index is whole."""
        async with broker(stack.settings) as connection:
            await until_model(RemoteVectors(NatsRpc(connection)), model)
        assert found(stack) == 10
        assert (await diarchy(data_folder, "vectors", "check"))["differences"] == []
        status = await diarchy(data_folder, "vectors", "status")
        assert status["counts"]["research_data"] == DOCUMENTS
        assert [one["spec"]["model"] for one in status["generations"]].count(model) == times

    with running(data_folder) as stack:
        asyncio.run(diarchy(data_folder, "import", str(documents), "--partition", "research_data"))
        asyncio.run(indexed_with(stack, "all-minilm", 1))
    with ModelServer(Options(hold=2, release=go_on)) as server:
        other = {
            "DIARCHY_EMBEDDING_PROVIDER": "openai",
            "DIARCHY_EMBEDDING_URL": server.url,
            "DIARCHY_EMBEDDING_MODEL": "words",
            "DIARCHY_EMBEDDING_DIMENSIONS": "384",
        }
        with running(data_folder, **other) as stack:
            assert server.hanging.wait(60)
            assert found(stack) == 10  # By the old model: the new one is held up.
            with stack.client() as http:
                health = ok(http.get("/health/detailed"))["checks"]
            (said,) = [one["detail"] for one in health if one["name"] == "vectors"]
            assert f"{DOCUMENTS} entries with all-minilm; generation" in said
            assert "is being built with words" in said
            go_on.touch()
            asyncio.run(indexed_with(stack, "words", 1))
    with running(data_folder) as stack:
        asyncio.run(indexed_with(stack, "all-minilm", 1))


@contextmanager
def running(folder: Path, **environment: str) -> Iterator[Stack]:
    stack = Stack(folder, **environment)
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()


def found(stack: Stack) -> int:
    """How many hits a search has."""
    with stack.client() as http:
        search = {"query": "the catalogue of a library", "partitions": ["research_data"], "limit": 10}
        return len(ok(http.post("/v1/knowledge/search", json=search))["hits"])


async def until_model(owner: RemoteVectors, model: str) -> None:
    """Wait until all that serves was embedded with the model."""
    while True:
        status = await owner.status()
        serving = {one.spec.model for one in status.generations if one.state == "serving"}
        if serving == {model} and status.building is None:
            return


def client(supervisor: Supervisor) -> httpx.Client:
    stack = Stack(supervisor.settings.folder)
    token = stack.token("ann", "admin", clearance=Clearance.TOP_SECRET)
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.Client(base_url=url_of(supervisor.settings), headers=headers, timeout=30)


async def until_embedding(owner: RemoteVectors) -> None:
    while True:
        building = (await owner.status()).building
        if building is not None and building.stage == "embedding" and building.done:
            return


async def until_serving(owner: RemoteVectors, generation: str) -> None:
    while True:
        try:
            status = await owner.status()
        except UnavailableError:
            continue  # The request itself is the wait.
        if status.building is None and status.generations[-1].name == generation:
            return
