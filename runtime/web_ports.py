"""The port to the web: one suite for all its adapters."""

from typing import Protocol

from contracts.web import WebLink, WebPage


class WebResearch(Protocol):
    """A search engine, and the pages that it names."""

    @property
    def engine(self) -> str:
        """Where it looks, in a few words for people; empty: nowhere, none is configured."""
        ...

    async def find(self, query: str, *, limit: int) -> list[WebLink]:
        """The best pages for a query, each address once, best first.

        Raises UnavailableError (the engine is away), OutcomeError (it answers unusably, or refuses us).
        """
        ...

    async def fetch(self, url: str) -> WebPage:
        """The page at this address, within bounds of time, size and kind.

        Raises OutcomeError: it may not, or cannot, be read; the text says why. UnavailableError: its server does not answer.
        """
        ...
