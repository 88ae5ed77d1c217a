"""Market research: what sources say about a market, each with its address, date, relevance and quality, figure by figure.

Relevance, 0 to 1, is the share of the question's words that a source has; where search gave it a score, the mean of both.
A source's quality is the mean of four marks, 0 to 1 each: that it is dated (1 in its first year, a fifth less with each further
one, 0 without a date), that it gives figures (a third for each of three), that another source gives the same figure, and its
substance (its words over 200, at most 1). The research's quality is 0.4 × its sources over three, at most 1, + 0.3 × their mean
quality + 0.3 × the share of comparable figures that agree (a half where none can be compared).
"""

import re
from collections.abc import Sequence
from datetime import date

from msgspec import Struct

from actors.sophia.tools.claims import Claim, Statement, claims, relevance, statements
from actors.sophia.tools.market_figures import Comparison, MarketFigure, compared, market_figures
from actors.sophia.tools.market_told import told
from actors.tool import Fetch, tool
from contracts.domains import Clearance
from contracts.model import Evidence
from runtime.ports import Tool
from runtime.text import sentences, words

MENTIONS_MAX = 20
SOURCES_WANTED = 3
FIGURES_WANTED = 3
WORDS_WANTED = 200
FRESH_DAYS = 365
SUMMARY_SENTENCES = 2

_CUE = re.compile(
    r"\b(?:competit(?:or|ors|ion|ive)|compet(?:e|es|ing)|rival|rivals|compared with|against|versus|vs\.?|undercut\w*|challenger"
    r"|incumbent|market leader|provider|vendor|switched to|left for|lost to)\b",
    re.IGNORECASE,
)
_MARKET = re.compile(
    r"\b(?:market(?:s|place)?|segment|industry|sector|demand|region|share|customers?|pricing|price)\b", re.IGNORECASE
)
_NAME = re.compile(r"\b([A-Z][A-Za-z0-9&]+(?:\s+(?:[A-Z][A-Za-z0-9&]+|of(?=\s[A-Z])|and(?=\s[A-Z])))*)")
_BEGINS = re.compile(r"(?:^|[.!?:]\s+)$")
_NOT_A_NAME = re.compile(
    r"^(?:Q[1-4]|H[12]|EUR|USD|GBP|KPI|NPS|API|CRM|SMB|SME|CEO|CFO|CTO|IT|AI|SLA|January|February|March|April|May|June|July"
    r"|August|September|October|November|December|Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday|I|We|The|In|Our)\b"
)


