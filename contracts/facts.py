"""Facts that programs outside may publish (mission A1, A4): to `<domain>.pub.signal.<id>` or `POST /v1/events/…`.

Each is one JSON object with its `type`. These types, those of `contracts.business`, and no others, are taken from outside.
"""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta

from contracts.business import KIND_OF, AnyBusinessFact, BusinessFact
from contracts.domains import Clearance, Domain
from contracts.envelope import Event, Message
from contracts.ids import keyed_id
from contracts.knowledge import Category

Text = Annotated[str, Meta(min_length=1, max_length=20_000, pattern=r"\S")]
Name = Annotated[str, Meta(min_length=1, max_length=300, pattern=r"\S")]


class Fact(Message, frozen=True, kw_only=True):
    """What every fact says: a title, the text, where it comes from, how confidential it is.

    Where that is left out, a fact published to the broker is `internal`, one sent over HTTP as confidential as its sender is
    cleared.
    """

    title: Name
    text: Text
    origin: Name
    confidentiality: Clearance | None = None


class BusinessInsight(Fact, frozen=True, kw_only=True, tag="business_insight.v1"): ...


class ClientAnalysis(Fact, frozen=True, kw_only=True, tag="client_analysis.v1"): ...


class MarketResearch(Fact, frozen=True, kw_only=True, tag="market_research.v1"): ...


class SalesIntelligence(Fact, frozen=True, kw_only=True, tag="sales_intelligence.v1"): ...


class CodeAnalysis(Fact, frozen=True, kw_only=True, tag="code_analysis.v1"): ...


class SystemMonitoring(Fact, frozen=True, kw_only=True, tag="system_monitoring.v1"): ...


class SecurityAlert(Fact, frozen=True, kw_only=True, tag="security_alert.v1"): ...


class PerformanceAnalysis(Fact, frozen=True, kw_only=True, tag="performance_analysis.v1"): ...


class SophiaToArtemis(Fact, frozen=True, kw_only=True, tag="sophia_to_artemis.v1"): ...


class ArtemisToSophia(Fact, frozen=True, kw_only=True, tag="artemis_to_sophia.v1"): ...


class OrchestratorStart(Fact, frozen=True, kw_only=True, tag="orchestrator_start.v1"): ...


class OrchestratorStop(Fact, frozen=True, kw_only=True, tag="orchestrator_stop.v1"): ...


class HealthCheck(Fact, frozen=True, kw_only=True, tag="health_check.v1"): ...


class StrategicAlert(Fact, frozen=True, kw_only=True, tag="strategic_alert.v1"):
    """Executive attention is required from alert priority 8. It goes to the domains that its category concerns, without one to
    all, and rises by one each time that nobody has acknowledged it within `acknowledge_within_s` (default: by its priority).
    """

    alert_priority: Annotated[int, Meta(ge=1, le=10)]
    category: Category | None = None
    acknowledge_within_s: Annotated[int, Meta(ge=1, le=30 * 86_400)] | None = None


Operation = Literal["create", "update", "delete"]


class KnowledgeUpdate(Fact, frozen=True, kw_only=True, tag="knowledge_update.v1"):
    """What became of a knowledge item; after `expires` it says nothing any more."""

    operation: Operation
    item: Name
    strategic_priority: Annotated[int, Meta(ge=1, le=10)] = 5
    expires: Annotated[datetime, Meta(tz=True)] | None = None


AnyFact = (
    BusinessInsight
    | ClientAnalysis
    | MarketResearch
    | SalesIntelligence
    | CodeAnalysis
    | SystemMonitoring
    | SecurityAlert
    | PerformanceAnalysis
    | SophiaToArtemis
    | ArtemisToSophia
    | OrchestratorStart
    | OrchestratorStop
    | HealthCheck
    | StrategicAlert
    | KnowledgeUpdate
)

AnyPublished = AnyFact | AnyBusinessFact
"""All that is taken from outside."""

SIGNAL = "signal"
"""The actor kind that takes texts as facts, in every domain that has one."""

ANNOUNCED = "knowledge-"
"""With this begins the id of the signal that holds what a domain was told of a knowledge item; the item's id follows."""


def announced_entry(domain: Domain, item: str) -> str:
    """The id of the entry by which a domain finds what it was told of a knowledge item."""
    return keyed_id("announcement", domain.value, item)


FACT_DOMAINS: dict[type[Fact | BusinessFact], Domain] = {
    BusinessInsight: Domain.SOPHIA,
    ClientAnalysis: Domain.SOPHIA,
    MarketResearch: Domain.SOPHIA,
    SalesIntelligence: Domain.SOPHIA,
    ArtemisToSophia: Domain.SOPHIA,
    CodeAnalysis: Domain.ARTEMIS,
    SystemMonitoring: Domain.ARTEMIS,
    SecurityAlert: Domain.ARTEMIS,
    PerformanceAnalysis: Domain.ARTEMIS,
    SophiaToArtemis: Domain.ARTEMIS,
    StrategicAlert: Domain.CEO,
    KnowledgeUpdate: Domain.CEO,
    OrchestratorStart: Domain.SYSTEM,
    OrchestratorStop: Domain.SYSTEM,
    HealthCheck: Domain.SYSTEM,
    **dict.fromkeys(KIND_OF, Domain.SOPHIA),
}
"""Which domain each fact is meant for: published elsewhere it is refused. That domain's own agents may pass it on."""


def fact_kind(fact: type[Fact | BusinessFact]) -> str:
    """The kind of actor that takes the fact."""
    return KIND_OF[fact] if issubclass(fact, BusinessFact) else SIGNAL


class SignalRecorded(Event, frozen=True, kw_only=True, tag="signal.recorded.v1"):
    fact: AnyFact
    executive_attention: bool = False

    @property
    def label(self) -> Clearance:
        return self.fact.confidentiality or Clearance.PUBLIC
