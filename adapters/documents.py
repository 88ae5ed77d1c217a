"""What a document says: its title and its text, out of HTML and PDF. Pure functions of bytes from anywhere.

Whoever is not sure of the bytes calls them in a process of their own (`adapters.careful_reading`): a document can be made so
that reading it takes for ever or all memory.
"""

import io
import re
from collections.abc import Iterator
from typing import Literal

from bs4 import BeautifulSoup
from bs4.element import NavigableString, PreformattedString, Tag
from msgspec import Struct
from pypdf import PasswordType, PdfReader

from runtime.errors import OutcomeError

HTML_BYTES_MAX = 10_000_000
PDF_BYTES_MAX = 64_000_000
PDF_PAGES_MAX = 2_000
CHARS_MAX = 5_000_000

Kind = Literal["html", "pdf", "page"]
"""`page`: HTML without what stands around its matter, such as menus."""

_UNSEEN = ("script", "style", "template", "noscript", "head", "svg", "iframe", "object", "select", "textarea", "button")
_UNSEEN_STYLE = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d])|opacity\s*:\s*0(?![.\d])"
)
_BLOCKS = frozenset(
    """address article aside blockquote body caption dd details div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5
    h6 header html li main nav ol p pre section summary table tbody td tfoot th thead tr ul""".split()  # noqa: SIM905 - prose wraps better than a list of forty literals
)
_HEADINGS = {f"h{level}": "#" * level + " " for level in range(1, 7)}
_AROUND = ("nav", "footer", "aside", "form")
_AROUND_ROLES = ("navigation", "banner", "contentinfo", "search", "dialog", "alertdialog")
_DATES = "article:published_time", "datepublished", "date", "dc.date", "dcterms.date", "citation_publication_date"
_CELLS = ("td", "th")
_NO_TITLE = re.compile(r"(?i)untitled|(?:microsoft \w+ - )?[\w .()-]{0,200}\.(?:docx?|pptx?|xlsx?|indd|tex|dvi|ps|pdf)")


class Document(Struct, frozen=True):
    """`title` is empty where the document has none of its own; `published`: its date as it says it, empty where it says none."""

    title: str
    text: str
    published: str = ""


def read_document(kind: Kind, data: bytes) -> Document:
    """Raises OutcomeError with the reason why there is nothing to be had."""
    document = pdf_document(data) if kind == "pdf" else html_document(data, around=kind == "html")
    if not document.text.strip():
        remedy = "; if it is scanned, run text recognition over it first" if kind == "pdf" else ""
        raise OutcomeError(f"the {kind.upper()} holds no text{remedy}")
    if len(document.text) > CHARS_MAX:
        raise OutcomeError(f"the text has {len(document.text):,} characters; at most {CHARS_MAX:,} are read")
    return document


def html_document(data: bytes, *, around: bool = True) -> Document:
    """What a reader sees: no scripts, styles, comments, nor what is hidden. Headings, lists and rows as in Markdown.

    Without `around` menus, footers and the like are left out.
    """
    if b"\0" in data[:4_096] and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise OutcomeError("the file is not HTML but binary")
    soup = BeautifulSoup(data, "html.parser")
    if data and soup.contains_replacement_characters:
        raise OutcomeError("the text is not in the encoding that the file says")
    title = " ".join(soup.title.get_text().split()) if soup.title else ""
    heading = soup.find("h1")
    name = title or (" ".join(heading.get_text().split()) if heading else "")
    published = _published(soup)
    for tag in soup.find_all(lambda tag: _hidden(tag) or (not around and _beside(tag))):
        tag.decompose()
    return Document(name, _joined(_paragraphs(soup)), published)


def _beside(tag: Tag) -> bool:
    return tag.name in _AROUND or str(tag.get("role") or "").lower() in _AROUND_ROLES


def _published(soup: BeautifulSoup) -> str:
    """The date that a page gives itself: of its properties, else the first that it marks as one."""
    for tag in soup.find_all("meta"):
        named = str(tag.get("property") or tag.get("name") or tag.get("itemprop") or "").lower()
        if named in _DATES and tag.get("content"):
            return str(tag["content"]).strip()[:40]
    marked = soup.find("time", attrs={"datetime": True})
    return str(marked["datetime"]).strip()[:40] if marked else ""


