"""Stance: what one sentence wants, forbids, allows at most and by when, read from its words; pure.

What is not written in these words is not read, and nothing is inferred. `actors/ceo/comparing.py` sets two stances against each
other; its head says what each part is for.
"""

import re
from collections.abc import Iterator
from datetime import date

from msgspec import Struct

from actors.ceo.contrasts import (
    AXES,
    BEHIND,
    BOUND,
    COUNTRIES,
    DAYS,
    ENDING,
    FORBIDS,
    GIVES_UP,
    GOES_ON,
    KEPT,
    LIGHT,
    NAMED,
    NONE,
    OF_A_KIND,
    PLACED,
    PREPOSITIONS,
    REFUSES,
    REGIONS,
    SPARES,
    TELLS,
)
from actors.ceo.figures import MONTHS, Bounded, Dated, bounded, dates, unmeasured
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

PREDICATE_WORDS = 6
"""Behind `not`, what is forbidden."""

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
    r"\b(?:ends?|ended|stops?|stopped|clos(?:e|es|ed)|finish\w*|complet\w*|switched off|shut(?:s|ting)? down|retired?|over)\b",
    re.IGNORECASE,
)
_ONLY = re.compile(
    rf"\b(?:only|exclusively|solely)\s+(?:(?P<prep>{PREPOSITIONS})\s+)?(?P<way>[^.,;!?]{{1,60}})"
    rf"|\b(?P<prep2>{PREPOSITIONS})\s+(?P<way2>(?:(?!\b(?:{PREPOSITIONS})\b)[^.,;!?]){{1,60}}?)\s+(?:only|exclusively|alone)\b(?!\s+(?:{PREPOSITIONS})\b)",
    re.IGNORECASE,
)
_FOLLOWED = re.compile(rf"\b({PREPOSITIONS})\s+((?:(?!\b(?:{PREPOSITIONS})\b)[^.,;!?]){{1,60}})", re.IGNORECASE)
_PREFERS = re.compile(
    r"(?P<one>[^.,;!?]{1,60}?)\s+(?:is|are)\s+preferred\s+(?:over|to)\s+(?P<other>[^.,;!?]{1,60})"
    r"|\b(?:prefer\w*|favou?r\w*)\s+(?!to\b)(?P<one2>[^.,;!?]{1,60}?)\s+(?:over|to|rather than)\s+(?P<other2>[^.,;!?]{1,60})",
    re.IGNORECASE,
)
_WHERE = re.compile(r"\b(?:on|in|for|at|with|when|where|wherever|if)\b.*", re.IGNORECASE)
_UNTIL = re.compile(r"\b(?:until|unless)\b.*", re.IGNORECASE)
_OF_A_STANCE = re.compile(
    r"\b(?:freez\w*|frozen|prefer\w*|favou?r\w*|nobody|no one|every|all|choose|avoid\w*|prohibit\w*|forbid\w*)\b",
    re.IGNORECASE,
)
_NAME = r"[A-Z][\w-]+(?:\s+[A-Z][\w-]+)*"
_PLACE = re.compile(rf"\b(?i:in|into|to)\s+(?:the\s+)?({_NAME}(?:(?:,\s*|\s+(?:and|or)\s+){_NAME})*)")

_POLES = {name: tuple(re.compile(rf"\b(?:{pole})\b", re.IGNORECASE) for pole in poles) for name, poles in AXES.items()}
_MERE = frozenset(
    stem(word)
    for word in """only exclusively solely happen ones new further additional whole year month week day quarter need want take
    give make get plan must may shall team company business next first last end begin become let use maximum
    most least latest eur usd gbp chf percent million thousand allow permit""".split()  # noqa: SIM905 - prose wraps better than a list of literals
)
_IRREGULAR = {
    "sold": "sell",
    "sal": "sell",
    "acquisition": "acquire",
    "laid": "lay",
    "respons": "respond",
    "written": "write",
    "built": "build",
    "bought": "buy",
    "kept": "keep",
    "grew": "grow",
    "paid": "pay",
    "sent": "send",
}


