"""What market research found, in exact sentences with their sources."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from actors.sophia.tools.claims import Claim, quoted
from actors.sophia.tools.market_figures import Comparison, MarketFigure

if TYPE_CHECKING:
    from actors.sophia.tools.market_research import MarketResearchResult, SourceFound

FIGURES_TOLD_MAX = 10
CLAIMS_TOLD_MAX = 8
SOURCES_TOLD_MAX = 8
SOURCES_WANTED = 3

_CALLED = {"size": "Market size, how big it is,", "growth": "Market growth", "share": "Market share", "price": "Price"}


def told(result: "MarketResearchResult") -> "MarketResearchResult":
    """The result with its findings."""
    findings = [
        *(_figure(one) for one in _once(result.figures)[:FIGURES_TOLD_MAX]),
        *map(_compared, result.comparisons),
        *_competitors(result),
        *_sources(result),
        *result.notes,
        *_others(result.claims, {one.sentence for one in result.figures}),
    ]
    return replace(result, findings=tuple(findings))


def _once(figures: Sequence[MarketFigure]) -> list[MarketFigure]:
    """One of each sentence."""
    return list({one.sentence: one for one in reversed(figures)}.values())[::-1]


def _figure(one: MarketFigure) -> str:
    return f"{_CALLED[one.kind]} {one.text}: {quoted(one.sentence, one.title)}"


def _compared(one: Comparison) -> str:
    of = f"{_CALLED[one.kind].lower().rstrip(',')}{f' in {one.year}' if one.year else ''}"
    listed = " and ".join(f"{figure.text} ({figure.title})" for figure in one.figures)
    if one.agree:
        return f"Sources agree on {of}: {listed}."
    return f"Sources do not agree on {of}: {listed}; they may mean different regions, periods or definitions."


def _competitors(result: "MarketResearchResult") -> Iterator[str]:
    if result.competitors:
        titles = {one.id: one.title for one in result.sources}
        listed = "; ".join(
            f"{one.name} ({one.count} times, in {', '.join(titles.get(source, source) for source in one.sources[:3])})"
            for one in result.competitors[:8]
        )
        yield f"Names mentioned where competition is the subject: {listed}."


def _sources(result: "MarketResearchResult") -> Iterator[str]:
    count, web = len(result.sources), sum(one.web for one in result.sources)
    counted = f"{count} source{'' if count == 1 else 's'}"
    if count < SOURCES_WANTED:
        yield f"Only {counted} {'was' if count == 1 else 'were'} found, where {SOURCES_WANTED} are wanted ({web} from the web)."
    else:
        yield f"This market research rests on {counted}, {web} of them from the web; its quality is {result.quality:.2f} of 1."
    yield from map(_source, result.sources[:SOURCES_TOLD_MAX])


def _source(one: "SourceFound") -> str:
    where = ", ".join(part for part in (one.place, str(one.published or "")) if part)
    marks = f"relevance {one.relevance:.2f}, quality {one.quality:.2f}"
    return f"Source {one.title}{f' ({where})' if where else ''}, {marks}: {one.summary}"


def _others(ranked: Sequence[Claim], said: set[str]) -> list[str]:
    """Further sentences that hold a percentage, an amount or a date, their figures first."""
    grouped: dict[str, list[Claim]] = {}
    for claim in ranked:
        if claim.kind != "count" and claim.sentence not in said:
            grouped.setdefault(claim.sentence, []).append(claim)
    return [
        f"{', '.join(dict.fromkeys(claim.text for claim in held))}: {quoted(sentence, held[0].title)}"
        for sentence, held in list(grouped.items())[:CLAIMS_TOLD_MAX]
    ]
