"""How many of a route's cases at the limits of its fields a fuzz sends: it may have up to 1,800."""

from collections import Counter
from typing import Any


class Boundaries:
    """All of the first `most` cases of a route, then each tenth; cases at random always."""

    def __init__(self, most: int, each: int = 10) -> None:
        self._most = most
        self._each = each
        self._met: Counter[str] = Counter()

    def wants(self, case: Any) -> bool:
        """Whether this case is to be sent."""
        if case.meta is None or case.meta.phase.name != "coverage":
            return True
        number = self._met[case.operation.label]
        self._met[case.operation.label] += 1
        return number < self._most or number % self._each == 0