_LIGHT = frozenset(stem(word) for word in LIGHT)
_KINDS = tuple(
    tuple(re.compile(rf"\b(?:{side})\s+(?P<noun>[\w-]+(?:\s+[\w-]+)?)", re.IGNORECASE) for side in sides)
    for sides in OF_A_KIND
) + tuple(tuple(re.compile(rf"\b(?:{side})\b", re.IGNORECASE) for side in sides) for sides in NAMED)


class Direction(Struct, frozen=True):
    """Which way a word points on an axis (0 or 1, its two poles), and the key terms around it."""

    axis: str
    pole: int
    word: str
    about: frozenset[str]


class Part(Struct, frozen=True):
    """A word that says which part of a whole is meant: of which family, which of its sides, and the noun's terms; none where the
    word is the noun."""

    family: int
    side: int
    word: str
    of: frozenset[str]

    def beside(self, other: "Part") -> bool:
        """Whether the other one is of the same whole."""
        return self.family == other.family and (not self.of or not other.of or bool(self.of & other.of))


class Way(Struct, frozen=True):
    """`Only through X`: the preposition, empty where there is none, the key terms of X and the parts that it names."""

    preposition: str
    allowed: frozenset[str]
    parts: tuple[Part, ...]


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

    `about`: the key terms without the words of its stance. `spelled` has each as it is first written, `clauses` the text and key
    terms of each. `predicate`: what is not to be, of which the other one must speak, `none_of` what there is to be none of; none
    where that is the whole. `tells`: it looks at a thing only, and this is the verb. `prefers`: what over what. `given_up`: what
    is replaced, `spares` what it does without. `places` are where a thing is, or goes, `bound` whether nowhere else.
    """

    terms: frozenset[str]
    about: frozenset[str]
    spelled: dict[str, str]
    clauses: tuple[tuple[str, frozenset[str]], ...]
    forbids: str
    refuses: str
    limits: tuple[Limit, ...]
    ends: bool
    only: Way | None
    predicate: frozenset[str]
    none_of: frozenset[str]
    tells: frozenset[str]
    prefers: tuple[frozenset[str], frozenset[str]] | None
    given_up: frozenset[str]
    spares: frozenset[str]
    parts: tuple[Part, ...]
    places: frozenset[str]
    bound: bool
    followed: dict[str, frozenset[str]]
    directions: tuple[Direction, ...]
    figures: tuple[Bounded, ...]
    dates: tuple[Dated, ...]

    def turns(self, axis: str, negation: str) -> bool:
        """Whether its negation turns the direction on this axis round. A word that ends something is a direction of `KEPT`."""
        return bool(negation) and not (axis == KEPT and ENDING.fullmatch(negation))

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
    stated = GOES_ON.sub(" keep ", bare)
    forbids, refuses, only = FORBIDS.search(stated), REFUSES.search(stated), _ONLY.search(_CONTRAST.sub(" ", text))
    prefers, tells = _PREFERS.search(text), TELLS.match(text)
    if prefers:
        stated = stated.replace(_said(prefers, "other"), " ")
    return Stance(
        terms=terms(text),
        about=_about(_CONTRAST.sub(" ", text), only),
        spelled=_spelled(text),
        clauses=tuple((clause, terms(clause)) for clause in _CLAUSE.split(text)),
        forbids=forbids.group() if forbids else "",
        refuses=refuses.group() if refuses else "",
        limits=tuple(_limits(text, today)),
        ends=bool(_ENDS.search(text)),
        only=_way(only) if only else None,
        predicate=_predicate(BEHIND.search(stated), stated),
        none_of=_predicate(NONE.search(stated), stated),
        tells=terms(tells["verb"]) if tells else frozenset(),
        prefers=_preference(prefers) if prefers else None,
        given_up=_given_up(text, prefers),
        spares=_spares(text),
        parts=tuple(_parts(text)),
        places=_places(text),
        bound=bool(BOUND.search(text)),
        followed=_followed(text),
        directions=tuple(_directions(stated)),
        figures=figures,
        dates=tuple(dates(text, today)),
    )


def _about(text: str, only: re.Match[str] | None) -> frozenset[str]:
    """The key terms of what it speaks of: without the words of its stance, the one way or place, and until when it is so."""
    said = [part.word for part in _parts(text) if part.family == DAYS]
    if only:
        said += [only.group()] if _said(only, "prep") else [part.word for part in _way(only).parts]
    for one in said:
        text = text.replace(one, " ")
    places = (_PLACE,) if PLACED.search(text) else ()
    for pattern in (
        _UNTIL,
        _OF_A_STANCE,
        *places,
        PLACED,
        ENDING,
        *(pole for poles in _POLES.values() for pole in poles),
    ):
        text = pattern.sub(" ", text)
    return terms(unmeasured(text)) - _LIGHT


def _said(found: re.Match[str], name: str) -> str:
    """What one of the groups of this name, numbered from the second, has."""
    return next((said for group, said in found.groupdict().items() if said and group.rstrip("23") == name), "")


def _way(found: re.Match[str]) -> Way:
    way = _said(found, "way")
    return Way(_alias(_said(found, "prep")), terms(way), tuple(_parts(" ".join(way.split()[:4]))))


def _alias(preposition: str) -> str:
    return "through" if preposition.lower() == "via" else preposition.lower()


def _preference(found: re.Match[str]) -> tuple[frozenset[str], frozenset[str]]:
    one, other = terms(_said(found, "one")), terms(_WHERE.sub("", _said(found, "other")))
    return one - other, other - one


def _given_up(text: str, prefers: re.Match[str] | None) -> frozenset[str]:
    gone = [_said(found, "gone") for found in GIVES_UP.finditer(text)]
    return frozenset(term for said in gone for term in terms(said)) | (
        _preference(prefers)[1] if prefers else frozenset()
    )


def _spares(text: str) -> frozenset[str]:
    """What it does without, or removes; what removes a ban does not."""
    return frozenset(
        term for found in SPARES.finditer(text) if not FORBIDS.search(found["what"]) for term in terms(found["what"])
    )


def _predicate(found: re.Match[str] | None, text: str) -> frozenset[str]:
    """What stands behind `not` or `no`, without verbs that say nothing, times and parts."""
    behind = " ".join(re.split(r"[.,;!?]", text[found.end() :])[0].split()[:PREDICATE_WORDS]) if found else ""
    for part in _parts(behind):
        behind = behind.replace(part.word, " ")
    return terms(unmeasured(behind)) - _LIGHT


def _parts(text: str) -> Iterator[Part]:
    for family, sides in enumerate(_KINDS):
        for side, pattern in enumerate(sides):
            for found in pattern.finditer(text):
                yield Part(
                    family, side, found.group(), terms(found["noun"]) if "noun" in found.groupdict() else frozenset()
                )


def _places(text: str) -> frozenset[str]:
    """The names of the places in or to which a thing is put; none where no verb says so."""
    whole = _SHORTS.sub(lambda found: _SHORT[found.group()], text)
    if not PLACED.search(text):
        return frozenset()
    named = {name for found in _PLACE.finditer(whole) for name in re.split(r",\s*|\s+(?:and|or)\s+", found[1])}
    return frozenset(name for name in named if name.lower() not in MONTHS and not any(one.isdigit() for one in name))


def place_kind(name: str) -> str:
    return "country" if name in COUNTRIES else "region" if name in REGIONS else "town"


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
    """The key terms behind each preposition, up to the next one or the next sign."""
    found: dict[str, frozenset[str]] = {}
    for match in _FOLLOWED.finditer(text):
        found[_alias(match[1])] = found.get(_alias(match[1]), frozenset()) | terms(match[2])
    return found


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
