"""The words of a question and of a column's or value's name, as they are compared: lower case, stemmed, with their places."""

import re

from msgspec import Struct

from actors.sophia.tools.condition_words import ALIASES, CAMEL, WORD
from runtime.text import stem


class Token(Struct, frozen=True):
    """A word of a text: its stem, where it stands, whether a hyphen ties it to a neighbour."""

    text: str
    key: str
    start: int
    end: int
    tied: bool


def tokens(text: str) -> tuple[Token, ...]:
    def tied(match: re.Match[str]) -> bool:
        return text[match.start() - 1 : match.start()] in ("-", "_") or text[match.end() : match.end() + 1] in (
            "-",
            "_",
        )

    found = [(match, match[0].lower().replace("’", "'")) for match in WORD.finditer(text)]
    return tuple(
        Token(word, ALIASES.get(stem(word), stem(word)), match.start(), match.end(), tied(match))
        for match, word in found
    )


def spaced(name: str) -> str:
    """`MonthlyCharges` and `monthly_charges` as `Monthly Charges` and `monthly charges`."""
    return CAMEL.sub(" ", name).replace("_", " ")


def keys(name: str) -> tuple[str, ...]:
    """The stems of a column's or value's name."""
    return tuple(one.key for one in tokens(spaced(name)))
