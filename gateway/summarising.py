"""The strategic summary (mission C3): what matters to a domain over a time, each statement with the items that say it.

It quotes and never invents: the same items give the same summary. Which categories belong to which domain, and where its risks
and opportunities are looked for, stands in SCOPES.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import msgspec
from msgspec import Struct

from contracts.curating import Horizon, Statement, StrategicSummary, SummaryDomain, SummaryQuery
from contracts.domains import Clearance
from contracts.knowledge import KEY_INSIGHT_FROM, Category
from gateway.commands import PARTITION_READ, Incoming, may_read
from projections.strategic import Outlook, StrategicItem
from runtime.caching import Key
from runtime.text import clip, sentences

STATEMENTS_MAX = 5
INSIGHTS_CATEGORY_MAX = 3
STATEMENT_CHARS_MAX = 500
TTL_S_MAX = 300.0
SPACE = "summary"

HORIZONS: dict[Horizon, timedelta] = {
    "week": timedelta(days=7),
    "month": timedelta(days=30),
    "quarter": timedelta(days=91),
    "year": timedelta(days=365),
}
"""How far back an item may have changed, and how far ahead it may expire, to be part of it."""


class Scope(Struct, frozen=True):
    """The categories of a domain, and those in which its risks and its opportunities are."""

    categories: tuple[Category, ...]
    risks: tuple[Category, ...]
    opportunities: tuple[Category, ...]


SCOPES: dict[SummaryDomain, Scope] = {
    "business": Scope(
        (
            "strategic_planning",
            "financial_analysis",
            "operational_metrics",
            "human_resources",
            "customer_insights",
            "partnership_opportunities",
            "risk_management",
        ),
        risks=("risk_management", "financial_analysis"),
        opportunities=("partnership_opportunities", "customer_insights"),
    ),
    "technical": Scope(
        ("technology_roadmap", "operational_metrics", "risk_management", "strategic_planning"),
        risks=("risk_management", "operational_metrics"),
        opportunities=("technology_roadmap",),
    ),
    "market": Scope(
        ("market_intelligence", "competitive_analysis", "customer_insights", "partnership_opportunities"),
        risks=("competitive_analysis",),
        opportunities=("market_intelligence", "partnership_opportunities", "customer_insights"),
    ),
}

_RISK = re.compile(
    r"(?i)\b(?:risk|threat|los[es]|losing|churn|breach|incident|outage|delay|overrun|shortage|declin|fell\b|fall|attack|depend)"
)
_CHANCE = re.compile(r"(?i)\b(?:opportunit|grow|demand|partner|expan|win|gain|save|improv|new market|potential|could)")
_ADVICE = re.compile(r"(?i)\b(?:should|must|recommend|propos|needs? to|has to|have to|ought to)\b")


async def summary(incoming: Incoming[SummaryQuery]) -> StrategicSummary:
    """Under the asker's clearance, of the partitions that he may read. Made once until the knowledge changes."""
    principal, query, reads, now = (
        incoming.principal,
        incoming.body,
        incoming.services.reads,
        incoming.services.clock(),
    )
    partitions = tuple(partition for partition in PARTITION_READ if may_read(principal, partition))
    epoch = await reads.knowledge_epoch()
    what = msgspec.json.encode([query, partitions, epoch])
    key, cache = Key(SPACE, principal.clearance, what), incoming.services.cache
    held = await cache.get(key, ttl_s=TTL_S_MAX)
    if held is not None:
        known = msgspec.json.decode(held, type=_Held)
        if now < known.until:
            return known.summary
    window = HORIZONS[query.horizon]
    outlook = Outlook(
        categories=SCOPES[query.domain].categories,
        partitions=partitions,
        since=now - window,
        until=now + window,
        now=now,
    )
    items = await reads.strategic_items(outlook, clearance=principal.clearance)
    made = summarise(query, outlook, items)
    until = min((item.expires for item in items if item.expires), default=now + timedelta(seconds=TTL_S_MAX))
    await cache.put(key, msgspec.json.encode(_Held(until, made)), ttl_s=TTL_S_MAX)
    return made


class _Held(Struct, frozen=True):
    """A summary, and until when it may be told: an item that has expired since must not be in it."""

    until: datetime
    summary: StrategicSummary


def summarise(query: SummaryQuery, outlook: Outlook, items: Sequence[StrategicItem]) -> StrategicSummary:
    """Of items that come best first. Pure."""
    scope = SCOPES[query.domain]
    told = {
        "priorities": _first(STATEMENTS_MAX, (_quoted(item, None) for item in items)),
        "key_insights": tuple(
            statement
            for category in scope.categories
            for statement in _first(
                INSIGHTS_CATEGORY_MAX,
                (
                    _quoted(item, None)
                    for item in _of(items, (category,))
                    if item.strategic_priority >= KEY_INSIGHT_FROM
                ),
            )
        ),
        "risks": _first(STATEMENTS_MAX, (_quoted(item, _RISK) for item in _of(items, scope.risks))),
        "opportunities": _first(STATEMENTS_MAX, (_quoted(item, _CHANCE) for item in _of(items, scope.opportunities))),
        "recommendations": _first(STATEMENTS_MAX, _advice(items, outlook.until)),
    }
    shown = [statement for statements in told.values() for statement in statements]
    return StrategicSummary(
        domain=query.domain,
        horizon=query.horizon,
        since=outlook.since,
        until=outlook.until,
        **told,
        items=len(items),
        label=max((statement.label for statement in shown), default=Clearance.PUBLIC),
    )


def _of(items: Iterable[StrategicItem], categories: tuple[Category, ...]) -> list[StrategicItem]:
    return [item for item in items if item.category in categories]


def _first(most: int, statements: Iterable[Statement]) -> tuple[Statement, ...]:
    return tuple(statement for statement, _ in zip(statements, range(most), strict=False))


def _quoted(item: StrategicItem, cue: re.Pattern[str] | None) -> Statement:
    """Its title, and its first sentence with the cue; where none has it, its first."""
    said = sentences(item.content)
    sentence = next((one for one in said if cue is not None and cue.search(one)), said[0] if said else "")
    return _statement(item, f"{item.title}: {sentence}" if sentence and sentence != item.title else item.title)


def _advice(items: Sequence[StrategicItem], until: datetime) -> Iterable[Statement]:
    """What items say should be done, best first; then what expires."""
    for item in items:
        advice = next((one for one in sentences(item.content) if _ADVICE.search(one)), None)
        if advice is not None:
            yield _statement(item, advice)
    for item in items:
        if item.expires is not None and item.expires <= until:
            yield _statement(item, f"Review {item.title!r}: it expires at {item.expires:%Y-%m-%d %H:%M} UTC.")


def _statement(item: StrategicItem, text: str) -> Statement:
    return Statement(
        text=clip(text, STATEMENT_CHARS_MAX),
        items=(item.id,),
        category=item.category,
        strategic_priority=item.strategic_priority,
        label=item.label,
    )
