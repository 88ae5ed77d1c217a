"""Feasibility: whether something can be built, how, how hard and by when, as far as what was found says so."""

from datetime import date
from typing import Literal

from msgspec import Struct

from contracts.strategic import Grounded

Verdict = Literal["feasible", "conditional", "infeasible", "unknown"]
Complexity = Literal["low", "medium", "high", "unknown"]


class Milestone(Struct, frozen=True, kw_only=True):
    """A time that was found: the sentence, and its last day or how many days it lasts."""

    text: str
    by: date | None = None
    days: float | None = None


class Feasibility(Struct, frozen=True, kw_only=True):
    """`because` are the sentences that decided; `effort_days` is the greatest effort that is named, in one person's days."""

    verdict: Verdict
    because: tuple[str, ...] = ()
    architecture: Grounded = Grounded()
    complexity: Complexity = "unknown"
    effort_days: float | None = None
    timeline: tuple[Milestone, ...] = ()
