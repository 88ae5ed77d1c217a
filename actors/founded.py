"""Whether the figures of an answer stand in what it was made of; pure. Models may word what was found, not add figures."""

import re
from collections.abc import Iterable, Mapping

from contracts.model import Prompt

SMALL = 10
"""Whole numbers up to it say how many things are listed, which nobody has to have found."""

TOLD_MAX = 10

_CITATION = re.compile(r"\[\d+\]")
_FIGURE = re.compile(r"(?<![\w.,])(?:\d{1,3}(?:[,'’\u202f\u00a0]\d{3})+|\d+)(?:\.\d+)?(?![\w.,]*\d)")
_SEPARATORS = re.compile(r"[,'’\u202f\u00a0]")


def unfounded(sections: Mapping[str, str], prompt: Prompt) -> tuple[str, ...]:
    """Figures of the sections that no finding, evidence, question or earlier turn of the prompt has, exactly or rounded to it."""
    given = [
        prompt.question,
        *prompt.findings,
        *prompt.history,
        *(text for one in prompt.evidence for text in (one.title, one.text)),
    ]
    known = {float(number) for number in _figures(given).values()}
    told = _figures(_CITATION.sub(" ", text) for text in sections.values())
    return tuple(written for written, number in told.items() if not _stands(number, known))[:TOLD_MAX]


def _figures(texts: Iterable[str]) -> dict[str, str]:
    """As they are written, and without separators."""
    found = (match[0] for text in texts for match in _FIGURE.finditer(text))
    return {written: _SEPARATORS.sub("", written) for written in found}


def _stands(number: str, known: set[float]) -> bool:
    decimals = len(number.partition(".")[2])
    value = float(number)
    if not decimals and value <= SMALL:
        return True
    return any(abs(one - value) <= 0.5 * 10**-decimals + 1e-9 * value for one in known)
