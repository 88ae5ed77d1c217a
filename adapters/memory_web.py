"""A web in memory: for fast tests, and the reference for the others."""

from collections.abc import Iterable

from contracts.web import WebLink, WebPage
from runtime.errors import OutcomeError, UnavailableError
from runtime.text import words


class MemoryWeb:
    """WebResearch over given pages: the engine names those that share words with the query, most first."""

    def __init__(self, pages: Iterable[WebPage], *, engine: str = "memory") -> None:
        self._pages = {page.url: page for page in pages}
        self._engine = engine
        self.away = False  # the engine does not answer

    @property
    def engine(self) -> str:
        return self._engine

    async def find(self, query: str, *, limit: int) -> list[WebLink]:
        if self.away:
            raise UnavailableError(self._engine, "it is away")
        asked = frozenset(words(query))
        shared = {page.url: len(asked & frozenset(words(f"{page.title} {page.text}"))) for page in self._pages.values()}
        best = sorted((page for page in self._pages.values() if shared[page.url]), key=lambda page: -shared[page.url])
        return [WebLink(url=page.url, title=page.title, published=page.published) for page in best[:limit]]

    async def fetch(self, url: str) -> WebPage:
        page = self._pages.get(url)
        if page is None:
            raise OutcomeError(f"{url} answers 404")
        if not page.text.strip():
            raise OutcomeError(f"{url} holds no text")
        return page
