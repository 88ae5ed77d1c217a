"""Who is told what: which domains hear of changed knowledge and of strategic alerts. The whole table stands here.

A domain is told of an item only if all its readers could read the item itself where it stands, and nothing above its ceiling; of
the item it learns the title and where to find it, never the content.
"""

from msgspec import Struct

from contracts.domains import Clearance, Domain, Partition
from contracts.facts import ANNOUNCED, SIGNAL, announced_entry
from contracts.knowledge import KEY_INSIGHT_FROM, Category, Outline
from contracts.subjects import ActorRef


class Subscription(Struct, frozen=True):
    """A domain, the highest label that it is told, and of which items and alerts."""

    domain: Domain
    ceiling: Clearance
    partitions: frozenset[Partition]
    categories: frozenset[Category]
    priority_min: int = KEY_INSIGHT_FROM


_OPEN: tuple[Partition, ...] = ("ceo_knowledge", "shared_knowledge")
"""What everybody may read, as far as he is cleared."""

SUBSCRIPTIONS = (
    Subscription(
        Domain.SOPHIA,
        Clearance.RESTRICTED,
        frozenset((*_OPEN, "sophia_business", "research_data")),
        frozenset(
            (
                "strategic_planning",
                "financial_analysis",
                "market_intelligence",
                "competitive_analysis",
                "operational_metrics",
                "human_resources",
                "risk_management",
                "customer_insights",
                "partnership_opportunities",
            )
        ),
    ),
    Subscription(
        Domain.ARTEMIS,
        Clearance.RESTRICTED,
        frozenset((*_OPEN, "artemis_technical", "code_knowledge")),
        frozenset(("strategic_planning", "technology_roadmap", "operational_metrics", "risk_management")),
    ),
)


def told_of_item(item: Outline, partition: Partition) -> frozenset[Domain]:
    """The domains that hear of an item that is as outlined, in that partition."""
    return frozenset(
        one.domain
        for one in SUBSCRIPTIONS
        if item.strategic_priority >= one.priority_min
        and item.category in one.categories
        and partition in one.partitions
        and item.confidentiality <= one.ceiling
    )


def told_of_alert(label: Clearance, category: Category | None) -> frozenset[Domain]:
    """The domains that hear of a strategic alert of this label: those that its category concerns, without one all."""
    return frozenset(
        one.domain for one in SUBSCRIPTIONS if label <= one.ceiling and category in (None, *one.categories)
    )


def announced_to(domain: Domain, item: str) -> ActorRef:
    """The signal that holds what a domain was told of an item: one, so that the last thing told counts."""
    return ActorRef(domain, SIGNAL, f"{ANNOUNCED}{item}")


def announcement(actor: ActorRef, item: str) -> str | None:
    """The entry by which the domain finds what it was told of an item; None where it was not told, but said so itself."""
    told = actor == announced_to(actor.domain, item) and actor.domain in {one.domain for one in SUBSCRIPTIONS}
    return announced_entry(actor.domain, item) if told else None
