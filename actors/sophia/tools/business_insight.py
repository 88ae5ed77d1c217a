"""Business insight: the key figures that the evidence states, by indicator, and where two sources do not agree."""

import re
from collections.abc import Sequence

from msgspec import Struct

from actors.sophia.tools.claims import Claim, claims, quoted, relevance, statements
from actors.tool import Fetch, tool
from contracts.model import Evidence
from runtime.ports import Tool
from runtime.text import words

FINDINGS_MAX = 16
NEAR_CHARS = 70

_INDICATORS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(rf"\b(?:{pattern})", re.IGNORECASE))
    for name, pattern in (
        ("churn", r"churn\w*|attrition|customers? (?:left|lost)|cancellations?"),
        ("retention", r"retention|renewals?"),
        ("recurring revenue", r"ARR\b|MRR\b|recurring revenue|monthly charges?"),
        ("revenue", r"revenues?|turnover|sales\b"),
        ("margin", r"(?:gross |operating )?margins?|EBITDA"),
        ("cost", r"costs?\b|expens\w+|budget\w*|capex|opex|invest\w*"),
        ("customer satisfaction", r"NPS\b|CSAT|satisfaction|net promoter"),
        ("acquisition", r"CAC\b|acquisition|conversion|win rate|new customers"),
        ("support load", r"tickets?|support|first response|resolution time|call cent\w+"),
        ("market share", r"market share"),
        ("growth", r"grow\w*|grew|increas\w+|declin\w+|fell\b|rose\b"),
        ("headcount", r"headcount|engineers?|employees|staff|hir(?:e|es|ing)\b|FTEs?"),
        ("availability", r"uptime|availability|downtime|outages?"),
        ("delivery", r"roadmap|milestones?|deadline|release|launch\w*|weeks?"),
    )
)


class BusinessInsightArguments(Struct, frozen=True, kw_only=True):
    """The question and the texts to read."""

    question: str
    evidence: tuple[Evidence, ...] = ()


class Indicator(Struct, frozen=True, kw_only=True):
    """A key figure: which indicator, and the claim that states it."""

    name: str
    claim: Claim


class Disagreement(Struct, frozen=True, kw_only=True):
    """One indicator with different percentages in different sources (perhaps of different periods): a hint to look closer."""

    name: str
    figures: tuple[str, ...]
    titles: tuple[str, ...]


class BusinessInsightResult(Struct, frozen=True, kw_only=True):
    """Indicators in order of relevance to the question, and where sources differ."""

    findings: tuple[str, ...]
    indicators: tuple[Indicator, ...]
    disagreements: tuple[Disagreement, ...]
    texts: int


def insight(question: str, evidence: Sequence[Evidence]) -> BusinessInsightResult:
    """The key figures the texts state. Empty evidence gives an empty result that says so."""
    asked = frozenset(words(question))
    found = [one for claim in claims(statements(evidence)) if (one := indicator(claim)) is not None]
    ranked = sorted(found, key=lambda one: -relevance(one.claim.sentence + " " + one.name, asked))
    differing = disagreements(ranked)
    findings = [
        f"{len(ranked):,} key figures of {len({one.name for one in ranked})} indicators stand in {len(evidence)} texts."
    ]
    seen: set[str] = set()
    for one in ranked:
        if one.claim.sentence not in seen and len(seen) < FINDINGS_MAX:
            seen.add(one.claim.sentence)
            findings.append(f"{one.claim.text} ({one.name}): {quoted(one.claim.sentence, one.claim.title)}")
    findings += [
        f"{one.name}: sources state different percentages ({', '.join(one.figures)}), perhaps for different groups or periods:"
        f" {'; '.join(one.titles)}."
        for one in differing
    ]
    return BusinessInsightResult(
        findings=tuple(findings), indicators=tuple(ranked), disagreements=tuple(differing), texts=len(evidence)
    )


def indicator(claim: Claim) -> Indicator | None:
    """The indicator whose word stands nearest to the figure, within NEAR_CHARS; None for dates and unknown subjects."""
    if claim.kind == "date":
        return None
    at = claim.sentence.find(claim.text)
    nearest: tuple[int, int, str] | None = None
    for order, (name, pattern) in enumerate(_INDICATORS):
        for match in pattern.finditer(claim.sentence):
            distance = max(0, at - match.end(), match.start() - at - len(claim.text))
            if distance <= NEAR_CHARS and (nearest is None or (distance, order) < nearest[:2]):
                nearest = (distance, order, name)
    return Indicator(name=nearest[2], claim=claim) if nearest else None


def disagreements(found: Sequence[Indicator]) -> list[Disagreement]:
    """Indicators whose sources share no percentage at all."""
    by_name: dict[str, dict[str, dict[float, Claim]]] = {}
    for one in found:
        if one.claim.kind == "percentage" and one.claim.value is not None:
            by_name.setdefault(one.name, {}).setdefault(one.claim.source, {})[one.claim.value] = one.claim
    result = []
    for name, sources in sorted(by_name.items()):
        if len(sources) < 2 or set.intersection(*(set(held) for held in sources.values())):
            continue
        held = [claim for figures in sources.values() for claim in figures.values()]
        result.append(
            Disagreement(
                name=name,
                figures=tuple(dict.fromkeys(claim.text for claim in held))[:8],
                titles=tuple(dict.fromkeys(claim.title for claim in held))[:8],
            )
        )
    return result


def _run(arguments: BusinessInsightArguments, blobs: Fetch) -> BusinessInsightResult:  # noqa: ARG001 - the port's shape
    return insight(arguments.question, arguments.evidence)


BUSINESS_INSIGHT: Tool = tool(
    "business_insight",
    _run,
    "Finds the figures of a business in texts (revenue, margin, growth, costs …) and where texts contradict each other.",
    permission="sophia:read",
)
