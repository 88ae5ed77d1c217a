"""Normalised discounted cumulative gain (Järvelin and Kekäläinen, ACM TOIS 20(4), 2002) with binary relevance."""

import math
from collections.abc import Sequence
from collections.abc import Set as AbstractSet


def ndcg(ranked: Sequence[str], relevant: AbstractSet[str], depth: int = 10) -> float:
    """How good a ranking of distinct ids is, 0 to 1: 1 when the first `depth` are relevant, as far as there are so many.

    Raises ValueError when nothing is relevant: then no ranking is better than another.
    """
    if not relevant:
        raise ValueError("no relevant id: nDCG is not defined")
    gain = sum(1 / math.log2(place + 2) for place, id_ in enumerate(ranked[:depth]) if id_ in relevant)
    return gain / sum(1 / math.log2(place + 2) for place in range(min(depth, len(relevant))))
