"""Which embedding models the settings make, what the index uses of them, and which settings are refused."""

from pathlib import Path
from typing import Any

import pytest

from deploy.embedding_models import embedding_sources
from deploy.settings import Settings, SettingsError, load
from runtime.cached_embedder import CachedEmbedder
from runtime.caching import Cache
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
    assert index is sources[0].embedder
    assert (index.model, sources[2].embedder.model) == ("all-minilm", "house:latest")


def test_the_single_setting_still_says_what_the_index_uses(tmp_path: Path) -> None:
    index, sources, _ = embedding_sources(settings(tmp_path, embedding=OWN, embeddings=[NEAR]), None)
    assert [one.model.name for one in sources] == ["all-minilm", "nomic-embed-text", "bge-m3", "house"]
    assert index is sources[1].embedder
    assert (index.model, index.dimensions) == ("nomic-embed-text", 768)


def test_a_cache_remembers_the_vectors_of_all_of_them(tmp_path: Path) -> None:
    index, sources, _ = embedding_sources(settings(tmp_path, embeddings=[NEAR]), Cache(NoTelemetry()))
    assert all(isinstance(one.embedder, CachedEmbedder) for one in sources)
    assert index is sources[0].embedder


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
