"""What sources say of a market in figures: its size, its growth, shares and prices; where they agree and where they do not.

Two figures are compared where they are of one kind and year and their sentences name the same names, by their first five letters
(Europe, European): within a tenth of each other they agree. Regions and definitions may differ all the same, which is said.
"""

import re
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from actors.sophia.tools.claims import Claim

FigureKind = Literal["size", "growth", "share", "price"]
AGREE_WITHIN = 0.1
NEAR_CHARS = 60
NAME_LETTERS = 5

_WORDS: tuple[tuple[FigureKind, str, re.Pattern[str]], ...] = (
    ("share", "percentage", re.compile(r"\bshares?\b|\bhas? \d[\d.]* ?(?:%|per cent) of the market", re.IGNORECASE)),
    (
        "growth",
        "percentage",
        re.compile(
            r"\bgr(?:ow\w*|ew|owth)\b|\bCAGR\b|increas\w+|declin\w+|\bshr[aiu]nk\w*|\bfell\b|\brose\b|expan\w+",
            re.IGNORECASE,
        ),
    ),
    (
        "price",
        "amount",
        re.compile(
            r"\bpric\w+|\bper (?:month|user|seat|line)\b|\ba month\b|\bcharg\w+|\bfees?\b|\bfrom (?=€|\$|£)",
            re.IGNORECASE,
        ),
    ),
    ("size", "amount", re.compile(r"\bmarket\b|\bindustry\b|\bsector\b|\bdemand\b|\bspen[dt]\w*", re.IGNORECASE)),
)
_SHRINKS = re.compile(r"declin\w+|\bshr[aiu]nk\w*|\bfell\b|\bfall\w*|decreas\w+", re.IGNORECASE)
_YEAR = re.compile(r"\b(?:19|20)\d{2}\b")
_NAME = re.compile(r"(?<![.!?:]\s)(?<!^)\b[A-Z][A-Za-z0-9&]{2,}")
_ABOUT_NOBODY = re.compile(
    r"^(?:The|In|Our|EUR|USD|GBP|CHF|CAGR|SMB|SME|January|February|March|April|May|June|July|August|September|October|November"
    r"|December)$"
)


class MarketFigure(Struct, frozen=True, kw_only=True):
    """A figure as written, its number (a fall below zero), the year it is of, empty where none is said, and whom it names."""

    kind: FigureKind
    text: str
    value: float
    year: str
    names: tuple[str, ...]
    sentence: str
    source: str
    title: str


class Comparison(Struct, frozen=True, kw_only=True):
    """Figures of several sources on one thing, and whether all are within a tenth of one another."""

    kind: FigureKind
    year: str
    agree: bool
    figures: tuple[MarketFigure, ...]


def market_figures(found: Sequence[Claim]) -> list[MarketFigure]:
    """Those claims that say how large a market is, how it grows, who has what share, what things cost; in their order."""
    figures = []
    for claim in found:
        kind = _kind(claim)
        if kind is None or claim.value is None:
            continue
        falls = kind == "growth" and claim.value > 0 and _SHRINKS.search(claim.sentence) is not None
        years = _YEAR.findall(claim.sentence)
        figures.append(
            MarketFigure(
                kind=kind,
                text=claim.text,
                value=-claim.value if falls else claim.value,
                year=years[0] if len(set(years)) == 1 else "",
                names=tuple(sorted({name for name in _NAME.findall(claim.sentence) if not _ABOUT_NOBODY.match(name)})),
                sentence=claim.sentence,
                source=claim.source,
                title=claim.title,
            )
        )
    return figures


def _kind(claim: Claim) -> FigureKind | None:
    """By the word that stands nearest to the figure, within 60 characters; of a size anywhere in the sentence."""
    at = claim.sentence.find(claim.text)
    nearest: tuple[int, int, FigureKind] | None = None
    for order, (kind, of, pattern) in enumerate(_WORDS):
        if claim.kind != of:
            continue
        for match in pattern.finditer(claim.sentence):
            distance = max(0, at - match.end(), match.start() - at - len(claim.text))
            if distance <= NEAR_CHARS and (nearest is None or (distance, order) < nearest[:2]):
                nearest = (distance, order, kind)
    return nearest[2] if nearest else None


def compared(figures: Sequence[MarketFigure]) -> list[Comparison]:
    """Every thing on which at least two sources give a figure; what they do not agree on first."""
    groups: dict[tuple[FigureKind, str, tuple[str, ...]], dict[str, MarketFigure]] = {}
    for one in figures:
        names = tuple(sorted({name[:NAME_LETTERS].lower() for name in one.names}))
        groups.setdefault((one.kind, one.year, names), {}).setdefault(one.source, one)
    found = [
        Comparison(kind=kind, year=year, agree=_agree(list(held.values())), figures=tuple(held.values()))
        for (kind, year, _), held in groups.items()
        if len(held) > 1
    ]
    return sorted(found, key=lambda one: one.agree)


def _agree(held: Sequence[MarketFigure]) -> bool:
    low, high = min(one.value for one in held), max(one.value for one in held)
    return high - low <= AGREE_WITHIN * max(abs(low), abs(high))
