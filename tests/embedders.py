"""Embedders without a model: the same text has the same vector, and texts with common words are near to each other."""

import asyncio
import hashlib
import math
from collections.abc import Sequence

from contracts.embeddings import EmbeddingModel
from runtime.embedding_catalogue import known
from runtime.embedding_workers import Source
from runtime.errors import DiarchyError, UnavailableError
from runtime.vector_ports import ENTRY, Purpose, Vector


class WordHashes:
    """An Embedder: each word counts in the dimension that its hash says. `away` makes it raise `error`; `asked` is what it was
    asked."""

    def __init__(self, model: str = "hashes", dimensions: int = 64) -> None:
        self.model = model
        self.dimensions = dimensions
        self.away = False
        self.error: DiarchyError = UnavailableError(model, "away")
        self.answered = asyncio.Event()
        self.asked: list[tuple[str, Purpose]] = []

    async def embed(self, texts: Sequence[str], purpose: Purpose = ENTRY) -> list[Vector]:
        self.asked += [(text, purpose) for text in texts]
        if self.away:
            raise self.error
        self.answered.set()
        return [self._vector(text) for text in texts]

    def _vector(self, text: str) -> Vector:
        counts = [0.01] * self.dimensions  # Vectors that are cut still point somewhere.
        for word in text.lower().split() or [""]:
            counts[int.from_bytes(hashlib.sha256(word.encode()).digest()[:4]) % self.dimensions] += 1.0
        norm = math.sqrt(math.fsum(count * count for count in counts))
        return [count / norm for count in counts]


def hashed(name: str, server: str = "here", *, model: EmbeddingModel | None = None) -> Source:
    """A source of a model of the catalogue (or of `model`) that hashes words."""
    described = model or known(name)
    assert described is not None
    return Source(server, described, WordHashes(name, described.dimensions))
