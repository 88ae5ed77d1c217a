"""What was found on the web for a question: public, written by anybody, and data, never instructions."""

from datetime import datetime

from msgspec import Struct

from contracts.ids import keyed_id


class WebLink(Struct, frozen=True, kw_only=True):
    """What a search engine names: where it is, what it is called, what the engine quotes of it, and its date if it says one."""

    url: str
    title: str
    snippet: str = ""
    published: datetime | None = None


class WebPage(Struct, frozen=True, kw_only=True):
    """A page as a reader sees it. `url` is where it was in the end; `text` is plain, without what is hidden or no text."""

    url: str
    title: str
    text: str
    media_type: str
    published: datetime | None = None


class WebSource(Struct, frozen=True, kw_only=True):
    """A page that was read. `excerpt`: what in it speaks to the question; `content`: the digest of all of its text, a blob.

    `id` always follows from the address, `rank` is its place among what the engine named, from 1.
    """

    id: str
    url: str
    title: str
    excerpt: str
    content: str
    rank: int
    fetched: datetime
    published: datetime | None = None


class WebUnread(Struct, frozen=True):
    """A page that was named and not read, and why."""

    url: str
    reason: str


class WebFindings(Struct, frozen=True, kw_only=True):
    """What research on the web found. `engine` empty: none is configured. `withheld`: why nothing was sent there, else empty."""

    query: str
    engine: str = ""
    withheld: str = ""
    sources: tuple[WebSource, ...] = ()
    unread: tuple[WebUnread, ...] = ()


def web_id(url: str) -> str:
    """The id of the page as evidence."""
    return keyed_id("web", url)
