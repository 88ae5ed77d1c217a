"""What entries of each partition say beside what all entries say: the fields of their payload, each of which a search may match.

A field is text, a whole number or true/false, and may be left out. An entry with another field or another type is refused.
"""

from typing import Literal

from msgspec import Struct

from contracts.domains import Partition

FieldValue = str | int | bool


class Fields(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The form of all of them."""


class SophiaBusiness(Fields, frozen=True, kw_only=True, omit_defaults=True):
    client: str | None = None
    region: str | None = None


class ArtemisTechnical(Fields, frozen=True, kw_only=True, omit_defaults=True):
    service: str | None = None
    severity: Literal["info", "low", "medium", "high", "critical"] | None = None


class SharedKnowledge(Fields, frozen=True, kw_only=True, omit_defaults=True):
    topic: str | None = None


class CeoKnowledge(Fields, frozen=True, kw_only=True, omit_defaults=True):
    owner: str | None = None
    quarter: str | None = None


class ResearchData(Fields, frozen=True, kw_only=True, omit_defaults=True):
    url: str | None = None
    published_year: int | None = None


class AgentMemories(Fields, frozen=True, kw_only=True, omit_defaults=True):
    agent: str | None = None
    kind: Literal["semantic", "episodic", "procedural"] | None = None


class SwarmCoordination(Fields, frozen=True, kw_only=True, omit_defaults=True):
    swarm: str | None = None
    pattern: Literal["broadcast_gather", "pipeline", "round_robin"] | None = None


class CodeKnowledge(Fields, frozen=True, kw_only=True, omit_defaults=True):
    language: str | None = None
    path: str | None = None


FIELDS: dict[Partition, type[Fields]] = {
    "sophia_business": SophiaBusiness,
    "artemis_technical": ArtemisTechnical,
    "shared_knowledge": SharedKnowledge,
    "ceo_knowledge": CeoKnowledge,
    "research_data": ResearchData,
    "agent_memories": AgentMemories,
    "swarm_coordination": SwarmCoordination,
    "code_knowledge": CodeKnowledge,
}