class Source(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A text to read. `place`: its address, or where the company has it from. `score`: what search gave it, None: nothing did."""

    id: str
    title: str
    text: str
    label: Clearance
    place: str = ""
    web: bool = False
    published: date | None = None
    score: float | None = None


class MarketResearchArguments(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The question and the sources to read. `evidence`: the same as older questions have it. `notes`: what could not be read."""

    question: str
    evidence: tuple[Evidence, ...] = ()
    sources: tuple[Source, ...] = ()
    notes: tuple[str, ...] = ()
    today: date | None = None


class Mention(Struct, frozen=True, kw_only=True):
    """A name met near words about competition: how often, and in which evidence (ids)."""

    name: str
    count: int
    sources: tuple[str, ...]


class SourceFound(Struct, frozen=True, kw_only=True):
    """A source as it is told: what it says in two sentences, and its marks."""

    id: str
    title: str
    place: str
    web: bool
    published: date | None
    summary: str
    relevance: float
    quality: float


class MarketResearchResult(Struct, frozen=True, kw_only=True):
    """Sources by relevance; market figures with their sources, and where these agree or not; claims in order of relevance."""

    findings: tuple[str, ...]
    sources: tuple[SourceFound, ...]
    quality: float
    figures: tuple[MarketFigure, ...]
    comparisons: tuple[Comparison, ...]
    claims: tuple[Claim, ...]
    competitors: tuple[Mention, ...]
    notes: tuple[str, ...]


def research(
    question: str, sources: Sequence[Source], *, notes: tuple[str, ...] = (), today: date | None = None
) -> MarketResearchResult:
    """What the sources state. No sources give an empty result that says so."""
    asked = frozenset(words(question))
    found = statements([_evidence(one) for one in sources])
    ranked = rank(claims(found), asked)
    figures = market_figures(ranked)
    comparisons = compared(figures)
    read = [_found(one, asked, figures, comparisons, today) for one in sources]
    result = MarketResearchResult(
        findings=(),
        sources=tuple(sorted(read, key=lambda one: (-one.relevance, -one.quality, one.title))),
        quality=_quality(read, comparisons),
        figures=tuple(figures),
        comparisons=tuple(comparisons),
        claims=tuple(ranked),
        competitors=tuple(competitors(found)),
        notes=notes,
    )
    return told(result, question, [f"{one.title} {one.text}" for one in sources])


def _evidence(one: Source) -> Evidence:
    return Evidence(
        id=one.id, title=one.title, text=one.text, label=one.label, score=one.score or 0.0, source=one.place
    )


def _found(
    one: Source,
    asked: frozenset[str],
    figures: Sequence[MarketFigure],
    comparisons: Sequence[Comparison],
    today: date | None,
) -> SourceFound:
    held = sum(figure.source == one.id for figure in figures)
    confirmed = any(other.agree and any(figure.source == one.id for figure in other.figures) for other in comparisons)
    marks = (
        _freshness(one.published, today),
        min(1.0, held / FIGURES_WANTED),
        float(confirmed),
        min(1.0, len(one.text.split()) / WORDS_WANTED),
    )
    shared = relevance(f"{one.title} {one.text}", asked)
    said = sentences(one.text)
    best = sorted(sorted(said, key=lambda sentence: -relevance(sentence, asked))[:SUMMARY_SENTENCES], key=said.index)
    return SourceFound(
        id=one.id,
        title=one.title,
        place=one.place,
        web=one.web,
        published=one.published,
        summary=" ".join(best),
        relevance=round(shared if one.score is None else (shared + min(1.0, max(0.0, one.score))) / 2, 2),
        quality=round(sum(marks) / len(marks), 2),
    )


def _freshness(published: date | None, today: date | None) -> float:
    if published is None or today is None:
        return 0.0
    return max(0.0, 1 - max(0, (today - published).days // FRESH_DAYS) / 5)


def _quality(read: Sequence[SourceFound], comparisons: Sequence[Comparison]) -> float:
    if not read:
        return 0.0
    agreeing = sum(one.agree for one in comparisons) / len(comparisons) if comparisons else 0.5
    mean = sum(one.quality for one in read) / len(read)
    return round(0.4 * min(1.0, len(read) / SOURCES_WANTED) + 0.3 * mean + 0.3 * agreeing, 2)


def rank(found: Sequence[Claim], asked: frozenset[str]) -> list[Claim]:
    """Claims by how much their sentence speaks to the question and to the market; ties keep the order of the texts."""

    def weight(claim: Claim) -> float:
        about_market = 0.3 if _MARKET.search(claim.sentence) or _CUE.search(claim.sentence) else 0.0
        return relevance(claim.sentence, asked) + about_market

    return sorted(found, key=lambda claim: -weight(claim))


def competitors(found: Sequence[Statement]) -> list[Mention]:
    """Capitalised names inside sentences about competition, commonest first; a single word that begins a sentence is none.

    What is part of a longer name counts as that.
    """
    sources: dict[str, list[str]] = {}
    for statement in found:
        if not _CUE.search(statement.sentence):
            continue
        for match in _NAME.finditer(statement.sentence):
            name = match.group(1).strip()
            begins = _BEGINS.search(statement.sentence[: match.start()]) is not None
            if len(name) > 2 and not _NOT_A_NAME.match(name) and not (begins and " " not in name):
                sources.setdefault(name, []).append(statement.evidence.id)
    longest = sorted(sources, key=lambda name: (-len(name.split()), name))
    merged: dict[str, list[str]] = {}
    for name in longest:
        whole = next((other for other in merged if set(name.split()) < set(other.split())), name)
        merged.setdefault(whole, []).extend(sources[name])
    mentions = [Mention(name=name, count=len(ids), sources=tuple(dict.fromkeys(ids))) for name, ids in merged.items()]
    return sorted(mentions, key=lambda one: (-one.count, one.name))[:MENTIONS_MAX]


def _run(arguments: MarketResearchArguments, blobs: Fetch) -> MarketResearchResult:  # noqa: ARG001 - the port's shape
    older = tuple(
        Source(id=one.id, title=one.title, text=one.text, label=one.label, place=one.source, score=one.score)
        for one in arguments.evidence
    )
    sources = arguments.sources or older
    return research(arguments.question, sources, notes=arguments.notes, today=arguments.today)


MARKET_RESEARCH: Tool = tool(
    "market_research",
    _run,
    "Finds what texts claim about a market: its size, growth, shares and prices, who competes, and which texts say so.",
    permission="sophia:read",
)
