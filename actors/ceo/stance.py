"""Stance: what one sentence wants, forbids, allows at most and by when, read from its words; pure.

What is not written in these words is not read, and nothing is inferred. `actors/ceo/comparing.py` sets two stances against each
other; its head says what each part is for.
"""

import re
from collections.abc import Iterator
from datetime import date

from msgspec import Struct

from actors.ceo.figures import Bounded, Dated, bounded, dates
from runtime.text import stem, words

WINDOW_WORDS = 6
"""On each side of a word that has a direction, what it may be about."""

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_CLAUSE = re.compile(r"[,;:](?!\d)|\b(?:and|but|while|whereas)\b", re.IGNORECASE)
_CONTRAST = re.compile(
    r"(?:,|\bbut|\band)\s+not\s+(?:\w+\s+){0,2}?\w+(?=[.,;!?]|$)"
    r"|\b(?:instead of|rather than|not only|no matter)\b[^.,;!?]{0,80}",
    re.IGNORECASE,
)
"""`bought, not built`, `X instead of Y`: the other of two things is named, and nothing forbidden."""

_FORBIDS = re.compile(
    r"\bno\s+(?!(?:more|longer|later|less|fewer|doubt|matter|one|need)\b)\w+"
    r"|\b(?:must|may|shall|will|should|can|do|does|is|are|be|would)\s+(?:not|never)\b|\b(?:cannot|won['’]t|don['’]t|never)\b"
    r"|\b(?:freez\w*|frozen|moratorium|prohibit\w*|forbid\w*|forbidden|bann?(?:ed|s)?|suspend\w*|halt(?:s|ed)?|paus(?:e|es|ed)"
    r"|postpon\w*|stop(?:s|ped)?|ceas(?:e|es|ed)|discontinu\w*|abandon\w*|cancel\w*|avoid(?:s|ed)?|refrain\w*|rul(?:e|es|ed) out"
    r"|off the table|out of the question)\b",
    re.IGNORECASE,
)
_REFUSES = re.compile(
    r"\bno\s+(?:new|further|additional)\b|\b(?:must|may|shall|will|should)\s+(?:not|never)\b|\bno\s+(?:\w+\s+){1,3}?(?:is|are|may|must|will)\b"
    r"|\b(?:freeze|prohibit|forbid|ban|suspend|halt|pause|postpone|stop|cease|discontinue|abandon|cancel|avoid)\b",
    re.IGNORECASE,
)
"""The narrower form for what is asked: `customers cannot …` tells of a fact and refuses nothing."""

_PLANS = re.compile(
    r"\b(?:should|must|shall|will|needs?|needed|plan(?:s|ned)?|requires?|required|wants?|propos\w+|recommend\w*|let us|let's"
    r"|going to|intend\w*|is to|are to|has to|have to)\b",
    re.IGNORECASE,
)
_LIMITS = re.compile(
    r"\b(?:(?P<outside>outside|beyond)|(?P<without>without)|(?P<except>unless|except|other than|apart from)|(?P<before>before))\b"
    r"(?P<case>[^.,;!?]{0,60})",
    re.IGNORECASE,
)
_SHORT = {"EU": "European Union", "US": "United States", "USA": "United States", "UK": "United Kingdom"}
_SHORTS = re.compile(rf"\b(?:{'|'.join(_SHORT)})\b")
_ALIKE_CHARS_MIN = 4
_ENDS = re.compile(
    r"\b(?:ends?|ended|stops?|stopped|clos(?:e|es|ed)|finish\w*|complet\w*|switched off|over)\b", re.IGNORECASE
)
_ONLY = re.compile(
    r"\b(?:only|exclusively|solely)\s+(through|via|from|in|to|for|with|by|on)\s+([^.,;!?]{1,60})", re.IGNORECASE
)

