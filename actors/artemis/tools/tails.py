"""How far out a value must be to stand out of noise whose tails may be heavy.

The noise is taken for Student's t of unknown degrees of freedom (Gaussian at the end of them) and scale. What the other values
say of both weighs each possibility (Bayes); the chance of a value is that under all of them, by weight. Of the values that are
tried, and of those further out, only that they are as far out counts, not how far: an anomaly does not make the tail that it is
measured by heavy. A level then holds for Gaussian noise and for 10, 5 and 3 degrees of freedom alike; the prior is set so by
simulation (docs/adr/0041). What is not of this family (two kinds of values mixed, a tail on one side) may raise more alarms.
"""

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np

    Floats = np.ndarray[tuple[int], np.dtype[np.float64]]

NEAR = 3.0  # robust standard deviations: nothing nearer stands out
SHARE_MAX = 0.05  # of the values that can stand out as single points
HEAVY = {2: 0.08, 3: 0.1, 4: 0.1, 5: 0.1, 7: 0.12, 10: 0.17, 20: 0.33}
"""Degrees of freedom, and how much of the heavy-tailed part of the prior each has."""
HEAVY_MIN, HEAVY_MAX, HEAVY_POINTS = 0.05, 0.5, 26.0
"""The heavy-tailed part: (26 / points)² within these bounds, for few values say little of their tail."""
SCALES = 10  # from exp(-0.45) to exp(0.45) of what the MAD says


class _Table(NamedTuple):
    """Of each possibility (a row) the logarithms of its chances: to lie between two edges, and beyond one."""

    edges: Any
    within: Any
    beyond: Any


def limit(distances: "Floats", level: float) -> float:
    """From which distance on a value stands out, where noise alone does so with a chance of `level`; infinite where none does.

    `distances` are absolute, in robust standard deviations. Tried from the inside out, so that anomalies do not hide each other.
    """
    import numpy as np

    ordered = np.sort(distances)[::-1]
    tried = min(math.ceil(SHARE_MAX * len(ordered)), int((ordered > NEAR).sum()), len(ordered) - 1)
    if tried < 1:
        return math.inf
    table, prior = _table(), _prior(len(ordered))
    bins = np.searchsorted(table.edges, ordered, side="right") - 1
    bins = np.minimum(bins, len(table.edges) - 2)
    counts = np.bincount(bins, minlength=len(table.edges) - 1).astype(float)
    for number in range(tried, 0, -1):
        end = bins[number] + 1
        known = table.within[:, :end] @ counts[:end] + table.beyond[:, end] * counts[end:].sum() + prior
        weights = np.exp(known - known.max())
        chance = float(weights @ np.exp(table.beyond[:, bins[number - 1]]) / weights.sum())
        if chance * len(ordered) < level:
            return float(ordered[number - 1])
    return math.inf


@lru_cache(maxsize=1)
def _table() -> _Table:
    import numpy as np
    from scipy.stats import norm, t

    edges = np.concatenate([np.arange(0, 4, 0.1), np.geomspace(4, 1e6, 300)])
    beyond = np.array(
        [
            2 * t.sf(edges / (scale * norm.ppf(0.75) / t.ppf(0.75, freedom)), freedom)
            for freedom in (*HEAVY, math.inf)
            for scale in np.exp(np.linspace(-0.45, 0.45, SCALES))
        ]
    )
    within = beyond[:, :-1] - beyond[:, 1:]
    return _Table(edges, np.log(np.maximum(within, 1e-300)), np.log(np.maximum(beyond, 1e-300)))


def _prior(points: int) -> "Floats":
    import numpy as np

    heavy = min(max((HEAVY_POINTS / points) ** 2, HEAVY_MIN), HEAVY_MAX)
    chances: Floats = np.repeat([*(heavy * share for share in HEAVY.values()), 1 - heavy], SCALES)
    return np.asarray(np.log(chances))
