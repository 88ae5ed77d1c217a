"""The generations of the vector index: what was built of the logs with what, which one serves, and how a build goes on."""

from datetime import datetime
from typing import Literal

from msgspec import Struct

from contracts.domains import Domain, Partition


class Spec(Struct, frozen=True):
    """What vectors and payloads depend on: with another of these, what is stored cannot be searched."""

    model: str
    dimensions: int
    schema: int


class Generation(Struct, frozen=True, kw_only=True):
    """One index, complete for `partitions`. `kept`: it served these until `replaced`, and can serve again.

    `positions`: up to where it was built of each domain's log; what came later it got from the reactions, or, kept, not at all.
    """

    name: str
    spec: Spec
    state: Literal["building", "serving", "kept"]
    partitions: tuple[Partition, ...]
    began: datetime
    positions: dict[Domain, int] = {}
    replaced: datetime | None = None


class Swap(Struct, frozen=True, kw_only=True):
    """The last swap: the partitions it took from each generation (by name), which can serve them again."""

    at: datetime
    replaced: dict[str, tuple[Partition, ...]]


class Manifest(Struct, frozen=True):
    """Every generation that is stored, those that began first at the front. `goes_back`: the last swap is being taken back."""

    generations: tuple[Generation, ...] = ()
    swap: Swap | None = None
    goes_back: bool = False


class Building(Struct, frozen=True, kw_only=True):
    """How far a build is: records of the logs while it reads, entries while it embeds or compares."""

    generation: str
    spec: Spec
    partitions: tuple[Partition, ...]
    stage: Literal["reading", "embedding", "comparing", "swapping"] = "reading"
    done: int = 0
    total: int = 0


class Built(Struct, frozen=True, kw_only=True):
    """How the last build ended: with a swap, or (`trouble`) without; `entries` were embedded, the others were there already."""

    generation: str
    entries: int = 0
    seconds: float = 0.0
    trouble: str = ""


class VectorsStatus(Struct, frozen=True, kw_only=True):
    """`counts`: the entries of each partition that is served. `trouble`: why a build does not go on, or one cannot be served."""

    wanted: Spec
    generations: tuple[Generation, ...]
    counts: dict[Partition, int]
    building: Building | None = None
    last: Built | None = None
    trouble: str = ""


Problem = Literal["missing", "stale", "extra", "doubled"]
"""Not kept though the logs say it is; kept otherwise than they say; kept though they do not say so; kept more than once."""


class Difference(Struct, frozen=True, order=True):
    """Where a store and the logs disagree about one entry; a version of 0: there is none."""

    partition: Partition
    id: str
    problem: Problem
    version: int = 0
    kept: int = 0


class Checked(Struct, frozen=True, kw_only=True):
    """What a check found: how many entries the logs say there are, where the index disagrees, and, by the domain whose reactions
    have not come to them yet, in how many entries it is behind."""

    entries: int
    differences: list[Difference]
    behind: dict[Domain, int]
