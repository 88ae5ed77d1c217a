"""Comparisons: what is required set against what the strategy says, each with both statements word for word."""

from typing import Literal

from msgspec import Struct

from contracts.domains import Clearance
from contracts.span import Span

Relation = Literal["aligned", "conflicting", "unrelated", "related"]
"""`related`: about the same, and no rule decides whether they agree. Until 30 November 2026 such a pair was told as `aligned`,
with the rule `same_topic`; what was recorded then says so still."""

Rule = Literal[
    "limit",
    "date",
    "prohibition",
    "opposite",
    "exclusive",
    "same_topic",
    "other_topic",
    "place",
    "preference",
    "scope",
    "looks_only",
]
"""What decided a comparison (actors/ceo/comparing.py says how)."""


class Stated(Struct, frozen=True, kw_only=True):
    """One sentence, verbatim. `id` is unique among those that are compared.

    `source` is where it stands: `question`, a text that came with the request (`business_analysis`), or an evidence's id.
    `place` is where in that text, where it stands there as it is: of evidence, in the text that was found.
    """

    id: str
    text: str
    source: str
    label: Clearance
    title: str = ""
    place: Span | None = None


class Comparison(Struct, frozen=True, kw_only=True):
    """A requirement's statement beside one of the strategy.

    `rule` is what decided, `reason` the words or figures it decided by, `topic` how far both are about the same (0 to 1), `score`
    how plain the relation is (0 to 1). `judged` is what a language model says of the pair, None where none was asked or it said
    nothing of it: it stands beside the rule's relation and changes nothing of it.
    """

    requirement: Stated
    strategy: Stated
    relation: Relation
    rule: Rule
    reason: str
    topic: float
    score: float
    judged: Relation | None = None
