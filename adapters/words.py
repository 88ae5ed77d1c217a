"""How well a text matches a query by its words: BM25 with the engine's own stemmer and stop words, weighted for one reader.

How rare a word is is counted over what the reader may see, and nothing else: entries above a clearance do not move a score
below it. The engine could do so too (`IdfParams.corpus`), but it counts anew for every search: 8 to 17 ms over 100,000 entries,
where the search itself takes 1 ms. So the counts are kept here, an entry a label, and a query's words come to the engine with
their weights. These sum to 1 in a query without codes, so a score says how much of the query an entry covers, 0 to about 2 (a
word that is often in it counts up to 2.2-fold), and scores of different queries and partitions compare.

What is scored is an entry's best passage, as it is by meaning: else a word in a long text weighs next to nothing. A sparse vector
knows words only, so the passages are numbered in it: a word's number there is its hash and the part of the text it stands in.

Source: Robertson and Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond (2009), k = 1.2, b = 0.75.
"""

import math
import re
from collections.abc import Collection, Mapping, Sequence

import qdrant_edge as engine
from msgspec import Struct

from contracts.domains import Clearance
from contracts.span import Span
from runtime.vector_ports import Item

K, B = 1.2, 0.75
AVERAGE_WORDS = 100.0
"""Stop words left out; a constant, so that a vector does not depend on what else is stored."""

TITLE_TIMES = 2
CODE_TIMES = 12
"""How much more a code counts than its rarity says: a model does not know it, and of several words it is the one meant."""

PARTS_MAX = 8
"""Each is asked for by itself. Of more passages than that several in a row are one part, each word as it weighs most in them."""

PARTED = 0.06
"""How much an entry's words weigh less for having n passages, the best of which counts: 1 / (1 + 0.06 ln n). By chance alone the
best of many is better; without this, long texts come before short ones that say more of what is sought."""

_HASH_BITS = 29
_HASH = (1 << _HASH_BITS) - 1

_CODE = re.compile(r"\b(?=\w*\d)(?=\w*[^\W\d])\w+")  # letters and digits: E0277, x86_64; years and amounts are none

_model = engine.Bm25(engine.Bm25Config(k=K, b=B, avg_len=AVERAGE_WORDS, language="english"))
_RANKS = len(Clearance)
RANK_MAX = _RANKS - 1


class Sparse(Struct, frozen=True):
    """Words, by their hash and the part they stand in, and their weights; of a query, by their hash."""

    words: list[int]
    weights: list[float]

    def pairs(self) -> dict[int, float]:
        return dict(zip(self.words, self.weights, strict=True))

    def of_part(self, part: int) -> "Sparse":
        """A query's words, to be sought in this part of texts."""
        return Sparse([word | part << _HASH_BITS for word in self.words], self.weights)


def of_item(item: Item) -> Sparse:
    """The title stands before each passage, twice: what something is called says more than a word in passing."""
    title, text = item.entry.title, item.entry.text
    passages = item.passages or (Span(0, len(text)),)
    weigh_less = 1 + PARTED * math.log(len(passages))
    found: dict[int, float] = {}
    for place, passage in enumerate(passages):
        part = (place * PARTS_MAX // len(passages) if len(passages) > PARTS_MAX else place) << _HASH_BITS
        vector = _model.embed_document("\n".join((*[title] * TITLE_TIMES, passage.of(text))))
        for word, weight in zip(vector.indices, vector.values, strict=True):
            key = word & _HASH | part
            if weight > found.get(key, 0.0):
                found[key] = weight
    return Sparse(list(found), [weight / weigh_less for weight in found.values()])


def of_query(text: str) -> Sequence[int]:
    return [word & _HASH for word in _model.embed_query(text).indices]


def matching(sought: Mapping[int, float], kept: Mapping[int, float]) -> float:
    """How well an entry's words match, by its best part: what engines compute."""
    parts = range((max(kept, default=0) >> _HASH_BITS) + 1)
    return max(
        sum(weight * kept.get(word | part << _HASH_BITS, 0.0) for word, weight in sought.items()) for part in parts
    )


class Counts:
    """In how many entries of each label each word stands, and how many entries there are; of one partition."""

    def __init__(self) -> None:
        self._entries = [0] * _RANKS
        self._parted = [0] * PARTS_MAX
        self._words: dict[int, list[int]] = {}

    @property
    def parts(self) -> int:
        """Into how many parts an entry is put at the most, as far as they have words."""
        return max((part + 1 for part, entries in enumerate(self._parted) if entries), default=0)

    def add(self, rank: int, words: Collection[int], change: int = 1) -> None:
        """One entry more (or, with -1, less), whose sparse vector has these words."""
        self._entries[rank] += change
        last = max(words, default=0) >> _HASH_BITS
        self._parted[last] += change
        for word in {word & _HASH for word in words} if last else words:
            counts = self._words.get(word)
            if counts is None:
                counts = self._words[word] = [0] * _RANKS
            counts[rank] += change
            if change < 0 and not any(counts):
                del self._words[word]

    def entries(self, rank_max: int) -> int:
        return sum(self._entries[: rank_max + 1])

    def having(self, word: int, rank_max: int) -> int:
        counts = self._words.get(word)
        return sum(counts[: rank_max + 1]) if counts else 0


def weighted(query: str, rank_max: int, counts: Sequence[Counts], code_times: float = CODE_TIMES) -> Sparse:
    """The words of a query that the reader can find in these partitions at all, each with its share of their rarity.

    The weights sum to 1 where no codes are among the words; a code weighs 1 + `code_times` times its share.
    """
    entries = sum(one.entries(rank_max) for one in counts)
    found = {word: having for word in of_query(query) if (having := sum(one.having(word, rank_max) for one in counts))}
    rarity = {word: math.log1p((entries - having + 0.5) / (having + 0.5)) for word, having in found.items()}
    whole = sum(rarity.values())
    if not whole:
        return Sparse([], [])
    codes = {*of_query(" ".join(_CODE.findall(query)))}
    times = {word: 1 + code_times if word in codes else 1 for word in rarity}
    return Sparse(list(rarity), [times[word] * one / whole for word, one in rarity.items()])
