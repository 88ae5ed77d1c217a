"""Business insight: key figures of what was computed and written, by indicator and period, against what the strategy asks for.

It computes nothing of clients, sales and markets itself: those tools' findings are given to it as parts.
"""

import re
from collections.abc import Sequence

from msgspec import Struct

from actors.sophia.tools.against_strategy import Indicator, Insight, insights, is_change, is_goal, told
from actors.sophia.tools.claims import Claim, Statement, claims, quoted, relevance, statements
from actors.tool import Fetch, tool
from contracts.domains import Clearance
from contracts.model import Evidence
from runtime.ports import Tool
from runtime.text import words

FINDINGS_MAX = 16
INSIGHTS_TOLD_MAX = 6
PART_TOLD_MAX = 5
NOTHING = "No key figures stand in what was found."
NEAR_CHARS = 70

_INDICATORS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(rf"\b(?:{pattern})", re.IGNORECASE))
    for name, pattern in (
        ("churn", r"churn\w*|attrition|customers? (?:with [^.;()]{1,80} )?(?:left|lost)|cancellations?"),
        ("retention", r"retention|renewals?"),
        ("recurring revenue", r"ARR\b|MRR\b|recurring revenue|monthly charges?"),
        ("revenue", r"revenues?|turnover|sales\b"),
        ("margin", r"(?:gross |operating )?margins?|EBITDA"),
        ("cost", r"costs?\b|expens\w+|budget\w*|capex|opex|invest\w*"),
        ("customer satisfaction", r"NPS\b|CSAT|satisfaction|net promoter"),
        ("acquisition", r"CAC\b|acquisition|conversion|win rate|new customers"),
        ("pipeline", r"pipeline|deals?\b"),
        ("support load", r"tickets?|support|first response|resolution time|call cent\w+"),
        ("market share", r"market share"),
        ("growth", r"grow\w*|grew|increas\w+|declin\w+|fell\b|rose\b"),
        ("headcount", r"headcount|engineers?|employees|staff|hir(?:e|es|ing)\b|FTEs?"),
        ("availability", r"uptime|availability|downtime|outages?"),
        ("delivery", r"roadmap|milestones?|deadline|release|launch\w*|weeks?"),
    )
)
_PERIOD = re.compile(
    r"\bQ[1-4](?:\s(?:of\s)?\d{4})?|\bH[12]\s\d{4}|\b(?:January|February|March|April|May|June|July|August|September|October"
    r"|November|December)\s\d{4}|\b(?:19|20)\d{2}\b"
)
_INTERVAL = re.compile(r",? ?\d+ % interval [^();]*")
_QUOTES = re.compile(r"\(source: |^Source ")


class Part(Struct, frozen=True, kw_only=True):
    """What another tool found: its name for people, and its findings."""

    name: str
    findings: tuple[str, ...]
    label: Clearance = Clearance.PUBLIC


