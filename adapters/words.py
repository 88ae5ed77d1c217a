"""How well a text matches a query by its words: BM25 with the engine's own stemmer and stop words, weighted for one reader.

How rare a word is is counted over what the reader may see, and nothing else: entries above a clearance do not move a score
below it. The engine could do so too (`IdfParams.corpus`), but it counts anew for every search: 8 to 17 ms over 100,000 entries,
where the search itself takes 1 ms. So the counts are kept here, an entry a label, and a query's words come to the engine with
their weights. These sum to 1 in a query without codes, so a score says how much of the query an entry covers, 0 to about 2 (a
word that is often in it counts up to 2.2-fold), and scores of different queries and partitions compare.

Source: Robertson and Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond (2009), k = 1.2, b = 0.75.
"""

import math
import re
from collections.abc import Iterable, Sequence

import qdrant_edge as engine
from msgspec import Struct

from contracts.domains import Clearance
from contracts.retrieval import Entry

K, B = 1.2, 0.75
AVERAGE_WORDS = 100.0
"""Stop words left out; a constant, so that a vector does not depend on what else is stored."""

TITLE_TIMES = 2
CODE_TIMES = 20
"""How much more the words count, next to the meaning, in a query that is nothing but codes: a model does not know those."""

_CODE = re.compile(r"\b(?=\w*\d)(?=\w*[^\W\d])\w+")  # letters and digits: E0277, x86_64; years and amounts are none

_model = engine.Bm25(engine.Bm25Config(k=K, b=B, avg_len=AVERAGE_WORDS, language="english"))
_RANKS = len(Clearance)
RANK_MAX = _RANKS - 1


class Sparse(Struct, frozen=True):
    """Words, by their hash, and their weights."""

    words: list[int]
    weights: list[float]

    def pairs(self) -> dict[int, float]:
        return dict(zip(self.words, self.weights, strict=True))


def of_entry(entry: Entry) -> Sparse:
    """The title counts twice: what something is called says more than a word in passing."""
    vector = _model.embed_document("\n".join((*[entry.title] * TITLE_TIMES, entry.text)))
    return Sparse(vector.indices, vector.values)


def of_query(text: str) -> Sequence[int]:
    return _model.embed_query(text).indices


class Counts:
    """In how many entries of each label each word stands, and how many entries there are; of one partition."""

    def __init__(self) -> None:
        self._entries = [0] * _RANKS
        self._words: dict[int, list[int]] = {}

    def add(self, rank: int, words: Iterable[int], change: int = 1) -> None:
        """One entry more (or, with -1, less)."""
        self._entries[rank] += change
        for word in words:
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


def weighted(query: str, rank_max: int, counts: Sequence[Counts]) -> Sparse:
    """The words of a query that the reader can find in these partitions at all, each with its share of their rarity.

    The weights sum to 1, and to 1 + CODE_TIMES · the codes' share of the rarity where there are codes among the words.
    """
    entries = sum(one.entries(rank_max) for one in counts)
    found = {word: having for word in of_query(query) if (having := sum(one.having(word, rank_max) for one in counts))}
    rarity = {word: math.log1p((entries - having + 0.5) / (having + 0.5)) for word, having in found.items()}
    whole = sum(rarity.values())
    if not whole:
        return Sparse([], [])
    codes = of_query(" ".join(_CODE.findall(query)))
    times = 1 + CODE_TIMES * sum(rarity.get(word, 0.0) for word in codes) / whole
    return Sparse(list(rarity), [times * one / whole for one in rarity.values()])
