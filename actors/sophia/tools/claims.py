"""Claims: the figures, dates and names that evidence states, each with the sentence and the source it stands in.

Deterministic reading by pattern: what is not written as a figure is not found, and nothing is inferred.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec import Struct

from contracts.domains import Clearance
from contracts.model import Evidence
from runtime.errors import OutcomeError
from runtime.text import NUMBER, clip, sentences, words

TEXTS_MAX = 200
CHARS_MAX = 2_000_000
CLAIMS_MAX = 300
QUOTE_CHARS_MAX = 300

ClaimKind = Literal["percentage", "amount", "date", "count"]

_MONTH = r"(?:January|February|March|April|May|June|July|August|September|October|November|December)"
_SCALE = r"(?:\s?(?:million|billion|thousand|bn|m|k)\b)?"
_PATTERNS: tuple[tuple[ClaimKind, re.Pattern[str]], ...] = (
    ("percentage", re.compile(rf"[-+−]?(?:{NUMBER})\s?(?:%|percentage points|per\s?cent\b)", re.IGNORECASE)),
    (
        "amount",
        re.compile(
            rf"(?:€|\$|£|\b(?:EUR|USD|GBP|CHF)\s?)(?:{NUMBER}){_SCALE}"
            rf"|\b(?:{NUMBER}){_SCALE}\s?(?:€|EUR\b|USD\b|GBP\b|CHF\b|euros?\b|dollars?\b|pounds?\b)",
        ),
    ),
    (
        "date",
        re.compile(
            rf"\b\d{{4}}-\d{{2}}-\d{{2}}\b|\b(?:\d{{1,2}}\s)?{_MONTH}\s(?:\d{{1,2}},\s)?\d{{4}}\b"
            rf"|\bQ[1-4](?:\s(?:of\s)?\d{{4}})?\b|\bH[12]\s\d{{4}}\b|\b(?:by|in|since|until|during)\s(?:19|20)\d{{2}}\b",
        ),
    ),
    (
        "count",
        re.compile(
            rf"\b(?:{NUMBER})\s(?!(?:million|billion|thousand|bn|per|percent)\b)[a-z][a-z-]{{2,}}", re.IGNORECASE
        ),
    ),
)
_SCALES = {"thousand": 1e3, "k": 1e3, "million": 1e6, "m": 1e6, "billion": 1e9, "bn": 1e9}


class Claim(Struct, frozen=True, kw_only=True):
    """A figure as written, its number (percentages as 26.5, amounts in full; None for dates), its sentence and its source."""

    kind: ClaimKind
    text: str
    value: float | None
    sentence: str
    source: str
    title: str
    label: Clearance


class Statement(Struct, frozen=True, kw_only=True):
    """One sentence with the evidence it stands in."""

    sentence: str
    evidence: Evidence


def statements(evidence: Sequence[Evidence]) -> list[Statement]:
    """All sentences in evidence order, each once. Raises OutcomeError when there is more text than a tool may read."""
    if len(evidence) > TEXTS_MAX:
        raise OutcomeError(f"{len(evidence)} texts were given; at most {TEXTS_MAX} are read")
    if sum(len(one.text) for one in evidence) > CHARS_MAX:
        raise OutcomeError(f"the texts have more than {CHARS_MAX:,} characters together")
    seen: set[str] = set()
    found: list[Statement] = []
    for one in evidence:
        for sentence in sentences(one.text):
            if sentence not in seen:
                seen.add(sentence)
                found.append(Statement(sentence=sentence, evidence=one))
    return found


def claims(found: Iterable[Statement]) -> list[Claim]:
    """The claims in the order they are written; a stretch of text is one claim only (a percentage before a count)."""
    result: list[Claim] = []
    for statement in found:
        taken: list[tuple[int, int]] = []
        hits: list[tuple[int, ClaimKind, str]] = []
        for kind, pattern in _PATTERNS:
            for match in pattern.finditer(statement.sentence):
                start, end = match.span()
                if all(end <= left or start >= right for left, right in taken):
                    taken.append((start, end))
                    hits.append((start, kind, match.group().strip()))
        for _, kind, text in sorted(hits):
            result.append(_claim(kind, text, statement))
            if len(result) >= CLAIMS_MAX:
                return result
    return result


def _claim(kind: ClaimKind, text: str, statement: Statement) -> Claim:
    one = statement.evidence
    return Claim(
        kind=kind,
        text=text,
        value=None if kind == "date" else magnitude(text),
        sentence=clip(statement.sentence, QUOTE_CHARS_MAX),
        source=one.id,
        title=one.title,
        label=one.label,
    )


def magnitude(text: str) -> float | None:
    """The number in a figure as written: `€1.2 million` is 1200000, `26.5 %` is 26.5."""
    match = re.search(rf"([-−]?)(?<![\d.])({NUMBER})\s?([A-Za-z]*)", text)
    if not match:
        return None
    value = float(match.group(2).replace(",", "")) * _SCALES.get(match.group(3).lower(), 1.0)
    return -value if match.group(1) else value


def relevance(sentence: str, asked: frozenset[str]) -> float:
    """The share of the asked words that the sentence holds, 0 to 1; 0 when nothing was asked."""
    return len(asked & set(words(sentence))) / len(asked) if asked else 0.0


def quoted(claim_sentence: str, title: str) -> str:
    """A sentence with the title of its source."""
    return f"{claim_sentence.rstrip()} (source: {title})"
