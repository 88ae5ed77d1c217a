"""The index's embedding server answers badly for a while: what was accepted meanwhile is found once it is well again."""

import pytest

from adapters.memory_vectors import MemoryVectors
from adapters.openai_embeddings import OpenAiEmbedder
from adapters.retrieval import LocalRetrieval
from runtime.telemetry import NoTelemetry
from tests.gateway_world import LIMITS, World, run
from tests.indexing import until
from tests.model_answers import DIMENSIONS
from tests.model_server import ModelServer

SAID = {"title": "Pricing", "content": "first", "category": "strategic_planning", "confidentiality": "internal"}
Answer = tuple[int, dict[str, str], str]
REFUSED: Answer = (401, {}, '{"error": {"message": "no such key: secret"}}')
PAGE: Answer = (200, {"Content-Type": "text/html"}, "<html>Log in first</html>")
OTHER_MODEL: Answer = (200, {}, '{"data": [{"index": 0, "embedding": [0.6, 0.8]}]}')


async def asked(server: ModelServer, more: int) -> None:
    """Wait until the server was asked so much more often."""
    wanted = len(server.calls) + more

    async def was() -> bool:
        return len(server.calls) >= wanted

    await until(was)


@pytest.mark.parametrize("outage", [[REFUSED], [PAGE], [REFUSED, PAGE], [OTHER_MODEL]])
def test_what_is_added_and_updated_while_the_embedding_server_is_unwell_is_found_afterwards(
    outage: list[Answer | None],
) -> None:
    async def body() -> None:
        with ModelServer() as server:
            embedder = OpenAiEmbedder(server.url, "secret", "m", DIMENSIONS)
            retrieval = LocalRetrieval(embedder, MemoryVectors(DIMENSIONS), NoTelemetry())
            async with World(retrieval=retrieval) as world, world.client("cross_domain_user") as ann:
                titles = ("Pricing", "Hiring")
                server.options.failures = outage * 1_000
                paths = []
                for title in titles:
                    made = await ann.post("/v1/knowledge", json={**SAID, "title": title})
                    assert made.status_code == 201, made.text
                    paths.append(made.headers["Location"])
                changed = await ann.put(paths[0], json={**SAID, "content": "second"})
                assert changed.status_code == 200, changed.text
                await asked(server, 5 * LIMITS.attempts_max * len(titles))
                found = await ann.post("/v1/knowledge/search", json={"query": "Pricing"})
                assert (found.status_code, "Retry-After" in found.headers) == (503, True), found.text
                assert "key" not in found.text
                server.options.failures = []
                contents: dict[str, str] = {}
                while contents != {"Pricing": "second", "Hiring": "first"}:
                    found = await ann.post("/v1/knowledge/search", json={"query": "Pricing Hiring"})
                    known = [hit["knowledge"] for hit in found.json()["hits"]]
                    contents = {one["title"]: one["content"] for one in known}
                async with world.client("admin", name="eve") as eve:
                    assert (await eve.get("/v1/dead-letters")).json()["letters"] == []
            await embedder.close()

    run(body)
