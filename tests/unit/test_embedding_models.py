"""Which embedding models the settings make, what the index uses of them, and which settings are refused."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from adapters import vector_payload
from contracts.vectors import Generation, Spec
from deploy.embedding_models import embedding_sources
from deploy.settings import Settings, SettingsError, load
from deploy.vector_index import Opener
from runtime.cached_embedder import CachedEmbedder
from runtime.caching import Cache
from runtime.errors import InvalidError
from runtime.telemetry import NoTelemetry

NEAR = {
    "name": "near",
    "base_url": "http://127.0.0.1:1/v1",
    "models": [{"name": "bge-m3"}, {"name": "house", "dimensions": 512, "served_as": "house:latest", "quality": 9}],
}
OWN = {"provider": "openai", "url": "http://127.0.0.1:2/v1", "model": "nomic-embed-text", "dimensions": 768}


def settings(folder: Path, **given: Any) -> Settings:
    return load(environment={}, data=str(folder), **given)


def test_the_built_in_model_is_always_there_and_the_index_uses_it_by_default(tmp_path: Path) -> None:
    index, sources, _ = embedding_sources(settings(tmp_path, embeddings=[NEAR]), None)
    assert [(one.server, one.model.name, one.model.dimensions) for one in sources] == [
        ("embedded", "all-minilm", 384),
        ("near", "bge-m3", 1_024),
        ("near", "house", 512),
    ]
    assert index is sources[0]
    assert (index.embedder.model, sources[2].embedder.model) == ("all-minilm", "house:latest")


def test_the_single_setting_still_says_what_the_index_uses(tmp_path: Path) -> None:
    index, sources, _ = embedding_sources(settings(tmp_path, embedding=OWN, embeddings=[NEAR]), None)
    assert [one.model.name for one in sources] == ["all-minilm", "nomic-embed-text", "bge-m3", "house"]
    assert index is sources[1]
    assert (index.model.name, index.model.dimensions) == ("nomic-embed-text", 768)


def test_a_generation_opens_with_the_model_of_its_name_whatever_servers_call_theirs(tmp_path: Path) -> None:
    servers = [
        {"name": name, "base_url": f"http://{name}/v1", "models": [{"name": model, "served_as": "default"}]}
        for name, model in (("a", "mxbai-embed-large"), ("b", "bge-m3"))
    ]

    def generation(name: str, model: str) -> Generation:
        spec = Spec(model, 1_024, vector_payload.SCHEMA)
        return Generation(name=name, spec=spec, state="kept", partitions=("ceo_knowledge",), began=datetime.now(UTC))

    async def body() -> None:
        wanted = settings(tmp_path, embeddings=servers)
        index, sources, _ = embedding_sources(wanted, None)
        opener = Opener(wanted, NoTelemetry(), index, sources, lambda: None)
        assert opener.wanted == Spec("all-minilm", 384, vector_payload.SCHEMA)
        for model in ("mxbai-embed-large", "bge-m3"):
            await (await opener.open(generation(model, model))).close()
        with pytest.raises(InvalidError, match="default with 1024 numbers is not configured"):
            await opener.open(generation("d", "default"))

    asyncio.run(body())


def test_a_cache_remembers_the_vectors_of_all_of_them(tmp_path: Path) -> None:
    index, sources, _ = embedding_sources(settings(tmp_path, embeddings=[NEAR]), Cache(NoTelemetry()))
    assert all(isinstance(one.embedder, CachedEmbedder) for one in sources)
    assert index is sources[0]


@pytest.mark.parametrize(
    ("given", "key", "said"),
    [
        ([NEAR, NEAR], "embeddings", "same name"),
        ([{**NEAR, "base_url": "near"}], r"embeddings\[0\].base_url", "must begin"),
        ([{**NEAR, "models": [{"name": "house"}]}], r"embeddings\[0\].models\[0\].dimensions", "is needed"),
        (
            [{**NEAR, "models": [{"name": "bge-m3", "dimensions": 5}]}],
            r"embeddings\[0\].models\[0\].dimensions",
            "1024",
        ),
        ([{**NEAR, "models": [{"name": "auto", "dimensions": 5}]}], r"embeddings\[0\].models\[0\].name", "stands for"),
        ([{**NEAR, "models": []}], "embeddings", "length"),
    ],
)
def test_what_cannot_be_is_refused_by_its_key(tmp_path: Path, given: list[Any], key: str, said: str) -> None:
    with pytest.raises(SettingsError, match=f"{key}.*{said}"):
        settings(tmp_path, embeddings=given)
