"""Places in source code that a scan points at, worst first, with what a reader needs to find and judge each."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec import Struct

from runtime.text import clip

Severity = Literal["high", "medium", "low"]
SEVERITIES: tuple[Severity, ...] = ("high", "medium", "low")
PLACES_MAX = 200
CODE_CHARS_MAX = 160


class Place(Struct, frozen=True, kw_only=True):
    """One hit: the rule, how bad, where (line from 1), the line's code, and whether it stands in a test."""

    rule: str
    severity: Severity
    path: str
    line: int
    code: str
    message: str
    in_test: bool


class Count(Struct, frozen=True):
    """How often something was found outside and inside tests."""

    name: str
    places: int
    in_tests: int


def code_at(lines: Sequence[str], line: int) -> str:
    """The code of a line (from 1), trimmed; "" beyond the end."""
    return clip(lines[line - 1].strip(), CODE_CHARS_MAX) if 0 < line <= len(lines) else ""


def ordered(found: Iterable[Place]) -> tuple[Place, ...]:
    """Outside tests first, then by severity, path and line; one a rule and line; at most PLACES_MAX."""
    unique = {(place.rule, place.path, place.line): place for place in found}.values()
    ranked = sorted(
        unique, key=lambda place: (place.in_test, SEVERITIES.index(place.severity), place.path, place.line, place.rule)
    )
    return tuple(ranked[:PLACES_MAX])


def counts(found: Iterable[Place], key: Literal["severity", "rule"]) -> tuple[Count, ...]:
    """Counts by severity or rule, commonest first."""
    outside: Counter[str] = Counter()
    inside: Counter[str] = Counter()
    for place in found:
        (inside if place.in_test else outside)[place.severity if key == "severity" else place.rule] += 1
    names = sorted({*outside, *inside}, key=lambda name: (-outside[name], -inside[name], name))
    return tuple(Count(name, outside[name], inside[name]) for name in names)


def sentences_of(found: Sequence[Place], what: str, files: int) -> list[str]:
    """The findings of a scan: the totals, then the worst places outside tests."""
    own = [place for place in found if not place.in_test]
    by_severity = Counter(place.severity for place in own)
    listed = ", ".join(f"{by_severity[severity]} {severity}" for severity in SEVERITIES)
    limit = f" (only the first {PLACES_MAX} are listed)" if len(found) >= PLACES_MAX else ""
    lines = [
        f"{len(own):,} {what} in {files:,} files: {listed}{limit}; {len(found) - len(own):,} more in tests."
        if found
        else f"0 {what} were found in {files:,} files."
    ]
    lines += [
        f"{place.severity.capitalize()}: {place.message} at {place.path}:{place.line} ({place.rule})."
        for place in own[:12]
    ]
    return lines
