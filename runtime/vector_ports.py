"""The ports behind Retrieval: what turns texts into vectors, and what keeps vectors."""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from msgspec import Struct

from contracts.domains import Clearance, Partition
from contracts.embeddings import Embedded, EmbedTexts, ServedModel
from contracts.retrieval import Entry, Hit, Kept, Query
from contracts.span import Span
from contracts.vectors import Generation
from runtime.ports import Retrieval

Vector = Sequence[float]
"""A unit vector (L2 norm 1)."""


Use = Literal["query", "entry", "plain"]
"""A search's text, one that is to be found, or just a text: models may read them differently. Entries wait for the others."""


class Purpose(Struct, frozen=True):
    """What texts are embedded for, and under which clearance: that of the cache that may be asked (None: none)."""

    use: Use = "entry"
    clearance: Clearance | None = None


ENTRY = Purpose()


class Embedder(Protocol):
    """Texts to unit vectors."""

    @property
    def model(self) -> str: ...

    @property
    def dimensions(self) -> int: ...

    async def embed(self, texts: Sequence[str], purpose: Purpose = ENTRY) -> list[Vector]:
        """One vector a text, in order. Raises UnavailableError."""
        ...


class Embeddings(Protocol):
    """The embedding models as the rest asks them: by name or by what matters (`runtime.embedding_catalogue`)."""

    async def embed(self, request: EmbedTexts) -> Embedded:
        """Raises InvalidError (`model`: there is no such; `dimensions`: not of this model), UnavailableError, OutcomeError."""
        ...

    async def models(self) -> list[ServedModel]:
        """Every model that is served, whether it answers now or not. Raises UnavailableError."""
        ...


class Item(Struct, frozen=True):
    """An entry with its passages, by which its words are counted, and a vector for each of the first (adapters/passages.py); no
    passages: it has one vector, of the whole."""

    entry: Entry
    vectors: Sequence[Vector]
    passages: tuple[Span, ...] = ()


class VectorStore(Protocol):
    """Vectors with their entries, a collection a partition. What a change replaces or removes, it replaces as a whole: no
    search finds some passages of the old entry and some of the new."""

    async def upsert(self, partition: Partition, items: Sequence[Item]) -> None: ...

    async def remove(self, partition: Partition, ids: Sequence[str]) -> None: ...

    async def search(self, query: Query, vector: Vector) -> list[Hit]:
        """Like Retrieval.search: by `vector`, which is of the query's text, and by the words of that text, over all the query's
        partitions in one go. The filters run inside the engine, and what they leave out moves no score."""
        ...

    async def count(self, partition: Partition) -> int: ...

    async def listed(self, partition: Partition, *, after: str | None, limit: int) -> list[Kept]:
        """What is kept, by id ascending, from the first id beyond `after` (None: from the start); at most `limit`, and at most
        1,000 a call. The digest is of the stored entry, so that what was stored wrong shows."""
        ...

    async def versions(self, partition: Partition, ids: Sequence[str]) -> Mapping[str, int]:
        """The stored version of each of these entries that is kept, by the id as it was given."""
        ...

    async def close(self) -> None: ...


class Shelved(Protocol):
    """One generation of the index, open."""

    @property
    def retrieval(self) -> Retrieval:
        """Embeds with the generation's model, writes to its store, searches it."""
        ...

    @property
    def store(self) -> VectorStore: ...

    async def close(self) -> None: ...


class Shelf(Protocol):
    """Where the generations of the vector index stand, and small notes beside them; one process at a time owns it."""

    async def take(self) -> None:
        """Own it until `release`. Raises UnavailableError while another process does."""
        ...

    async def release(self) -> None:
        """Idempotent."""
        ...

    async def load(self, note: str) -> bytes | None:
        """What was saved last under the name, whole, whatever crashed since; None: nothing."""
        ...

    async def save(self, note: str, content: bytes) -> None:
        """Durable when this returns. Raises UnavailableError, InvalidError when it is too large."""
        ...

    async def open(self, generation: Generation) -> Shelved:
        """Its index, empty where there was none. Raises InvalidError when it cannot be searched here: its model is not to be had
        any more, or this code writes another layout; UnavailableError."""
        ...

    async def drop(self, generation: str) -> None:
        """Delete it; one that is not there is no error. Raises UnavailableError."""
        ...

    async def drop_unnamed(self) -> None:
        """Delete what was stored before there were generations. Raises UnavailableError."""
        ...
