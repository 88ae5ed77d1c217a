"""Vectors of texts that were embedded before: exact repeats cost a look-up."""

import hashlib
from array import array
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from contracts.domains import Clearance
from contracts.embeddings import floats, packed
from runtime.caching import Cache, Key
from runtime.vector_ports import ENTRY, Embedder, Purpose, Use, Vector

SPACE = "vectors"
TTL_S = 3_600.0


class Of(Struct, frozen=True):
    """Which model the vectors are of: two servers may call different ones the same, so whose it is says it, too, and what it is
    given before a text."""

    server: str
    model: str
    query_prefix: str = ""
    entry_prefix: str = ""


class CachedEmbedder:
    """An Embedder over another one. What is embedded under no clearance, and entries, which hardly ever come again, go past it.

    The same text has an entry a clearance: whoever is cleared for less must not learn from our haste what others have asked.
    What was asked for once is kept in this process; the shared cache is for what comes again, or texts that hardly ever do
    would drive out the others.
    """

    def __init__(self, embedder: Embedder, cache: Cache, *, of: Of, ttl_s: float = TTL_S) -> None:
        self._embedder = embedder
        self._cache = cache
        self._of = of
        self._ttl_s = ttl_s

    @property
    def model(self) -> str:
        return self._embedder.model

    @property
    def dimensions(self) -> int:
        return self._embedder.dimensions

    async def embed(self, texts: Sequence[str], purpose: Purpose = ENTRY) -> list[Vector]:
        clearance = purpose.clearance
        if clearance is None or purpose.use == "entry":
            return await self._embedder.embed(texts, purpose)
        keys = [self._key(text, purpose.use, clearance) for text in texts]
        found = await self._cache.get_all(keys, ttl_s=self._ttl_s)
        vectors: dict[Key, Vector] = {
            key: floats(value) for key, value in zip(keys, found, strict=True) if value is not None
        }
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in vectors}
        if missing:
            made = dict(zip(missing, await self._embedder.embed(list(missing.values()), purpose), strict=True))
            values = {key: packed(array("f", vector)) for key, vector in made.items()}
            await self._cache.put_all(values, ttl_s=self._ttl_s, share=False)
            vectors |= made
        return [vectors[key] for key in keys]

    def _key(self, text: str, use: Use, clearance: Clearance) -> Key:
        what = msgspec.json.encode((self._of, self.dimensions, use, text))
        return Key(SPACE, clearance, hashlib.sha256(what).digest())
