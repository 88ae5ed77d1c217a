"""Research on the web, as an effect does it: ask the engine, read what it names, keep what was read.

What leaves is the question's own words and nothing else, and that only where its label allows it; what comes is public and data.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from contracts.domains import Clearance
from contracts.users import Permission
from contracts.web import WebFindings, WebLink, WebPage, WebSource, WebUnread, web_id
from runtime.errors import OutcomeError, UnavailableError
from runtime.guards import Guards
from runtime.ports import Blobs
from runtime.text import clip, words
from runtime.web_ports import WebResearch

DEPENDENCY = "web research"
RESEARCH_PERMISSION: Permission = "sophia:read"
QUERY_CHARS_MAX = 300
EXCERPT_CHARS_MAX = 4_000
NAMED_MAX = 3
"""Times as many pages as are wanted that the engine may name: some cannot be read."""


class NoWeb:
    """WebResearch where none is configured."""

    engine = ""

    async def find(self, query: str, *, limit: int) -> list[WebLink]:  # noqa: ARG002 - the port's
        return []

    async def fetch(self, url: str) -> WebPage:
        raise OutcomeError(f"{url} is not read: no web research is configured")


class Research(Struct, frozen=True, kw_only=True):
    """The web as reactions reach it: questions whose label is above `label_max` are not sent there."""

    web: WebResearch
    label_max: Clearance = Clearance.INTERNAL
    s_max: float = 45.0


NO_RESEARCH = Research(web=NoWeb())


class Asking(Struct, frozen=True, kw_only=True):
    """A question to the web: its words, how confidential it is, how many pages are wanted, and the time."""

    query: str
    label: Clearance
    sources_max: int
    now: datetime


async def research(setup: Research, asking: Asking, blobs: Blobs, guards: Guards) -> WebFindings:
    """Raises OutcomeError where the web is not to be had now: nobody is kept waiting for it."""
    label, sources_max = asking.label, asking.sources_max
    asked = clip(" ".join(asking.query.split()), QUERY_CHARS_MAX)
    found = WebFindings(query=asked, engine=setup.web.engine)
    if not setup.web.engine:
        return found
    if label > setup.label_max:
        withheld = (
            f"the question is {label.value}, and only what is {setup.label_max.value} or below may be sent to a search engine"
            " (ask it with a lower confidentiality, or set web.label_max)"
        )
        return WebFindings(query=asked, engine=setup.web.engine, withheld=withheld)
    try:
        async with guards.call(DEPENDENCY), asyncio.timeout(setup.s_max):
            links = await setup.web.find(asked, limit=sources_max * NAMED_MAX)
            sources, unread = await _read(setup.web, links, sources_max)
    except TimeoutError as error:
        raise OutcomeError(f"there is no web research now: it took longer than {setup.s_max:g} s") from error
    except UnavailableError as error:
        raise OutcomeError(f"there is no web research now: {error}") from error
    kept = [
        WebSource(
            id=web_id(page.url),
            url=page.url,
            title=page.title or link.title or page.url,
            excerpt=excerpt(page.text, asked),
            content=await blobs.put(page.text.encode()),
            rank=rank,
            fetched=asking.now,
            published=page.published or link.published,
        )
        for rank, link, page in sources
    ]
    return WebFindings(query=asked, engine=setup.web.engine, sources=tuple(kept), unread=tuple(unread))


Read = tuple[int, WebLink, WebPage]


async def _read(web: WebResearch, links: Sequence[WebLink], wanted: int) -> tuple[list[Read], list[WebUnread]]:
    """The first `wanted` pages that can be read, several at a time, and those that cannot."""
    read: list[Read] = []
    unread: list[WebUnread] = []
    rest = list(enumerate(links, start=1))
    while rest and len(read) < wanted:
        batch, rest = rest[: wanted - len(read)], rest[wanted - len(read) :]
        for (rank, link), page in zip(
            batch, await asyncio.gather(*(_page(web, link) for _, link in batch)), strict=True
        ):
            if isinstance(page, WebUnread):
                unread.append(page)
            elif all(page.url != other.url and page.text != other.text for _, _, other in read):
                read.append((rank, link, page))
    return read, unread


async def _page(web: WebResearch, link: WebLink) -> WebPage | WebUnread:
    try:
        return await web.fetch(link.url)
    except (OutcomeError, UnavailableError) as error:
        return WebUnread(link.url, clip(str(error), 300))


def excerpt(text: str, query: str) -> str:
    """The paragraphs that hold most of the query's words, in the order of the page; where none does its beginning."""
    asked = frozenset(words(query))
    paragraphs = [clip(part.strip(), EXCERPT_CHARS_MAX) for part in text.split("\n\n") if part.strip()]
    held = [len(asked & frozenset(words(part))) for part in paragraphs]
    taken: set[int] = set()
    left = EXCERPT_CHARS_MAX
    for at in sorted(range(len(paragraphs)), key=lambda at: (-held[at], at)):
        if held[at] and len(paragraphs[at]) + 2 <= left:
            taken.add(at)
            left -= len(paragraphs[at]) + 2
    if not taken:
        return clip(text, EXCERPT_CHARS_MAX)
    return "\n\n".join(paragraphs[at] for at in sorted(taken))
