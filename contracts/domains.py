"""The domains, who may read what, and the partitions of knowledge."""

from enum import Enum, StrEnum
from functools import total_ordering
from typing import Literal


class Domain(StrEnum):
    """One broker neighbourhood: its own streams, worker role and limits."""

    SOPHIA = "sophia"
    ARTEMIS = "artemis"
    CEO = "ceo"
    EMBEDDING = "embedding"
    SYSTEM = "system"


@total_ordering
class Clearance(Enum):
    """How confidential something is, and how much a reader may see: public < … < top_secret."""

    PUBLIC = "public"
    INTERNAL = "internal"
    CONFIDENTIAL = "confidential"
    RESTRICTED = "restricted"
    TOP_SECRET = "top_secret"  # noqa: S105 - the name of a level

    @property
    def rank(self) -> int:
        """0 for public … 4 for top_secret."""
        return _RANKS[self]

    def __lt__(self, other: object) -> bool:
        return self.rank < other.rank if isinstance(other, Clearance) else NotImplemented


_RANKS = {level: rank for rank, level in enumerate(Clearance)}

Partition = Literal[
    "sophia_business",
    "artemis_technical",
    "shared_knowledge",
    "ceo_knowledge",
    "research_data",
    "agent_memories",
    "swarm_coordination",
    "code_knowledge",
]
"""A partition of the vector store (mission C1)."""

ItemPartition = Literal[
    "sophia_business",
    "artemis_technical",
    "shared_knowledge",
    "ceo_knowledge",
    "research_data",
    "code_knowledge",
]
"""Where knowledge items may be put. The others are the agents' own: what stands there is what an agent answered or agreed on,
never what somebody says that it did. Items that older versions took into those are still read, moved and deleted."""
