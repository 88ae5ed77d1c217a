"""Plain English as data: sentences, content words and a light stem. Pure; used wherever texts are compared or quoted."""

import re
from collections.abc import Iterator
from functools import lru_cache

SENTENCE_CHARS_MAX = 600
NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
"""A pattern: digits, in threes by commas or not, with decimals or not."""


# Repetitions are bounded: texts come from outside, and a run of one sign must not cost its square.
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|vs|cf|ca|approx|incl|excl|no|nos|fig|dr|mr|mrs|ms|prof|inc|ltd|co|corp|st|jan|feb|mar|apr|jun|jul"
    r"|aug|sep|sept|oct|nov|dec)|\b[A-Z]|^\d{1,3})\.$",
    re.IGNORECASE,
)
_END = re.compile(r"""[.!?…]{1,8}["'”’)\]]{0,4}(?=\s+["'“‘(\[]?[A-Z0-9€$£])""")
_ITEM = re.compile(r"^\s*(?:[-*+•]|\d{1,3}[.)])\s+")
_RULE = re.compile(r"^\s*(?:[-=*_]{3,}|```.*|~~~.*)\s*$")
_LINK = re.compile(r"!?\[([^\]\[]{0,300})\]\([^)(]{0,1000}\)")
_EMPHASIS = re.compile(r"(\*\*|__|`)(.+?)\1")
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")

STOP_WORDS = frozenset(
    """a about above after again all also am an and any are as at be because been before being below between both but by can
    could did do does doing down during each else few for from further had has have having he her here hers him his how i if in
    into is it its itself just me more most my no nor not now of off on once only or other our ours out over own per please same
    she should so some such than that the their theirs them then there these they this those through to too under until up us
    very was we were what when where which while who whom whose why will with would you your yours""".split()  # noqa: SIM905 - prose wraps better than a list of a hundred literals
)


def sentences(text: str) -> list[str]:
    """The sentences of plain or Markdown text in order, marks removed, white space single; headings and tables left out.

    A line that starts a list item starts a sentence; wrapped lines are joined. Each is at most SENTENCE_CHARS_MAX characters.
    """
    found: list[str] = []
    for block in _blocks(text):
        found.extend(sentence for sentence in _split(plain(block)) if sentence)
    return found


def words(text: str) -> list[str]:
    """Lower-case content words in order, stemmed; stop words and single letters left out, numbers kept."""
    return [
        stem(word)
        for word in _WORD.findall(text.lower())
        if word not in STOP_WORDS and (len(word) > 1 or word.isdigit())
    ]


@lru_cache(maxsize=16_384)  # the same words come again and again, and their endings are most of the work of `words`
def stem(word: str) -> str:
    """A word without its commonest English endings: enough to match `customers` and `customer`, `losing` and `lose`."""
    word = word.replace("’", "'").removesuffix("'s")
    if len(word) <= 3 or word.isdigit():
        return word
    for suffix, replacement in (
        ("ies", "y"),
        ("sses", "ss"),
        ("ing", ""),
        ("edly", ""),
        ("ed", ""),
        ("es", ""),
        ("s", ""),
    ):
        if word.endswith(suffix) and len(word) - len(suffix) + len(replacement) >= 3:
            if suffix == "s" and word.endswith(("ss", "us", "is")):
                break
            word = word[: -len(suffix)] + replacement
            break
    if len(word) > 4 and word[-1] == word[-2] and word[-1] in "bdgmnprt":
        word = word[:-1]
    return word[:-1] if len(word) > 3 and word.endswith("e") else word


def clip(text: str, chars_max: int) -> str:
    """The text, cut at a word with an ellipsis if it is longer than `chars_max`."""
    if len(text) <= chars_max:
        return text
    head = text[: chars_max - 1]
    return head.rsplit(" ", 1)[0].rstrip(" ,;:") + "…" if " " in head[chars_max // 2 :] else head + "…"


def titled(name: str) -> str:
    """The title over a section of an answer, as Markdown."""
    return f"## {name.replace('_', ' ').capitalize()}"


def _blocks(text: str) -> Iterator[str]:
    """Paragraphs and list items with their wrapped lines joined."""
    current: list[str] = []
    for line in text.splitlines():
        heading_or_table = line.lstrip().startswith(("#", "|", ">|"))
        if not line.strip() or heading_or_table or _RULE.match(line) or _ITEM.match(line):
            if current:
                yield " ".join(current)
            current = []
            if _ITEM.match(line) and not _RULE.match(line):
                current = [_ITEM.sub("", line, count=1)]
            continue
        current.append(line.strip())
    if current:
        yield " ".join(current)


def plain(block: str) -> str:
    """The text without Markdown's marks, white space single."""
    block = _EMPHASIS.sub(r"\2", _LINK.sub(r"\1", block.lstrip("> ")))
    return " ".join(block.split())


def _split(block: str) -> Iterator[str]:
    start = 0
    for match in _END.finditer(block):
        candidate = block[start : match.end()]
        if _ABBREVIATION.search(candidate[-12:]) if candidate.endswith(".") else False:
            continue
        yield clip(candidate.strip(), SENTENCE_CHARS_MAX)
        start = match.end()
    yield clip(block[start:].strip(), SENTENCE_CHARS_MAX)
