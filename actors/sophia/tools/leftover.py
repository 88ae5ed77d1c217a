"""Words of a question that restrict it, perhaps, and were read as nothing: periods, and in a question for a figure whatever no
question of this kind has; pure. A figure of all must not stand as that of a few."""

import re
from collections.abc import Callable, Collection, Iterator, Sequence

from actors.sophia.tools.condition_words import NAMED_NUMBERS, NO, YES
from actors.sophia.tools.question_tokens import Token
from runtime.text import STOP_WORDS, stem

_PERIOD = re.compile(
    r"\b(?:(?:last|past|previous)\s+(?:\w+\s+)?(?:days?|weeks?|months?|quarters?|years?|spring|summer|autumn|fall|winter)|yesterday"
    r"|recently)\b",
    re.IGNORECASE,
)
_FIGURE = re.compile(
    r"\b(?:how (?:many|much|high|likely)|number of|count|average|mean|median|rates?|percent(?:age)?|share|proportion|fraction)\b"
    r"|^\W*churn of\b",
    re.IGNORECASE,
)
_LENGTH = re.compile(
    rf"\b(?:\d+|{'|'.join(NAMED_NUMBERS)})[\s-](?:years?|months?)\b(?:\s+(?:contracts?|plans?|terms?|tenure))?",
    re.IGNORECASE,
)
_FURTHER = re.compile(r"(?:\band|[,;?.])\s+(?:how|what|why|which|where|who)\b", re.IGNORECASE)
_GROUPING = frozenset(("by", "per", "each", "every", "which", "what"))
_COMMON = frozenset(
    map(
        stem,
        """show tell give find list know want need like make let current currently overall here roughly exactly compare compared
        comparison versus vs across within top first best worst big biggest large largest small smallest high higher highest low
        lower lowest good bad much long often far still ever never actually really say think see look compute calculate question
        answer report different difference please proportion fraction part max min maximum minimum typical typically amount
        sum size value values worth subscribe subscribed take taking use using used go went gone come say well also belong live
        what's who's how's that's there's it's i'm we're i'd we've us get got new old done does happen happened expect
        expected us cost costs spend spends spending bill bills billed method methods option options plan plans service services
        offer offers product products one ones member members household households base per each hold holds have had having quit
        quits cancel cancelled canceled departed gone leaver leavers attrition distribution split
        breakdown broken reduce improve raise grow increase decrease prevent act action do recommend suggest predict forecast
        explain describe summarise summarize analyse analyze tell help base book sign signed early late near likely""".split(),  # noqa: SIM905 - prose
    )
)


def phrases(question: str, words: Sequence[Token], used: Collection[int]) -> Iterator[tuple[int, int]]:
    """From and to which word a period or a length of time stands that was not understood."""
    for pattern in (_PERIOD, _LENGTH):
        for match in pattern.finditer(question):
            held = [at for at, one in enumerate(words) if one.start < match.end() and match.start() < one.end]
            if held and held[0] not in used:
                yield held[0], held[-1] + 1


def leftovers(
    question: str, words: Sequence[Token], used: Collection[int], says: Callable[[Token], bool]
) -> Iterator[tuple[int, int]]:
    """Of a question for a figure, the other words that were not understood; `says`: whether one says something of its own."""
    found = _FIGURE.search(question)
    if found is None:
        return
    further = _FURTHER.search(question, found.end())
    last = further.start() if further else len(question)
    start = None
    for at, one in enumerate(words):
        odd = one.start < last and at not in used and _odd(words, at, says)
        if odd and start is None:
            start = at - 1 if at and one.tied and words[at - 1].tied and at - 1 not in used else at
        if start is not None and not odd:
            yield start, at
            start = None
    if start is not None:
        yield start, len(words)


def _odd(words: Sequence[Token], at: int, says: Callable[[Token], bool]) -> bool:
    one = words[at]
    if (
        one.text.isdigit()
        or one.text in NAMED_NUMBERS
        or {word.text for word in words[max(0, at - 2) : at]} & _GROUPING
    ):
        return False
    return says(one) and one.key not in _COMMON | STOP_WORDS and one.text not in YES | NO