class BusinessInsightArguments(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The question, the texts to read, what other tools found, and what the CEO's strategy says."""

    question: str
    evidence: tuple[Evidence, ...] = ()
    parts: tuple[Part, ...] = ()
    strategy: tuple[Evidence, ...] = ()


class Disagreement(Struct, frozen=True, kw_only=True):
    """One indicator with different percentages in different sources (perhaps of different periods): a hint to look closer."""

    name: str
    figures: tuple[str, ...]
    titles: tuple[str, ...]


class BusinessInsightResult(Struct, frozen=True, kw_only=True):
    """Indicators in order of relevance to the question, what the strategy asks for beside them, and where sources differ."""

    findings: tuple[str, ...]
    indicators: tuple[Indicator, ...]
    insights: tuple[Insight, ...]
    disagreements: tuple[Disagreement, ...]
    texts: int


def insight(
    question: str, evidence: Sequence[Evidence], parts: Sequence[Part] = (), strategy: Sequence[Evidence] = ()
) -> BusinessInsightResult:
    """Everything empty gives an empty result that says so."""
    asked = frozenset(words(question))
    written = _indicators(statements(evidence))
    computed = _indicators(_computed(parts))
    ranked = sorted(written, key=lambda one: -relevance(one.claim.sentence + " " + one.name, asked))
    differing = disagreements(ranked)
    seen = insights(_indicators(statements(strategy)), (*computed, *ranked))
    findings = [
        *map(told, seen[:INSIGHTS_TOLD_MAX]),
        *(f"{part.name}: {finding}" for part in parts for finding in part.findings[:PART_TOLD_MAX]),
        *_figures(ranked),
        *(
            f"{one.name.capitalize()}: sources state different percentages ({', '.join(one.figures)}), perhaps for different"
            f" groups or periods."
            for one in differing
        ),
    ]
    return BusinessInsightResult(
        findings=tuple(findings) or (NOTHING,),
        indicators=(*computed, *ranked),
        insights=tuple(seen),
        disagreements=tuple(differing),
        texts=len(evidence),
    )


def _computed(parts: Sequence[Part]) -> list[Statement]:
    """Each finding as a statement of its tool: without intervals, whose bounds are no measurements, and without quotations."""
    return [
        Statement(
            sentence=_INTERVAL.sub("", finding),
            evidence=Evidence(id=part.name, title=part.name, text=finding, label=part.label, score=1.0),
        )
        for part in parts
        for finding in part.findings
        if not _QUOTES.search(finding)
    ]


def _indicators(found: Sequence[Statement]) -> list[Indicator]:
    return [one for claim in claims(found) if (one := indicator(claim)) is not None]


def _figures(ranked: Sequence[Indicator]) -> list[str]:
    """Each sentence with a figure once, with its indicator and period."""
    found: dict[str, str] = {}
    for one in ranked:
        of = f"{one.name}, {one.period}" if one.period else one.name
        found.setdefault(one.claim.sentence, f"{one.claim.text} ({of}): {quoted(one.claim.sentence, one.claim.title)}")
    return list(found.values())[:FINDINGS_MAX]


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
    return Indicator(name=nearest[2], claim=claim, period=_period(claim, at)) if nearest else None


def _period(claim: Claim, at: int) -> str:
    """The period that stands nearest to the figure in its sentence."""
    found = [(abs(match.start() - at), match.group()) for match in _PERIOD.finditer(claim.sentence)]
    return min(found)[1] if found else ""


def disagreements(found: Sequence[Indicator]) -> list[Disagreement]:
    """Indicators whose sources share no percentage at all, every figure with its source and period."""
    by_name: dict[str, dict[str, dict[float, Indicator]]] = {}
    for one in found:
        claim = one.claim
        if claim.kind == "percentage" and claim.value is not None and not (is_goal(claim) or is_change(claim)):
            by_name.setdefault(one.name, {}).setdefault(claim.source, {})[claim.value] = one
    result = []
    for name, sources in sorted(by_name.items()):
        if len(sources) < 2 or set.intersection(*(set(held) for held in sources.values())):
            continue
        held = [one for figures in sources.values() for one in figures.values()]
        result.append(
            Disagreement(
                name=name,
                figures=tuple(dict.fromkeys(_sourced(one) for one in held))[:8],
                titles=tuple(dict.fromkeys(one.claim.title for one in held))[:8],
            )
        )
    return result


def _sourced(one: Indicator) -> str:
    of = f"{one.claim.title}, {one.period}" if one.period else one.claim.title
    return f"{one.claim.text} in {of}"


def _run(arguments: BusinessInsightArguments, blobs: Fetch) -> BusinessInsightResult:  # noqa: ARG001 - the port's shape
    return insight(arguments.question, arguments.evidence, arguments.parts, arguments.strategy)


BUSINESS_INSIGHT: Tool = tool(
    "business_insight",
    _run,
    "Sets the figures of a business, as texts state and tools compute them, against what its strategy asks for.",
    permission="sophia:read",
)
