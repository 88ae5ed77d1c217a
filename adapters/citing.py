"""The marks such as `[1]` that a language model puts behind what rests on a document: checked, and made citations of."""

import re
from collections.abc import Iterator, Sequence

from contracts.model import Citation, Evidence
from contracts.span import Span
from runtime.quotes import find

_MARK = re.compile(r"(?<![ \t])[ \t]*+\[(\d{1,6})\]")  # looks at each character of a long gap once
_BOUNDARY = re.compile(
    r"\n\s*(?:[-*+•]\s+|\d{1,3}[.)]\s+)?|[.!?…][\"'”’)]{0,4}(?:[ \t]*\[\d{1,6}\])*\s+|(?:[ \t]*\[\d{1,6}\])+"
)
_ITEM = re.compile(r"\s*(?:[-*+•]\s+|\d{1,3}[.)]\s+)?")


def without_unknown(text: str, evidence: Sequence[Evidence]) -> str:
    """The text without the marks that name no evidence."""
    return _MARK.sub(lambda mark: mark.group() if 1 <= int(mark.group(1)) <= len(evidence) else "", text)


def citations(section: str, text: str, evidence: Sequence[Evidence]) -> Iterator[Citation]:
    """One for each mark in a section's text: the sentence before it, and where the evidence says that, if it does."""
    for mark in _MARK.finditer(text):
        number = int(mark.group(1))
        sentence = _before(text, mark.start())
        if sentence is not None and 1 <= number <= len(evidence):
            one = evidence[number - 1]
            quote = find(sentence.of(text), one.text)
            yield Citation(section=section, sentence=sentence, number=number, evidence=one.id, quote=quote)


def _before(text: str, end: int) -> Span | None:
    """The sentence that ends here, or before the marks that end here."""
    while marks := re.search(r"(?:[ \t]*\[\d{1,6}\])+$", text[:end]):
        end = marks.start()
    end = len(text[:end].rstrip())
    start = max((one.end() for one in _BOUNDARY.finditer(text, 0, end) if one.end() < end), default=0)
    while start < end and text[start].isspace():
        start += 1
    if not text[:start].strip(" \t") or text[:start].rstrip(" \t").endswith("\n"):
        item = _ITEM.match(text, start, end)
        start = item.end() if item else start
    return Span(start, end) if re.search(r"\w", text[start:end]) else None
