"""Routing among embedding models: deterministic, never another size than asked for, never to what does not answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.embeddings import ROUTINGS, EmbeddingModel, ServedModel
from runtime.embedding_catalogue import CATALOGUE, DEFAULT, known, route, tokens_about
from runtime.errors import InvalidError, UnavailableError

LATENCIES = ("low", "medium", "high")
SIZES = (64, 256, 384, 768, 1_024)

models = st.builds(
    EmbeddingModel,
    name=st.sampled_from(["a", "b", "c", "d", DEFAULT]),
    dimensions=st.sampled_from(SIZES),
    context_tokens=st.sampled_from([16, 256, 8_192]),
    latency=st.sampled_from(LATENCIES),
    quality=st.integers(0, 3),
    shorter=st.sampled_from([(), (64,), (64, 256)]),
)
offers = st.lists(
    st.builds(ServedModel, model=models, servers=st.just(("s",)), available=st.booleans()),
    min_size=1,
    max_size=5,
    unique_by=lambda one: one.model.name,
)
texts = st.lists(st.sampled_from(["short", "x" * 400, "x" * 20_000]), min_size=1, max_size=3)


@given(served=offers, name=st.sampled_from(ROUTINGS), texts=texts, dimensions=st.none() | st.sampled_from(SIZES))
def test_a_routed_request_goes_to_the_best_available_model_of_the_right_size(
    served: list[ServedModel], name: str, texts: list[str], dimensions: int | None
) -> None:
    able = [one for one in served if dimensions in (None, one.model.dimensions, *one.model.shorter)]
    available = [one.model for one in able if one.available]
    if not able:
        with pytest.raises(InvalidError, match="dimensions") as refused:
            route(served, name, texts=texts, dimensions=dimensions)
        assert refused.value.field == "dimensions"
        return
    if not available:
        with pytest.raises(UnavailableError):
            route(served, name, texts=texts, dimensions=dimensions)
        return
    chosen = route(served, name, texts=texts, dimensions=dimensions)
    assert chosen == route(served[::-1], name, texts=texts, dimensions=dimensions)
    assert sorted(chosen, key=repr) == sorted(available, key=repr)
    first, longest = chosen[0], max(map(tokens_about, texts))
    fitting = [model for model in available if model.context_tokens >= longest]
    if not fitting:
        assert first.context_tokens == max(model.context_tokens for model in available)
        return
    assert first in fitting
    if name == "diarchy-latency":
        assert first.latency == min((model.latency for model in fitting), key=LATENCIES.index)
    elif name == "auto" and DEFAULT in {model.name for model in fitting}:
        assert first.name == DEFAULT
    else:
        assert first.quality == max(model.quality for model in fitting)


@given(served=offers, dimensions=st.none() | st.sampled_from(SIZES), texts=texts)
def test_a_named_model_is_that_one_or_an_error_that_names_it(
    served: list[ServedModel], dimensions: int | None, texts: list[str]
) -> None:
    for one in served:
        if dimensions not in (None, one.model.dimensions, *one.model.shorter):
            with pytest.raises(InvalidError, match=one.model.name):
                route(served, one.model.name, texts=texts, dimensions=dimensions)
        elif not one.available:
            with pytest.raises(UnavailableError, match=f"{one.model.name}.* s"):
                route(served, one.model.name, texts=texts, dimensions=dimensions)
        else:
            assert route(served, one.model.name, texts=texts, dimensions=dimensions) == [one.model]


def test_an_unknown_name_is_told_what_there_is() -> None:
    served = [ServedModel(model=model, servers=("s",)) for model in CATALOGUE]
    with pytest.raises(InvalidError, match=r"nomic-embed-text.*all-minilm.*auto") as refused:
        route(served, "ada", texts=["text"])
    assert refused.value.field == "model"


def test_the_catalogue_is_the_missions() -> None:
    sizes = {model.name: model.dimensions for model in CATALOGUE}
    assert sizes == {"nomic-embed-text": 768, "mxbai-embed-large": 1_024, "bge-m3": 1_024, "all-minilm": 384}
    served = [ServedModel(model=model, servers=("s",)) for model in CATALOGUE]
    assert route(served, "auto", texts=["short"])[0].name == DEFAULT
    assert route(served, "auto", texts=["x" * 20_000])[0].name == "bge-m3"
    assert route(served, "diarchy-quality", texts=["short"])[0].name == "mxbai-embed-large"
    assert route(served, "diarchy-latency", texts=["short"])[0].name == "all-minilm"
    longest = known("bge-m3")
    assert longest is not None
    assert longest.context_tokens == 8_192
