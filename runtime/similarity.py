"""How near texts are to each other: cosines of the built-in embedding model, which is the same everywhere."""

from msgspec import Struct

from contracts.domains import Clearance
from contracts.embeddings import Embedded, EmbedTexts, floats
from runtime.embedding_catalogue import MINILM
from runtime.errors import InvalidError, OutcomeError, UnavailableError
from runtime.guards import Guards
from runtime.vector_ports import Embeddings

DIGITS = 4


class Nearness(Struct, frozen=True):
    """A row for each of the first texts, a column for each of the others; -1 to 1. None: there is no such model now."""

    cosines: list[list[float]] | None = None


async def near(
    texts: tuple[str, ...], others: tuple[str, ...], clearance: Clearance, *, embeddings: Embeddings, guards: Guards
) -> Nearness:
    """Nobody is kept waiting for a model that is away: whoever compares goes by words then."""
    request = EmbedTexts(model=MINILM.name, texts=(*texts, *others), clearance=clearance)
    try:
        async with guards.call("embeddings"):
            return Nearness(_cosines(await embeddings.embed(request), len(texts)))
    except (UnavailableError, InvalidError, OutcomeError):
        return Nearness()


def _cosines(found: Embedded, rows: int) -> list[list[float]]:
    vectors = [floats(found.vector(index)) for index in range(len(found.tokens))]
    return [
        [round(sum(x * y for x, y in zip(one, other, strict=True)), DIGITS) for other in vectors[rows:]]
        for one in vectors[:rows]
    ]
