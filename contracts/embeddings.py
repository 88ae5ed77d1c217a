"""What the embedding role is asked for and answers: texts in, vectors out, and which models there are."""

import sys
from array import array
from typing import Literal

from msgspec import Struct

from contracts.domains import Clearance

ROUTINGS = ("auto", "diarchy-quality", "diarchy-latency")
"""Names that stand for the model that suits best: by the texts' length, by quality, by latency."""

Latency = Literal["low", "medium", "high"]


class EmbeddingModel(Struct, frozen=True, kw_only=True):
    """What is known of a model. A longer text than `context_tokens` counts with its beginning only.

    `quality`: more is better, and only the order counts. `shorter`: lengths to which its vectors may be cut.
    `query_prefix` and `entry_prefix`: what it was trained to see before a search and before what is searched.
    """

    name: str
    dimensions: int
    context_tokens: int
    latency: Latency = "medium"
    quality: int = 0
    shorter: tuple[int, ...] = ()
    query_prefix: str = ""
    entry_prefix: str = ""


class ServedModel(Struct, frozen=True, kw_only=True):
    """A model, the servers that provide it (the first that answers is asked), and whether one of them does.

    `reasons`, for operators: why each of the servers does not answer, empty for one that does. `told`: what of it is for all.
    """

    model: EmbeddingModel
    servers: tuple[str, ...]
    available: bool = True
    reasons: tuple[str, ...] = ()
    told: str = ""


class EmbedTexts(Struct, frozen=True, kw_only=True):
    """`model`: a model's name, or one of ROUTINGS. `dimensions` None: the model's own. `clearance`: of who asks."""

    model: str
    texts: tuple[str, ...]
    clearance: Clearance
    dimensions: int | None = None


class Embedded(Struct, frozen=True, kw_only=True):
    """The texts' unit vectors, one behind the other as little-endian 32-bit floats; `model` is the one that made them.

    `tokens`: how many were read of each, as the built-in model's tokenizer counts them; of other models, about how many.
    """

    model: str
    dimensions: int
    vectors: bytes
    tokens: tuple[int, ...]

    def vector(self, index: int) -> bytes:
        size = 4 * self.dimensions
        return self.vectors[index * size : (index + 1) * size]

    def only(self, index: int) -> "Embedded":
        """One text's part."""
        tokens = self.tokens[index : index + 1]
        return Embedded(model=self.model, dimensions=self.dimensions, vectors=self.vector(index), tokens=tokens)


def floats(vector: bytes) -> "array[float]":
    """Little-endian 32-bit floats as numbers."""
    numbers = array("f")
    numbers.frombytes(vector)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def packed(numbers: "array[float]") -> bytes:
    """The opposite of `floats`."""
    if sys.byteorder == "big":
        numbers = numbers[:]
        numbers.byteswap()
    return numbers.tobytes()
