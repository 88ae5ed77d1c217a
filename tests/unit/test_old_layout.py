"""An index of the layout before this one, on its disk: it serves, and changes, until it has been built anew."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from actors.findable import changes
from adapters import vector_payload, words
from adapters.vector_payload import PARTITIONS
from adapters.vector_shelf import FolderNotes, NotedShelf
from contracts.domains import Clearance
from contracts.embeddings import EmbeddingModel
from contracts.retrieval import Query
from contracts.vectors import Generation, Spec
from deploy.settings import load
from deploy.vector_index import Opener
from runtime.embedding_workers import Source
from runtime.errors import InvalidError
from runtime.generations import Generations
from runtime.telemetry import NoTelemetry
from runtime.vector_ports import Item
from tests.indexing import Counting, Logs, built, running, until

WORDS = "amber basalt cobalt"


def now() -> datetime:
    return datetime.now(UTC)


def opener_of(folder: Path, embedder: Counting) -> Opener:
    model = EmbeddingModel(name="one", dimensions=Counting.dimensions, context_tokens=256, latency="low", quality=1)
    settings = load(environment={}, data=str(folder))
    return Opener(settings, NoTelemetry(), Source("own", model, embedder), (), lambda: None)


def owner_of(logs: Logs, folder: Path, embedder: Counting) -> Generations:
    """As the role makes it: in this folder, with the layout of today."""
    opener = opener_of(folder, embedder)
    shelf = NotedShelf(FolderNotes(folder / "vectors"), opener.open, opener.drop)
    return Generations(logs.log, changes, shelf, opener.wanted, PARTITIONS, telemetry=NoTelemetry(), clock=now)


def layout_3(item: Item) -> words.Sparse:
    """The whole text as one, the words by all bits of their hash."""
    vector = words._model.embed_document("\n".join((item.entry.title, item.entry.title, item.entry.text)))
    return words.Sparse(vector.indices, vector.values)


async def found(owner: Generations) -> list[tuple[str, bool]]:
    """The titles that are found, and whether by words, too."""
    query = Query(partitions=PARTITIONS, text=WORDS, clearance=Clearance.PUBLIC, now=datetime.now(UTC))
    return sorted((hit.entry.title, hit.relevance > hit.score + 0.1) for hit in await owner.search(query))


def test_what_was_stored_in_the_layout_before_is_found_until_it_is_built_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body() -> None:
        logs, embedder = Logs(), Counting("one")
        ids = [await logs.add(title) for title in (WORDS, "other")]
        with monkeypatch.context() as before:
            before.setattr(vector_payload, "SCHEMA", 3)
            before.setattr(words, "of_item", layout_3)
            async with running(owner_of(logs, tmp_path, embedder)) as owner:

                async def complete(owner: Generations = owner) -> bool:
                    return (await owner.status()).last is not None

                await until(complete)  # A start does not wait for a slow disk without end.
        embedder.begun.clear()
        embedder.go_on.clear()
        async with running(owner_of(logs, tmp_path, embedder)) as owner:
            await embedder.begun.wait()
            assert await found(owner) == [(WORDS, True), ("other", False)]
            await logs.delete(ids[1])
            await owner.remove("ceo_knowledge", [ids[1]])
            assert await found(owner) == [(WORDS, True)]
            building = (await owner.status()).building
            assert building is not None
            embedder.go_on.set()
            await built(owner, building.generation)
            assert await found(owner) == [(WORDS, True)]
            states = [(one.spec.schema, one.state) for one in (await owner.status()).generations]
            assert states == [(3, "kept"), (vector_payload.SCHEMA, "serving")]

    asyncio.run(asyncio.wait_for(body(), 60))


@pytest.mark.parametrize("schema", [vector_payload.SEARCHED_FROM - 1, vector_payload.SCHEMA + 1])
def test_a_layout_that_cannot_be_searched_is_not_opened(tmp_path: Path, schema: int) -> None:
    spec = Spec("one", Counting.dimensions, schema)
    other = Generation(name="g", spec=spec, state="serving", partitions=PARTITIONS, began=datetime.now(UTC))
    with pytest.raises(InvalidError, match=f"its layout is {schema}, that of this version {vector_payload.SCHEMA}"):
        asyncio.run(opener_of(tmp_path, Counting("one")).open(other))