def _hidden(tag: Tag) -> bool:
    if tag.name in _UNSEEN or tag.has_attr("hidden") or tag.get("aria-hidden") == "true":
        return True
    return _UNSEEN_STYLE.search(str(tag.get("style") or "").lower()) is not None


def _paragraphs(soup: BeautifulSoup) -> Iterator[tuple[str, str]]:
    """Each stretch of text of one block, with the block's name; cells of a row are one stretch."""
    current: Tag | None = None
    cell: Tag | None = None
    texts: list[str] = []
    for text in soup.find_all(string=True):
        if not isinstance(text, NavigableString) or isinstance(text, PreformattedString):
            continue  # A comment, a doctype, a processing instruction.
        block, inside = _block_of(text, soup)
        if block is not current:
            if current is not None:
                yield current.name, "".join(texts)
            current, cell, texts = block, inside, []
        elif inside is not cell and str(text).strip():
            cell = inside
            texts.append(" | ")
        texts.append(str(text))
        if text.next_element is not None and getattr(text.next_element, "name", None) == "br":
            texts.append(" ")
    if current is not None:
        yield current.name, "".join(texts)


def _block_of(text: NavigableString, soup: BeautifulSoup) -> tuple[Tag, Tag | None]:
    """The nearest block around a text, of a table the row; and the cell it is in."""
    cell: Tag | None = None
    for parent in text.parents:
        if parent.name in _CELLS and cell is None:
            cell = parent
        elif parent.name in _BLOCKS and (cell is None or parent.name == "tr"):
            return parent, cell
    return soup, cell


def _joined(paragraphs: Iterator[tuple[str, str]]) -> str:
    lines: list[str] = []
    before = ""
    for name, text in paragraphs:
        said = text.strip("\n") if name == "pre" else " ".join(text.split())
        if not said.strip():
            continue
        close = name == before and name in ("li", "tr", "dd", "dt")
        mark = "- " if name == "li" else _HEADINGS.get(name, "")
        lines.append(("\n" if close else "\n\n") + mark + said)
        before = name
    return "".join(lines).strip()


def pdf_document(data: bytes) -> Document:
    """The text of all pages in order, and the title of the document's properties unless that is a file's name."""
    try:
        reader = PdfReader(io.BytesIO(data), strict=False)
        if reader.is_encrypted and reader.decrypt("") is PasswordType.NOT_DECRYPTED:
            raise OutcomeError("the PDF is encrypted; save it without a password")
        pages = len(reader.pages)
        if pages > PDF_PAGES_MAX:
            raise OutcomeError(f"the PDF has {pages:,} pages; at most {PDF_PAGES_MAX:,} are read")
        texts: list[str] = []
        for page in reader.pages:
            texts.append(page.extract_text())
            if sum(map(len, texts)) > CHARS_MAX:
                raise OutcomeError(f"the text of the PDF has more than {CHARS_MAX:,} characters")
        title = " ".join(str(reader.metadata.title or "").split()) if reader.metadata else ""
    except OutcomeError:
        raise
    except Exception as error:
        raise OutcomeError(f"the PDF cannot be read: {type(error).__name__}: {str(error)[:200]}") from error
    text = "\n\n".join(_unwrapped(text) for text in texts if text.strip())
    return Document("" if _NO_TITLE.fullmatch(title) else title, text)


def _unwrapped(page: str) -> str:
    """A page with the words joined that its lines broke, and without what is no text."""
    clean = page.replace("\0", "").encode("utf-8", "replace").decode()
    return re.sub(r"(?<=[a-zà-ÿ])-\n(?=[a-zà-ÿ])", "", clean).strip()


def parts(text: str, chars_max: int) -> list[str]:
    """The text in pieces of at most `chars_max` characters: cut between paragraphs, else lines, sentences, words, anywhere."""
    found: list[str] = []
    rest = text.strip()
    while len(rest) > chars_max:
        cut = next((at for mark in ("\n\n", "\n", ". ", " ") if (at := _last(rest, mark, chars_max))), chars_max)
        found.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    return [*found, rest] if rest else found


def _last(text: str, mark: str, chars_max: int) -> int:
    """Behind the last such mark that leaves at least half of what a piece may hold; 0: there is none."""
    at = text.rfind(mark, chars_max // 2, chars_max - len(mark))
    return 0 if at < 0 else at + len(mark)
