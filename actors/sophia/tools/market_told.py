"""What market research found, in exact sentences with their sources."""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from actors.sophia.tools.claims import Claim, quoted
from actors.sophia.tools.market_figures import Comparison, MarketFigure
from contracts.model import NO_SOURCE
from runtime.text import words

if TYPE_CHECKING:
    from actors.sophia.tools.market_research import MarketResearchResult, SourceFound

FIGURES_TOLD_MAX = 10
CLAIMS_TOLD_MAX = 8
SOURCES_TOLD_MAX = 8
SOURCES_WANTED = 3
UNKNOWN_TOLD_MAX = 4

_WORD = re.compile(r"[^\W_][\w'’-]*")
_SIZE = re.compile(r"\b(?:how (?:big|large|much)|size|worth|volume)\b", re.IGNORECASE)
_ASKING = re.compile(
    r"(?:big|larg|siz|worth|volum|markets?$|compet|rival|offer|trend|industr|shar|grow|pric|cost|tell|show|find|know|give|list"
    r"|name|compar|research|much$|many$|currently$|today$|who$|other|good|best|main|important)",
    re.IGNORECASE,
)

_CALLED = {"size": "Market size, how big it is,", "growth": "Market growth", "share": "Market share", "price": "Price"}


def told(result: "MarketResearchResult", question: str, texts: Sequence[str]) -> "MarketResearchResult":
    """The result with its findings; first what is asked for and stands in none of the texts."""
    findings = [
        *_unsaid(result, question, texts),
        *(_figure(one) for one in _once(result.figures)[:FIGURES_TOLD_MAX]),
        *map(_compared, result.comparisons),
        *_competitors(result),
        *_sources(result),
        *result.notes,
        *_others(result.claims, {one.sentence for one in result.figures}),
    ]
    return replace(result, findings=tuple(findings))


def _unsaid(result: "MarketResearchResult", question: str, texts: Sequence[str]) -> Iterator[str]:
    if not texts:
        return
    said = frozenset(word for text in texts for word in words(text))
    unknown = [word for word in _WORD.findall(question) if words(word) and said.isdisjoint(words(word))]
    subjects = [f"“{word}”" for word in dict.fromkeys(unknown) if not _ASKING.match(word)]
    if subjects:
        yield f"{NO_SOURCE} speaks of {' or '.join(subjects[:UNKNOWN_TOLD_MAX])}: what follows is of what is nearest."
    if _SIZE.search(question) and not any(one.kind == "size" for one in result.figures):
        yield f"{NO_SOURCE} says how big the market is."


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
            f"{one.name} ({_times(one.count)}, in {', '.join(titles.get(source, source) for source in one.sources[:3])})"
            for one in result.competitors[:8]
        )
        yield f"Names mentioned where competition is the subject: {listed}."


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _sources(result: "MarketResearchResult") -> Iterator[str]:
    count, web = len(result.sources), sum(one.web for one in result.sources)
    counted = f"{count} source{'' if count == 1 else 's'}"
    if count < SOURCES_WANTED:
        yield f"Only {counted} {'was' if count == 1 else 'were'} found, where {SOURCES_WANTED} are wanted ({web} from the web)."
    else:
        yield f"The market research rests on {counted}, {web} of them from the web; its quality is {result.quality:.2f} of 1."
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
