"""What the extractive model may quote: the sentences of evidence and findings that can stand alone, each once.

Left out are rows of tables and lists of fields, what was cut off, what says only that nothing is known, and findings that repeat
what evidence says (then that is quoted, with its number). A sentence that begins with a pronoun or a connective means nothing
without the one before it: the two are quoted together, or neither is.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator

from msgspec import Struct

from contracts.model import Evidence, Prompt, abstains
from contracts.span import Span
from runtime.quotes import Quote, quotes
from runtime.text import STOP_WORDS, plain, words

POOL_MAX = 2_000
WORDS_MIN = 4
WORDS_MIN_UNENDED = 5  # of a list item without a full stop
WORDS_A_FUNCTION_WORD_MAX = 12  # prose has at least one such word among so many; a table's row has none
CUT_TEXT_CHARS_MIN = 1_000  # what ends without a full stop at the end of so long a text was cut off
JOINED_MAX = 3  # sentences quoted together
REPEATED_CHARS_MIN = 24  # of a sentence that a finding is said to quote
PREFIXES_MAX = 4  # of a finding: who said it on what
WEIGHT_MAX = 1.25

_LEADS = re.compile(
    r"(?:it|its|they|their|them|this|these|that|those|he|she|his|her|both|such|of (?:these|those|them|which)"
    r"|the (?:latter|former)|neither|here|then|thus|hence|therefore|so|but|and|or|however|instead|otherwise|moreover"
    r"|furthermore|besides|also|yet|still|nevertheless|as a result|in addition|for example|for this|because of this)\b",
    re.IGNORECASE,
)
_BEGINS = re.compile(r"[\"'“‘(\[]?[A-Z0-9€$£À-ÞĀ-ž]")
_ENDS = re.compile(r"[.!?…][\"'”’)\]]{0,4}$")
_FIELD = re.compile(r"[\w-]+: ")
_COLUMN = re.compile(r"Column [^:]{1,200}: ")  # how the text of a table describes it (deploy/items.py)
_WORD = re.compile(r"[^\W\d_]+")


class Sentence(Struct, frozen=True):
    """What may be quoted, with its words; `origin` is the evidence's place (from 0), or -1 for a finding.

    `told`: it is evidence that a finding quotes.
    """

    text: str
    words: frozenset[str]
    counts: tuple[tuple[str, int], ...]
    length: int
    origin: int
    weight: float
    quote: Span | None = None
    told: bool = False

    @classmethod
    def of(cls, text: str, origin: int, weight: float, quote: Span | None = None, *, told: bool = False) -> "Sentence":
        listed = words(text)
        counts = tuple(sorted(Counter(listed).items()))
        return cls(text, frozenset(listed), counts, len(listed), origin, weight, quote, told)

    def says_again(self, other: "Sentence", same_from: float) -> bool:
        """Whether it says what the other does: the same place, nearly the same words, or nothing but words of the other."""
        mine, its = self.quote, other.quote
        if self.origin == other.origin and mine and its and mine.start < its.end and its.start < mine.end:
            return True
        return self.shared(other) >= same_from or self.words <= other.words

    def shared(self, other: "Sentence") -> float:
        """The words the two share over all their words (Jaccard)."""
        return len(self.words & other.words) / len(self.words | other.words)


class Pool(Struct, frozen=True):
    """All sentences, with what BM25 needs of them together."""

    sentences: tuple[Sentence, ...]
    rarity: dict[str, float]
    mean_length: float

    def rare(self, word: str) -> float:
        """How much a word says: more the fewer sentences have it."""
        return self.rarity.get(word, math.log(2 + 2 * len(self.sentences)))


def pool_of(prompt: Prompt) -> Pool:
    found: dict[str, Sentence] = {}
    everything = [list(quotes(one.text)) for one in prompt.evidence]
    standing = [list(_standing(all_, one)) for all_, one in zip(everything, prompt.evidence, strict=True)]
    said = _Said(quote.text for all_ in everything for quote in all_)
    quotable = {quote.text: _bare(quote.text) for every in standing for quote in every}
    told: set[str] = set()
    for finding in prompt.findings:
        text = " ".join(finding.split())
        lowered = text.lower()
        repeated = [one for one, bare in quotable.items() if len(bare) >= REPEATED_CHARS_MIN and bare in lowered]
        told.update(repeated)
        if not repeated and not _LEADS.match(text) and not said.again(text):
            _add(found, Sentence.of(text, -1, WEIGHT_MAX))
    for at, one in enumerate(prompt.evidence):
        weight = 0.75 + 0.5 * min(1.0, max(0.0, one.score))
        for quote in standing[at]:
            _add(found, Sentence.of(quote.text, at, weight, quote.span, told=quote.text in told))
    held = tuple(found.values())[:POOL_MAX]
    documents = Counter(word for one in held for word in one.words)
    rarity = {word: math.log(1 + (len(held) - count + 0.5) / (count + 0.5)) for word, count in documents.items()}
    return Pool(held, rarity, sum(one.length for one in held) / len(held) if held else 1.0)


def _add(found: dict[str, Sentence], one: Sentence) -> None:
    if one.words and len(one.text.split()) >= WORDS_MIN:
        found.setdefault(one.text, one)


class _Said:
    """What was said already, so that a finding which says it again is known: `Who on what: ` may stand before it."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = set(map(_bare, texts))

    def again(self, finding: str) -> bool:
        """Whether it says nothing, or nothing new; then it is remembered."""
        parts = finding.split(": ", PREFIXES_MAX)
        rests = [": ".join(parts[at:]) for at in range(len(parts))]
        known = any(abstains(rest) for rest in rests) or any(
            _bare(rest) in self._texts for rest in rests if len(rest.split()) >= WORDS_MIN
        )
        self._texts.add(_bare(rests[0]))
        return known


def _bare(text: str) -> str:
    return text.rstrip(" .!?…").lower()


def _standing(everything: list[Quote], evidence: Evidence) -> Iterator[Quote]:
    """Those that can stand alone, and those that need the sentence before together with it."""
    before: list[Quote] = []  # what this sentence may be joined to
    for quote in everything:
        if not _is_prose(quote, evidence.text):
            before = []
            continue
        if not _LEADS.match(quote.text):
            before = [quote]
            yield quote
        elif before and len(before) < JOINED_MAX:
            before.append(quote)
            span = Span(before[0].span.start, quote.span.end)
            text = " ".join(one.text for one in before)
            if plain(span.of(evidence.text)) == text:  # Else something stands between them.
                yield Quote(text, span)
            else:
                before = []


def _is_prose(quote: Quote, whole: str) -> bool:
    text, listed = quote.text, quote.text.split()
    if not _BEGINS.match(text) or text.endswith((":", "?")) or "|" in text or _COLUMN.match(text):
        return False
    if not _ENDS.search(text):
        cut = quote.span.end >= len(whole.rstrip()) and len(whole) >= CUT_TEXT_CHARS_MIN
        if cut or len(listed) < WORDS_MIN_UNENDED or _FIELD.match(text):
            return False
    linking = sum(word in STOP_WORDS for word in _WORD.findall(text.lower()))
    return linking * WORDS_A_FUNCTION_WORD_MAX >= len(listed)
