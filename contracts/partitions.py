"""What entries of each partition say beside what all entries say: the fields of their payload, each of which a search may match.

A field is text, a whole number or true/false, and may be left out. An entry with another field or another type is refused.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from contracts.domains import Partition

FieldValue = str | int | bool
Text = Annotated[str, Meta(min_length=1, max_length=300, pattern=r"\S")]
Year = Annotated[int, Meta(ge=1, le=9_999)]


class Fields(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The form of all of them."""


class SophiaBusiness(Fields, frozen=True, kw_only=True, omit_defaults=True):
    client: Text | None = None
    region: Text | None = None


class ArtemisTechnical(Fields, frozen=True, kw_only=True, omit_defaults=True):
    service: Text | None = None
    severity: Literal["info", "low", "medium", "high", "critical"] | None = None


class SharedKnowledge(Fields, frozen=True, kw_only=True, omit_defaults=True):
    topic: Text | None = None


class CeoKnowledge(Fields, frozen=True, kw_only=True, omit_defaults=True):
    owner: Text | None = None
    quarter: Text | None = None


class ResearchData(Fields, frozen=True, kw_only=True, omit_defaults=True):
    url: Text | None = None
    published_year: Year | None = None


class AgentMemories(Fields, frozen=True, kw_only=True, omit_defaults=True):
    agent: Text | None = None
    kind: Literal["semantic", "episodic", "procedural"] | None = None


class SwarmCoordination(Fields, frozen=True, kw_only=True, omit_defaults=True):
    swarm: Text | None = None
    pattern: Literal["broadcast_gather", "pipeline", "round_robin"] | None = None


class CodeKnowledge(Fields, frozen=True, kw_only=True, omit_defaults=True):
    language: Text | None = None
    path: Text | None = None


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


def misfit(partition: Partition, fields: Mapping[str, FieldValue], *, strict: bool = True) -> str | None:
    """What does not fit the partition in these fields, with those that it has; None where all do. Not `strict`: as written."""
    try:
        msgspec.convert(dict(fields), FIELDS[partition], strict=strict)
    except msgspec.ValidationError as error:
        known = ", ".join(FIELDS[partition].__struct_fields__)
        return f"{error}; {partition} has {known}"
    return None
