"""Grounds: what the confidence of an answer is computed from (actors/confidence.py says how)."""

from datetime import datetime

from msgspec import UNSET, Struct, UnsetType


class Basis(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a tool's figures rest on. Of `given` rows, files, measurements … it could read `read`; of the `tried` analyses that it
    is there for it could make `done`. `spread`: half the interval of its main estimate over the estimate, 0 where all was counted
    and nothing estimated. `newest`: of when the newest of what it read is, where the data say so.
    """

    read: int
    given: int
    tried: int = 1
    done: int = 1
    spread: float = 0.0
    newest: datetime | UnsetType = UNSET


class Computed(Struct, frozen=True, kw_only=True):
    """Each part is 0 to 1. `meant`: 1 where the question asks for what the tool is for; `named`: the share of what it asks about
    besides that is in the findings; `read`: how much of the data was read and of the analyses made; `precise`: 1 less the width
    of the interval; `freshness`: how new the data are. `sure`: what they come to.
    """

    meant: float
    named: float
    read: float
    precise: float
    freshness: float
    sure: float


class Grounds(Struct, frozen=True, kw_only=True):
    """Each part is 0 to 1. `coverage`: how much of the question what the answer rests on speaks to; `agreement`: how far sources
    that are independent of each other say so; `freshness`: how new they are for their kind; `relevance`: how near the nearest
    is; `computed`: 1 where tools worked figures out of texts. `sources` count, `disagreeing` of them contradict another one.
    `tool`: where a tool worked on data of its own, what its figures are worth. `unfounded`: figures of the answer that stand in
    nothing it was made of, the first ten as they are written.
    """

    coverage: float = 0.0
    agreement: float = 0.0
    freshness: float = 0.0
    relevance: float = 0.0
    computed: float = 0.0
    sources: int = 0
    disagreeing: int = 0
    tool: Computed | UnsetType = UNSET
    unfounded: tuple[str, ...] | UnsetType = UNSET