_AXES: dict[str, tuple[str, str]] = {
    "more or less": (
        r"rais\w+|increas\w+|grow(?:s|n|th|ing)?|expan\w+|extend\w*|add(?:s|ed|ing)?|hir(?:e|es|ed|ing)|recruit\w*|invest\w*"
        r"|enlarg\w+|boost\w*|doubl\w+|enter(?:s|ed|ing)?|open(?:s|ed|ing)?(?! source)|more",
        r"cut(?:s|ting)?|reduc\w+|lower(?:s|ed|ing)?|shrink\w*|decreas\w+|withdraw\w*|clos(?:e|es|ed|ing)|lay(?:s|ing)? off"
        r"|layoffs?|downsiz\w+|halv\w+|exit(?:s|ed|ing)?|divest\w*|fewer|less",
    ),
    "made or bought": (
        r"build(?:s|ing)?|built|develop(?:s|ed|ing)?|in-house|internally|insourc\w+|(?:our|its|their) own",
        r"buy(?:s|ing)?|bought|purchas\w+|outsourc\w+|off-the-shelf|vendors?|externally",
    ),
    "cloud or own machines": (r"cloud\w*|hosted", r"on-?\s?prem\w*|own (?:data cent\w+|servers?|machines?)"),
    "central or not": (
        r"centrali[sz]\w+|central|consolidat\w+|merg\w+|unif(?:y|ies|ied)",
        r"decentrali[sz]\w+|regional(?:ly)?|split\w*|separat\w+|spin\w* off",
    ),
    "direct or through others": (
        r"direct(?:ly)?",
        r"resellers?|partners?|distributors?|intermediar\w+|agen(?:cy|cies)|dealers?",
    ),
    "open or closed": (r"open[- ]source[ds]?|publish\w*", r"proprietary|closed[- ]source|confidential|secret"),
    "one or several": (r"single|sole", r"several|multiple|many|second|multi-\w+|various"),
    "remote or on site": (
        r"remote(?:ly)?|from home|home office|telework\w*",
        r"(?:to|in|at) the office|on[- ]site|in person",
    ),
    "by hand or automatic": (r"manual(?:ly)?|by hand", r"automat\w+"),
    "kept or replaced": (
        r"keep(?:s|ing)?|kept|retain\w*|remain\w*|preserv\w+",
        r"replac\w+|retir(?:e|es|ed|ing)|decommission\w*|phas\w+ out|switch\w* off|abolish\w*",
    ),
}
_POLES = {name: tuple(re.compile(rf"\b(?:{pole})\b", re.IGNORECASE) for pole in poles) for name, poles in _AXES.items()}
_MERE = frozenset(
    stem(word)
    for word in """new further additional whole year month week day quarter need want take give make get plan must may shall team
    company business next first last end begin become let use maximum most least latest eur usd gbp chf percent million thousand
    allow permit""".split()  # noqa: SIM905 - prose wraps better than a list of literals
)
_IRREGULAR = {
    "sold": "sell",
    "built": "build",
    "bought": "buy",
    "kept": "keep",
    "grew": "grow",
    "paid": "pay",
    "sent": "send",
}


class Direction(Struct, frozen=True):
    """Which way a word points on an axis (0 or 1, its two poles), and the key terms around it."""

    axis: str
    pole: int
    word: str
    about: frozenset[str]


class Limit(Struct, frozen=True):
    """The one case that a sentence speaks of: by which kind of word it is limited, as written, and the key terms of the case."""

    kind: str
    phrase: str
    case: frozenset[str]

    def names(self, other: "Limit") -> bool:
        """Whether the other one is of the same case; one that names none is."""
        if self.kind != other.kind:
            return False
        return not (self.case and other.case) or any(_alike(one, two) for one in self.case for two in other.case)


