"""Market research: who and what the evidence says about the market, figure by figure and with its source."""

import re
from collections.abc import Sequence

from msgspec import Struct

from actors.sophia.tools.claims import Claim, Statement, claims, quoted, relevance, statements
from actors.tool import Fetch, tool
from contracts.model import Evidence
from runtime.ports import Tool
from runtime.text import words

FINDINGS_MAX = 14
MENTIONS_MAX = 20

_CUE = re.compile(
    r"\b(?:competit(?:or|ors|ion|ive)|rival|rivals|compared with|against|versus|vs\.?|undercut|challenger|incumbent"
    r"|market leader|provider|vendor|switched to|left for|lost to)\b",
    re.IGNORECASE,
)
_MARKET = re.compile(
    r"\b(?:market(?:s|place)?|segment|industry|sector|demand|region|share|customers?|pricing|price)\b", re.IGNORECASE
)
_NAME = re.compile(r"(?<![.!?:]\s)(?<!^)\b([A-Z][A-Za-z0-9&]+(?:\s+(?:[A-Z][A-Za-z0-9&]+|of|and(?=\s[A-Z])))*)")
_NOT_A_NAME = re.compile(
    r"^(?:Q[1-4]|H[12]|EUR|USD|GBP|KPI|NPS|API|CRM|SMB|SME|CEO|CFO|CTO|IT|AI|SLA|January|February|March|April|May|June|July"
    r"|August|September|October|November|December|Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday|I|We|The|In|Our)\b"
)


class MarketResearchArguments(Struct, frozen=True, kw_only=True):
    """The question and the texts to read."""

    question: str
    evidence: tuple[Evidence, ...] = ()


class Mention(Struct, frozen=True, kw_only=True):
    """A name met near words about competition: how often, and in which evidence (ids)."""

    name: str
    count: int
    sources: tuple[str, ...]


class MarketResearchResult(Struct, frozen=True, kw_only=True):
    """Claims about the market in order of relevance to the question, and the names of likely competitors."""

    findings: tuple[str, ...]
    claims: tuple[Claim, ...]
    competitors: tuple[Mention, ...]
    texts: int
    sentences: int


def research(question: str, evidence: Sequence[Evidence]) -> MarketResearchResult:
    """What the texts state. Empty evidence gives an empty result that says so."""
    found = statements(evidence)
    asked = frozenset(words(question))
    ranked = rank(claims(found), asked)
    names = competitors(found)
    findings = [
        f"{len(found):,} sentences of {len(evidence)} texts were read; they state {len(ranked):,} figures and dates."
    ]
    if names:
        listed = ", ".join(f"{one.name} ({one.count})" for one in names[:8])
        findings.append(f"Names mentioned where competition is the subject: {listed}.")
    findings += figures(ranked)
    return MarketResearchResult(
        findings=tuple(findings),
        claims=tuple(ranked),
        competitors=tuple(names),
        texts=len(evidence),
        sentences=len(found),
    )


def rank(found: Sequence[Claim], asked: frozenset[str]) -> list[Claim]:
    """Claims by how much their sentence speaks to the question and to the market; ties keep the order of the texts."""

    def weight(claim: Claim) -> float:
        about_market = 0.3 if _MARKET.search(claim.sentence) or _CUE.search(claim.sentence) else 0.0
        return relevance(claim.sentence, asked) + about_market

    return sorted(found, key=lambda claim: -weight(claim))


def figures(ranked: Sequence[Claim]) -> list[str]:
    """Each sentence that holds a percentage, an amount or a date once, its figures first."""
    grouped: dict[str, list[Claim]] = {}
    for claim in ranked:
        if claim.kind != "count":
            grouped.setdefault(claim.sentence, []).append(claim)
    lines = []
    for sentence, held in list(grouped.items())[:FINDINGS_MAX]:
        listed = ", ".join(dict.fromkeys(claim.text for claim in held))
        lines.append(f"{listed}: {quoted(sentence, held[0].title)}")
    return lines


def competitors(found: Sequence[Statement]) -> list[Mention]:
    """Capitalised names inside sentences about competition, commonest first."""
    sources: dict[str, list[str]] = {}
    for statement in found:
        if not _CUE.search(statement.sentence):
            continue
        for match in _NAME.finditer(statement.sentence):
            name = match.group(1).removesuffix(" of").strip()
            if len(name) > 2 and not _NOT_A_NAME.match(name):
                sources.setdefault(name, []).append(statement.evidence.id)
    mentions = [Mention(name=name, count=len(ids), sources=tuple(dict.fromkeys(ids))) for name, ids in sources.items()]
    return sorted(mentions, key=lambda one: (-one.count, one.name))[:MENTIONS_MAX]


def _run(arguments: MarketResearchArguments, blobs: Fetch) -> MarketResearchResult:  # noqa: ARG001 - the port's shape
    return research(arguments.question, arguments.evidence)


MARKET_RESEARCH: Tool = tool(
    "market_research",
    _run,
    "Finds what texts claim about a market: its size, growth and shares, who competes, and which texts say so.",
    permission="sophia:read",
)
