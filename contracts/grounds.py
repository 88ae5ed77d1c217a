"""Grounds: what the confidence of an answer is computed from (actors/confidence.py says how)."""

from msgspec import Struct


class Grounds(Struct, frozen=True, kw_only=True):
    """Each part is 0 to 1. `coverage`: how much of the question what the answer rests on speaks to; `agreement`: how far sources
    that are independent of each other say so; `freshness`: how new they are for their kind; `relevance`: how near the nearest
    is; `computed`: 1 where tools worked figures out. `sources` count, `disagreeing` of them contradict another one.
    """

    coverage: float = 0.0
    agreement: float = 0.0
    freshness: float = 0.0
    relevance: float = 0.0
    computed: float = 0.0
    sources: int = 0
    disagreeing: int = 0
