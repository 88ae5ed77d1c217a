"""Web research over a search engine that answers `GET /search?q=…&format=json` as SearXNG does, and over the pages it names.

The engine is the operator's own choice and asked wherever it is; the pages are strangers' and fetched under guard
(`adapters/web_guard.py`), where their server's robots.txt lets us (RFC 9309: where it cannot be had, nothing is fetched; where
there is none, everything). Documents are read in a process of its own, which a hostile one may end.
"""

import asyncio
import unicodedata
from datetime import UTC, datetime
from urllib.robotparser import RobotFileParser

import httpx
import msgspec
from msgspec import Struct

from adapters.careful_reading import CarefulReader
from adapters.documents import Document, Kind
from adapters.web_guard import Fetched, GuardedHttp, Resolve, resolve
from contracts.web import WebLink, WebPage
from runtime.errors import OutcomeError, UnavailableError
from runtime.text import clip

USER_AGENT = "Diarchy-research/1"
ROBOT = "Diarchy-research"
ROBOTS_BYTES_MAX = 512_000
ANSWER_BYTES_MAX = 4_000_000
TITLE_CHARS_MAX = 300
SNIPPET_CHARS_MAX = 1_000
KINDS: dict[str, Kind | None] = {
    "text/html": "page",
    "application/xhtml+xml": "page",
    "application/pdf": "pdf",
    "text/plain": None,
}
"""What is read, and how; None: as it is."""


class Engine(Struct, frozen=True, kw_only=True):
    """`url` is where the engine is, without `/search`; `api_key` goes along as a bearer token where there is one."""

    url: str
    api_key: str = ""
    search_s_max: float = 10.0
    page_s_max: float = 10.0
    page_bytes_max: int = 4_000_000
    page_chars_max: int = 200_000
    private_hosts: tuple[str, ...] = ()


class _Result(Struct):
    url: str = ""
    title: str | None = None
    content: str | None = None
    publishedDate: str | None = None  # noqa: N815 - the engine's own name


class _Answer(Struct):
    results: list[_Result]


