"""How market research is done: what the company knows first, then the web, then the tool that reads both."""

from collections.abc import Sequence

from actors.sophia.tools.claims import relevance
from actors.sophia.tools.market_research import MarketResearchArguments, Source
from actors.team import EVIDENCE_CHARS_MAX, Examined, evidence_of, run_tool
from contracts.domains import Clearance
from contracts.model import Evidence
from contracts.retrieval import Hit
from contracts.web import WebFindings, WebSource
from runtime.effects import Effects
from runtime.errors import OutcomeError
from runtime.text import clip, words

UNREAD_TOLD_MAX = 3
NOT_CONFIGURED = "No research on the web is configured (web.url), so this rests on what the company knows alone."


async def market_work(question: str, hits: Sequence[Hit], effects: Effects) -> Examined:
    """In this order: the web, the time, the tool. A web that is away, or may not be asked, is told and no more."""
    try:
        web = await effects.research(question)
        notes = _notes(web)
    except OutcomeError as error:
        web, notes = WebFindings(query=question), (f"The web was not asked: {error}.",)
    return await _read(question, hits, web, notes, effects)


async def known_market_work(question: str, hits: Sequence[Hit], effects: Effects) -> Examined:
    """Of what the company knows alone: for questions of its own, which are nothing for a search engine."""
    return await _read(question, hits, WebFindings(query=question), (), effects)


async def _read(
    question: str, hits: Sequence[Hit], web: WebFindings, notes: tuple[str, ...], effects: Effects
) -> Examined:
    asked = frozenset(words(question))
    today = (await effects.now()).date()
    arguments = MarketResearchArguments(question=question, sources=sources(hits, web.sources), notes=notes, today=today)
    found = await run_tool("market_research", arguments, "the sources", effects)
    return Examined(found.findings, evidence=tuple(_evidence(one, asked) for one in web.sources), web=web.sources)


def sources(hits: Sequence[Hit], web: Sequence[WebSource]) -> tuple[Source, ...]:
    """What was found, as the tool reads it: the company's first."""
    return (*_known(hits), *map(_on_the_web, web))


def _notes(web: WebFindings) -> tuple[str, ...]:
    if not web.engine:
        return (NOT_CONFIGURED,)
    if web.withheld:
        return (f"The web was not asked: {web.withheld}.",)
    unread = [f"A page could not be read: {one.reason}." for one in web.unread[:UNREAD_TOLD_MAX]]
    if len(web.unread) > UNREAD_TOLD_MAX:
        unread.append(f"{len(web.unread) - UNREAD_TOLD_MAX} more pages could not be read.")
    return tuple(unread) if web.sources or unread else (f"{web.engine} names no page for this question.",)


def _known(hits: Sequence[Hit]) -> tuple[Source, ...]:
    dated = {hit.entry.id: hit.entry.updated.date() for hit in hits if hit.entry.updated}
    return tuple(
        Source(
            id=one.id,
            title=one.title,
            text=one.text,
            label=one.label,
            place=one.source or f"knowledge {one.id}",
            published=dated.get(one.id),
            score=one.score,
        )
        for one in evidence_of(hits)
    )


def _on_the_web(one: WebSource) -> Source:
    published = one.published.date() if one.published else None
    return Source(
        id=one.id,
        title=one.title,
        text=one.excerpt,
        label=Clearance.PUBLIC,
        place=one.url,
        web=True,
        published=published,
    )


def _evidence(one: WebSource, asked: frozenset[str]) -> Evidence:
    return Evidence(
        id=one.id,
        title=one.title,
        text=clip(one.excerpt, EVIDENCE_CHARS_MAX),
        label=Clearance.PUBLIC,
        score=round(relevance(f"{one.title} {one.excerpt}", asked), 4),
        source=one.url,
    )