def _alike(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return one == other or (len(short) >= _ALIKE_CHARS_MIN and long.startswith(short))


class Stance(Struct, frozen=True, kw_only=True):
    """What a sentence says that another one may contradict. `forbids` and `refuses` are the words that do it, else empty.

    `spelled` has each key term as it is first written, `clauses` the text and key terms of each."""

    terms: frozenset[str]
    spelled: dict[str, str]
    clauses: tuple[tuple[str, frozenset[str]], ...]
    forbids: str
    refuses: str
    limits: tuple[Limit, ...]
    ends: bool
    only: tuple[str, frozenset[str]] | None
    followed: dict[str, frozenset[str]]
    directions: tuple[Direction, ...]
    figures: tuple[Bounded, ...]
    dates: tuple[Dated, ...]

    def near(self, phrase: str) -> frozenset[str]:
        """The key terms of the clause that has these words; of the whole sentence where none has them all."""
        return next((near for clause, near in self.clauses if phrase in clause), self.terms)

    def written(self, some: frozenset[str]) -> str:
        """These terms of the sentence as it has them, in its order."""
        return ", ".join(dict.fromkeys(word for term, word in self.spelled.items() if term in some))


def stance(text: str, today: date) -> Stance:
    """The stance of a sentence. `today` says which year `this year` is."""
    figures = tuple(bounded(text))
    bare = _CONTRAST.sub(" ", text)
    for one in figures:
        if one.bound != "none":
            bare = bare.replace(one.phrase, " ")
    forbids, refuses, only = _FORBIDS.search(bare), _REFUSES.search(bare), _ONLY.search(text)
    return Stance(
        terms=terms(text),
        spelled=_spelled(text),
        clauses=tuple((clause, terms(clause)) for clause in _CLAUSE.split(text)),
        forbids=forbids.group() if forbids else "",
        refuses=refuses.group() if refuses else "",
        limits=tuple(_limits(text, today)),
        ends=bool(_ENDS.search(text)),
        only=(only[1].lower(), terms(only[2])) if only else None,
        followed=_followed(text),
        directions=tuple(_directions(bare)),
        figures=figures,
        dates=tuple(dates(text, today)),
    )


def _limits(text: str, today: date) -> Iterator[Limit]:
    """What limits a sentence to a case; a date does not (it is in `dates`)."""
    for found in _LIMITS.finditer(text):
        kind = next(name for name, said in found.groupdict().items() if said and name != "case")
        if kind != "before" or not any(dates(found["case"], today)):
            yield Limit(kind, found.group().strip(), terms(found["case"]))


def terms(text: str) -> frozenset[str]:
    """The words that say what a sentence is about: neither figures nor units, nor words of its stance that any topic has."""
    whole = _SHORTS.sub(lambda found: _SHORT[found.group()], text)
    return frozenset(word for word in map(_regular, words(whole)) if word not in _MERE and not word[0].isdigit())


def _spelled(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for written in _WORD.findall(text):
        for term in terms(written):
            found.setdefault(term, written)
    return found


def plans(text: str) -> bool:
    """Whether a sentence says what should be, not what is: it has a word of intent, or begins with a verb that commands."""
    begins = _WORD.match(text.lstrip())
    first = begins.group().lower() if begins else ""
    return (
        bool(_PLANS.search(text))
        or any(pole.match(first) for poles in _POLES.values() for pole in poles)
        or first in _COMMANDS
    )


_COMMANDS = frozenset(
    """build launch introduce start create set offer move migrate deliver provide support use implement deploy store encrypt sell
    acquire develop improve ensure enable allow integrate connect host publish roll stop freeze""".split()  # noqa: SIM905 - as above
)


def _regular(word: str) -> str:
    return stem(_IRREGULAR.get(word, word))


def _followed(text: str) -> dict[str, frozenset[str]]:
    """The key terms behind each preposition, up to the next sign."""
    return {
        match[1].lower(): terms(match[2])
        for match in re.finditer(r"\b(through|via|from|in|to|for|with|by|on)\s+([^.,;!?]{1,60})", text, re.IGNORECASE)
    }


def _directions(text: str) -> Iterator[Direction]:
    """One a pole that is met; an axis of which both are met says nothing."""
    for axis, poles in _POLES.items():
        met = [(pole, found) for pole, pattern in enumerate(poles) if (found := pattern.search(text))]
        if len(met) == 1:
            pole, found = met[0]
            before, after = text[: found.start()].split(), text[found.end() :].split()
            around = [*before[-WINDOW_WORDS:], found.group(), *after[:WINDOW_WORDS]]
            yield Direction(axis, pole, found.group().lower(), terms(" ".join(around)))


def overlap(one: frozenset[str], other: frozenset[str]) -> float:
    """The shared terms over those of the shorter text; 0 where there are none."""
    return len(one & other) / max(1, min(len(one), len(other)))