class SearxWeb:
    """WebResearch. Close it; it reads one document at a time."""

    def __init__(self, engine: Engine, *, resolver: Resolve = resolve) -> None:
        self._engine = engine
        self._pages = GuardedHttp(user_agent=USER_AGENT, private_hosts=engine.private_hosts, resolver=resolver)
        headers = {"User-Agent": USER_AGENT, "Accept": "application/json"}
        if engine.api_key:
            headers["Authorization"] = f"Bearer {engine.api_key}"
        self._client = httpx.AsyncClient(headers=headers, timeout=engine.search_s_max, trust_env=False)
        self._reader = CarefulReader(document_s_max=engine.page_s_max)
        self._reading = asyncio.Lock()

    @property
    def engine(self) -> str:
        return httpx.URL(self._engine.url).host

    async def close(self) -> None:
        await self._pages.close()
        await self._client.aclose()
        await asyncio.to_thread(self._reader.close)

    async def find(self, query: str, *, limit: int) -> list[WebLink]:
        parameters = {"q": query, "format": "json"}
        address = f"{self._engine.url.rstrip('/')}/search"
        try:
            async with asyncio.timeout(self._engine.search_s_max):
                async with self._client.stream("GET", address, params=parameters) as response:
                    body = await _whole(response, self.engine)
        except (httpx.HTTPError, TimeoutError) as error:
            raise UnavailableError(self.engine, str(error) or "it does not answer in time") from error
        try:
            answer = msgspec.json.decode(body, type=_Answer)
        except (msgspec.DecodeError, UnicodeError) as error:
            raise OutcomeError(f"{self.engine} does not answer with results as JSON: {error}") from error
        links = {result.url: _link(result) for result in reversed(answer.results) if result.url}
        return list(reversed(links.values()))[:limit]

    async def fetch(self, url: str) -> WebPage:
        try:
            async with asyncio.timeout(self._engine.page_s_max):
                fetched = await self._fetched(url)
        except TimeoutError as error:
            raise UnavailableError(url, f"it took longer than {self._engine.page_s_max:g} s") from error
        if fetched.status >= 500:
            raise UnavailableError(fetched.url, f"it answers {fetched.status}")
        if fetched.status != 200:
            raise OutcomeError(f"{fetched.url} answers {fetched.status}")
        document = await self._document(fetched)
        text = sanitised(document.text)[: self._engine.page_chars_max].strip()
        if not text:
            raise OutcomeError(f"{fetched.url} holds no text")
        return WebPage(
            url=fetched.url,
            title=clip(" ".join(sanitised(document.title).split()), TITLE_CHARS_MAX),
            text=text,
            media_type=fetched.media_type,
            published=moment(document.published),
        )

    async def _fetched(self, url: str) -> Fetched:
        """With the consent of each server on the way."""
        asked: dict[str, RobotFileParser] = {}

        async def allowed(at: httpx.URL) -> None:
            origin = f"{at.scheme}://{at.netloc.decode('ascii')}"
            if origin not in asked:
                asked[origin] = await self._robots(origin)
            if not asked[origin].can_fetch(ROBOT, str(at)):
                raise OutcomeError(f"{at} is not fetched: its server's robots.txt asks us not to")

        return await self._pages.get(url, bytes_max=self._engine.page_bytes_max, media_types=KINDS, allowed=allowed)

    async def _robots(self, origin: str) -> RobotFileParser:
        nothing, everything = ["User-agent: *", "Disallow: /"], list[str]()
        try:
            found = await self._pages.get(f"{origin}/robots.txt", bytes_max=ROBOTS_BYTES_MAX)
        except (OutcomeError, UnavailableError):
            said = nothing
        else:
            given = found.body.decode("utf-8", "replace").splitlines() if found.status == 200 else everything
            said = nothing if found.status >= 500 else given
        rules = RobotFileParser()
        rules.parse(said)
        return rules

    async def _document(self, fetched: Fetched) -> Document:
        kind = KINDS[fetched.media_type]
        if kind is None:
            try:
                return Document("", fetched.body.decode(fetched.charset or "utf-8", "replace"))
            except LookupError as error:
                raise OutcomeError(f"{fetched.url} is in an encoding that is not known") from error
        async with self._reading:
            try:
                return await asyncio.to_thread(self._reader.read, kind, fetched.body)
            except OutcomeError as error:
                raise OutcomeError(f"{fetched.url}: {error}") from error


async def _whole(response: httpx.Response, engine: str) -> bytes:
    """The engine's answer. Raises UnavailableError, OutcomeError."""
    if response.status_code >= 500 or response.status_code == 429:
        raise UnavailableError(engine, f"it answers {response.status_code}")
    if response.status_code != 200:
        remedy = (
            "; check web.api_key, and that the engine allows the format json"
            if response.status_code in (401, 403)
            else ""
        )
        raise OutcomeError(f"{engine} answers {response.status_code}{remedy}")
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > ANSWER_BYTES_MAX:
            raise OutcomeError(f"{engine} answers with more than {ANSWER_BYTES_MAX:,} bytes")
    return bytes(body)


def _link(result: _Result) -> WebLink:
    return WebLink(
        url=result.url,
        title=clip(" ".join(sanitised(result.title or "").split()), TITLE_CHARS_MAX),
        snippet=clip(" ".join(sanitised(result.content or "").split()), SNIPPET_CHARS_MAX),
        published=moment(result.publishedDate or ""),
    )


def sanitised(text: str) -> str:
    """The text without what nobody sees: control signs, invisible and direction-changing ones, private and unpaired ones."""
    spaced = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n").replace("\u2029", "\n\n")
    return "".join(sign for sign in spaced if sign in "\n\t" or unicodedata.category(sign)[0] != "C")


def moment(text: str) -> datetime | None:
    """The ISO 8601 time or date that a page or an engine says, with its zone (UTC where it has none); None for anything else."""
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
