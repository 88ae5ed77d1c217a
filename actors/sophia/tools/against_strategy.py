"""What the strategy asks for in figures, against what is measured: each statement with the figures that speak to it.

A statement's goal is the figure behind words such as `to`, `below` or `at least`. Measured is what others state or compute of the
same indicator in the same unit, what shares most words with the statement first; what states the goal again measures nothing.
Whether a goal is met depends on more than figures of perhaps other groups or periods: they are set side by side, and nothing is
inferred.
"""

import re
from collections.abc import Sequence

from msgspec import Struct

from actors.sophia.tools.claims import Claim, relevance
from runtime.text import words

MEASURED_MAX = 4
RESTATED_FROM = 0.8  # of a statement's words, for what holds them to be that statement again
HEAD_CHARS_MAX = 120

_GOAL = re.compile(
    r"\b(?:to|below|under|above|over|least|most|reach(?:es|ing)?|towards|exceed(?:s|ing)?)\s+(?:about\s+|around\s+)?$",
    re.IGNORECASE,
)
_ASKS = re.compile(
    r"\b(?:must|shall|should|will|target\w*|goal\w*|priorit\w+|aim\w*|objective\w*|want\w*|need\w*|by the end of|plan\w*)\b",
    re.IGNORECASE,
)


class Indicator(Struct, frozen=True, kw_only=True):
    """A key figure: which indicator, the claim that states it, and of which period, empty where none is said."""

    name: str
    claim: Claim
    period: str = ""


class Insight(Struct, frozen=True, kw_only=True):
    """A statement of the strategy on an indicator, its goal where it has one, and the figures that speak to it."""

    indicator: str
    statement: str
    title: str
    goal: Claim | None
    measured: tuple[Indicator, ...]


def insights(asked: Sequence[Indicator], measured: Sequence[Indicator]) -> list[Insight]:
    """One for each sentence of the strategy that asks for something in figures, in their order."""
    found: dict[tuple[str, str], Insight] = {}
    for one in asked:
        key = (one.claim.sentence, one.name)
        if key in found or not _ASKS.search(one.claim.sentence):
            continue
        same = [other for other in asked if (other.claim.sentence, other.name) == key]
        goal = next((other.claim for other in same if is_goal(other.claim)), None)
        kind, said = (goal or one.claim).kind, frozenset(words(one.claim.sentence))
        speaking = {
            (other.claim.text, other.claim.source): other
            for other in measured
            if other.name == one.name
            and other.claim.kind == kind
            and other.claim.source != one.claim.source
            and not is_change(other.claim)
            and relevance(other.claim.sentence, said) < RESTATED_FROM
        }
        nearest = sorted(speaking.values(), key=lambda other: -relevance(other.claim.sentence, said))
        found[key] = Insight(
            indicator=one.name,
            statement=one.claim.sentence,
            title=one.claim.title,
            goal=goal,
            measured=tuple(nearest[:MEASURED_MAX]),
        )
    return list(found.values())


def is_goal(claim: Claim) -> bool:
    """Whether a word before it says so; of `from 33 % to 20 %` only the second is one."""
    return _GOAL.search(claim.sentence[: claim.sentence.find(claim.text)]) is not None


def is_change(claim: Claim) -> bool:
    """Whether it says by how much something changes, not how much it is."""
    return "point" in claim.text


def told(one: Insight) -> str:
    """The insight in one sentence that points at its figures; the statement itself is quoted from its source."""
    goal = f"the goal is {one.goal.text}" if one.goal else "it names a figure"
    against = f"Against the strategy the business stands like this on {one.indicator}: {goal} ({one.title})"
    if not one.measured:
        return f"{against}, and no figure at hand measures it."
    return f"{against}, measured {_are(one.measured)} {', '.join(map(_figure, one.measured))}{_beside(one)}."


def _are(measured: Sequence[Indicator]) -> str:
    return "is" if len(measured) == 1 else "are"


def _figure(one: Indicator) -> str:
    """The figure with its source; where its sentence begins with it, after `Of what: ` at most, what it is of."""
    of = f"{one.claim.title}, {one.period}" if one.period else one.claim.title
    head = one.claim.sentence.partition(" (")[0].rstrip(".")
    begins = one.claim.text in (head[: len(one.claim.text)], head.partition(": ")[2][: len(one.claim.text)])
    says = head if begins and len(head) <= HEAD_CHARS_MAX else one.claim.text
    return f"{says} ({of})"


def _beside(one: Insight) -> str:
    """How many of the figures lie on which side of the goal."""
    goal = one.goal
    if goal is None or goal.value is None:
        return ""
    values = [figure.claim.value for figure in one.measured if figure.claim.value is not None]
    above, below = sum(value > goal.value for value in values), sum(value < goal.value for value in values)
    sides = [f"{above} above" if above else "", f"{below} below" if below else ""]
    said = " and ".join(side for side in sides if side) or "none off"
    return f"; of {len(values)} figure{'' if len(values) == 1 else 's'} {said} the goal"
