"""The strategic summary (mission C3): what matters to a domain over a time, each statement with the items that say it.

It quotes and never invents: the same items give the same summary. Which categories belong to which domain, and where its risks
and opportunities are looked for, stands in SCOPES.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import msgspec
from msgspec import Struct

from contracts.curating import Horizon, Statement, StrategicSummary, SummaryDomain, SummaryQuery
from contracts.domains import Clearance, Partition
from contracts.knowledge import KEY_INSIGHT_FROM, Category
from projections.strategic import Outlook, StrategicItem, knowledge_epoch, strategic_items
from runtime.caching import Cache, Key
from runtime.read_models import Db
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


class StrategicReads(Protocol):
    """What a summary is made of."""

    async def knowledge_epoch(self) -> str:
        """As `strategic.knowledge_epoch`."""
        ...

    async def strategic_items(self, outlook: Outlook, *, clearance: Clearance) -> list[StrategicItem]:
        """As `strategic.strategic_items`."""
        ...


class StoredItems:
    """StrategicReads of a database."""

    def __init__(self, db: Db) -> None:
        self._db = db

    async def knowledge_epoch(self) -> str:
        return await knowledge_epoch(self._db)

    async def strategic_items(self, outlook: Outlook, *, clearance: Clearance) -> list[StrategicItem]:
        return await strategic_items(self._db, outlook, clearance=clearance)


class _Held(Struct, frozen=True):
    """A summary, and until when it may be told: an item that has expired since must not be in it."""

    until: datetime
    summary: StrategicSummary


class Summaries:
    """The port's (`runtime.ports`): each is made once until the knowledge changes."""

    def __init__(self, reads: StrategicReads, cache: Cache) -> None:
        self._reads = reads
        self._cache = cache

    async def summary(
        self, query: SummaryQuery, partitions: tuple[Partition, ...], *, clearance: Clearance, now: datetime
    ) -> StrategicSummary:
        epoch = await self._reads.knowledge_epoch()
        key = Key(SPACE, clearance, msgspec.json.encode([query, partitions, epoch]))
        held = await self._cache.get(key, ttl_s=TTL_S_MAX)
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
        items = await self._reads.strategic_items(outlook, clearance=clearance)
        made = summarise(query, outlook, items)
        until = min((item.expires for item in items if item.expires), default=now + timedelta(seconds=TTL_S_MAX))
        await self._cache.put(key, msgspec.json.encode(_Held(until, made)), ttl_s=TTL_S_MAX)
        return made


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
    label = max((statement.label for statement in shown), default=Clearance.PUBLIC)
    return StrategicSummary(
        domain=query.domain,
        horizon=query.horizon,
        since=outlook.since,
        until=outlook.until,
        **told,
        items=sum(item.label <= label for item in items),
        label=label,
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
