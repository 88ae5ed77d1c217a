"""Which embedding models there are, and which of them embeds a text: pure and deterministic.

A model is asked for by its name, or by what matters:

    diarchy-quality   the best one
    diarchy-latency   the fastest one
    auto              nomic-embed-text where it is available, else the best one

Routed requests go to an available model whose context holds the longest text; where none is so long, to the one with the longest
context. Equals are told apart by the other property, then by name. A model that cannot give the dimensions that are asked for
is never chosen. Who names a model gets that one or an error.

Contexts are what Ollama serves; qualities are the order of the models' English averages on MTEB (Muennighoff et al.,
arXiv:2210.07316) as their authors publish them: 64.7, 62.3, 59.8 and 56.3.
"""

from collections.abc import Callable, Sequence

from contracts.embeddings import ROUTINGS, EmbeddingModel, Latency, ServedModel
from runtime.errors import InvalidError, UnavailableError

MINILM = EmbeddingModel(name="all-minilm", dimensions=384, context_tokens=256, latency="low", quality=1)
"""The built-in one."""

CATALOGUE = (
    EmbeddingModel(
        name="nomic-embed-text",
        dimensions=768,
        context_tokens=2_048,
        latency="medium",
        quality=3,
        shorter=(512, 256, 128, 64),  # Nussbaum et al., arXiv:2402.01613; trained to be cut, as Matryoshka dolls
        query_prefix="search_query: ",
        entry_prefix="search_document: ",
    ),
    EmbeddingModel(
        name="mxbai-embed-large",
        dimensions=1_024,
        context_tokens=512,
        latency="high",
        quality=4,
        shorter=(512, 256, 128, 64),
        query_prefix="Represent this sentence for searching relevant passages: ",
    ),
    EmbeddingModel(name="bge-m3", dimensions=1_024, context_tokens=8_192, latency="high", quality=2),
    MINILM,
)
DEFAULT = "nomic-embed-text"
BYTES_A_TOKEN = 4  # of UTF-8: English has 4.5, other languages fewer, so a text is rather taken for too long

_LATENCIES: dict[Latency, int] = {"low": 0, "medium": 1, "high": 2}
_Order = Callable[[EmbeddingModel], tuple[object, ...]]


def known(name: str) -> EmbeddingModel | None:
    """The catalogue's model of this name."""
    return next((model for model in CATALOGUE if model.name == name), None)


def tokens_about(text: str) -> int:
    return len(text.encode()) // BYTES_A_TOKEN + 1


def route(
    served: Sequence[ServedModel], name: str, *, texts: Sequence[str], dimensions: int | None = None
) -> list[EmbeddingModel]:
    """The models to try for these texts, best first: one that is named, or all that may be routed to.

    Raises InvalidError for a name that nothing has (field `model`) or dimensions that are not to be had (`dimensions`),
    UnavailableError when no server of what is asked for answers.
    """
    if name not in ROUTINGS:
        return [_named(served, name, dimensions)]
    able = [one for one in served if _gives(one.model, dimensions)]
    if not able:
        sizes = ", ".join(f"{one.model.name} {_sizes(one.model)}" for one in served)
        raise InvalidError(f"no model gives {dimensions} dimensions; there are {sizes}", "dimensions")
    available = [one.model for one in able if one.available]
    if not available:
        raise UnavailableError("embedding", f"none of {', '.join(one.model.name for one in able)} answers")
    longest = max(map(tokens_about, texts), default=0)
    order = _ORDERS[name]
    fitting = [model for model in available if model.context_tokens >= longest]
    others = [model for model in available if model.context_tokens < longest]
    return sorted(fitting, key=order) + sorted(others, key=lambda model: (-model.context_tokens, *order(model)))


def _named(served: Sequence[ServedModel], name: str, dimensions: int | None) -> EmbeddingModel:
    found = next((one for one in served if one.model.name == name), None)
    if found is None:
        names = ", ".join([*(one.model.name for one in served), *ROUTINGS])
        raise InvalidError(f"there is no embedding model {name[:80]!r}; there are {names}", "model")
    if not _gives(found.model, dimensions):
        raise InvalidError(f"{name} gives {_sizes(found.model)} dimensions, not {dimensions}", "dimensions")
    if not found.available:
        reasons = found.reasons or ("no answer",) * len(found.servers)
        why = "; ".join(f"{server}: {reason}" for server, reason in zip(found.servers, reasons, strict=True))
        raise UnavailableError(name, why, told=found.told)
    return found.model


def _gives(model: EmbeddingModel, dimensions: int | None) -> bool:
    return dimensions is None or dimensions == model.dimensions or dimensions in model.shorter


def _sizes(model: EmbeddingModel) -> str:
    return " or ".join(map(str, (model.dimensions, *model.shorter)))


def _by_quality(model: EmbeddingModel) -> tuple[object, ...]:
    return -model.quality, _LATENCIES[model.latency], model.name


def _by_latency(model: EmbeddingModel) -> tuple[object, ...]:
    return _LATENCIES[model.latency], -model.quality, model.name


def _by_default(model: EmbeddingModel) -> tuple[object, ...]:
    return model.name != DEFAULT, *_by_quality(model)


_ORDERS: dict[str, _Order] = {"auto": _by_default, "diarchy-quality": _by_quality, "diarchy-latency": _by_latency}
