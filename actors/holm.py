"""Holm's correction of p values: what `multipletests` of statsmodels gives, which collects all garbage at every call."""

from collections.abc import Sequence


def holm(p: Sequence[float]) -> list[float]:
    """Each p corrected for how many were tested together, in their order (Holm 1979): none of them is above 1."""
    order = sorted(range(len(p)), key=lambda at: p[at])
    corrected = [0.0] * len(p)
    highest = 0.0
    for place, at in enumerate(order):
        highest = max(highest, min((len(p) - place) * p[at], 1.0))
        corrected[at] = highest
    return corrected
