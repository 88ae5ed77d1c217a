"""Which conditions of a question a negation binds to: `not on a plan`, `neither this nor that`, `a method other than that`; pure.

A negation binds to the next condition where nothing but words that say nothing stands between, and to those joined to it. One
that stands before a condition and cannot be bound takes this with it: told as not understood, never answered for the opposite.
"""

import re
from collections.abc import Callable, Collection, Sequence

from msgspec import Struct

from actors.sophia.tools.condition_words import NO, OF_ALL, PAIRS
from actors.sophia.tools.question_tokens import Token
from runtime.text import STOP_WORDS

BETWEEN_MAX = 8
"""Words between a negation and its condition."""
_ARTICLES = frozenset(("a", "an", "the", "any", "those", "these", "our", "either"))
_PLACES = frozenset(("on", "in", "by", "of", "to"))
_JOINED = frozenset(("and", "or", "nor"))
_USING = frozenset(
    "use uses using used take takes taking subscribe subscribed subscribes method methods plan plans option options live living"  # noqa: SIM905 - a word a line would be pages
    " come comes belong belongs region class category anyone anybody hold holding holds signed single".split()
)


class Denials(Struct, frozen=True):
    """`denied`: of a condition, by its place among all, where the words begin that deny it. `unread`: words, from and to."""

    denied: dict[int, int]
    dropped: frozenset[int]
    unread: tuple[tuple[int, int], ...]


def denials(
    question: str,
    words: Sequence[Token],
    spans: Sequence[tuple[int, int]],
    used: Collection[int],
    empty: Callable[[Token], bool],
) -> Denials:
    """`spans`: the words of each condition, in order; `empty`: whether a word says nothing of its own."""
    denied: dict[int, int] = {}
    dropped: set[int] = set()
    unread: list[tuple[int, int]] = []
    for at, one in enumerate(words):
        if at in used or not _denies(words, at):
            continue
        end = _clause_end(question, words, at)
        following = next((n for n, (start, _) in enumerate(spans) if at < start < end), None)
        inner = words[at + 1 : spans[following][0]] if following is not None else ()
        cut = next((n for n, word in enumerate(inner) if n and word.text in ("and", "but", "or")), None)
        if following is None or cut is not None:
            stop = at + 1 + cut if cut is not None else end
            if any(word.text not in STOP_WORDS for word in words[at + 1 : stop]):
                unread.append((at, min(stop, at + 1 + BETWEEN_MAX)))
            continue
        twice = any(
            _denies(words, place) for place in range(at + 1, spans[following][0]) if not _same(words, at, place)
        )
        plain = all(empty(word) or word.text in _USING for word in inner)
        if twice or not plain or len(inner) > BETWEEN_MAX:
            dropped.add(following)
            unread.append((at, spans[following][1]))
            continue
        if following in dropped:
            continue
        denied[following] = min(at, denied.get(following, at))
        for joined in _joined(question, words, spans, following, one.text):
            denied.setdefault(joined, spans[joined][0])
    return Denials({at: start for at, start in denied.items() if at not in dropped}, frozenset(dropped), tuple(unread))


def _denies(words: Sequence[Token], at: int) -> bool:
    one = words[at].text
    behind = words[at + 1].text if at + 1 < len(words) else ""
    if one in PAIRS:
        return behind == PAIRS[one]
    if one == "not" and (behind == "only" or (at > 1 and words[at - 2].text == "whether")):
        return False
    return one in NO


def _same(words: Sequence[Token], at: int, place: int) -> bool:
    """Whether the second word is a part of the first: `but not`."""
    return place == at + 1 and words[at].text in PAIRS


def _clause_end(question: str, words: Sequence[Token], at: int) -> int:
    for place in range(at + 1, len(words)):
        if re.search(r"[?!;:]|\.\s", question[words[place - 1].end : words[place].start]):
            return place
    return len(words)


def _joined(question: str, words: Sequence[Token], spans: Sequence[tuple[int, int]], first: int, by: str) -> list[int]:
    """The conditions joined to a denied one, so that they are denied with it."""
    found: list[int] = []
    for at in range(first + 1, len(spans)):
        between = words[spans[at - 1][1] : spans[at][0]]
        texts = {word.text for word in between}
        joins = texts & _JOINED
        comma = question[words[spans[at - 1][1] - 1].end : words[spans[at][0]].start].strip() == ","
        if not (comma or joins) or ("and" in joins and by not in OF_ALL):
            break
        if not texts <= (_ARTICLES if "and" in joins else _ARTICLES | _PLACES) | _JOINED:
            break
        found.append(at)
    return found
