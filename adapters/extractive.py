"""The model that needs no network: answers made of the evidence's own sentences and the tools' findings, nothing invented.

For every wanted section it ranks all sentences by BM25 (Robertson and Zaragoza, 2009, "The Probabilistic Relevance Framework";
k1 1.2, b 0.75, over sentences) against the question and the section's guidance, adds cues of the section's name (risks,
timeline …), and picks by maximal marginal relevance (Carbonell and Goldstein, 1998; 0.75) so that a section does not repeat
itself. A sentence stands in one section only. The same prompt gives the same bytes.

Confidence is 0.2 + 0.75 × (0.5 coverage + 0.3 relevance + 0.2 support): coverage is the share of the question's words met in
what was chosen, relevance the mean of the three best evidence scores used (1 for computed findings), support the number of
sources used over three, at most 1. Without evidence or findings it is 0.1, and 0.2 where none of them meets the question.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from contracts.chat import Delta
from contracts.model import SECTION_CHARS_MAX, Allowance, Prompt, Reply, Section, Usage
from runtime.errors import AllowanceError
from runtime.ports import OnDelta
from runtime.text import clip, sentences, titled, words

NAME = "extractive-v1"
POOL_MAX = 2_000
SENTENCES_A_SECTION = 5
SENTENCES_A_SUMMARY = 3
SENTENCE_WORDS_MIN = 4
EVIDENCE_SCORE_MIN = 0.25
K1, B = 1.2, 0.75
DIVERSITY = 0.25
SHARE_OF_BEST_MIN = 0.4
SAME_FROM = 0.8
WEIGHT_MAX = 1.25

NOTHING_KNOWN = "Nothing relevant to this question is known at the reader's clearance."
_PROSE = ("summary", "overview", "answer", "content", "conclusion", "executive")
_CUES: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("architect", "design"),
        r"architect|(?<!-)\bservice\b|\bAPI\b|database|queue|component|layer|interface|adapter|front end",
    ),
    (
        ("segment", "at_risk", "customer", "impact"),
        r"segment|customers with|at risk|revenue|combination|charges|exposed|affected",
    ),
    (
        ("risk", "urgen", "threat", "vulnerab", "exposure", "weakness"),
        r"risk|threat|delay|outage|incident|fail|expos|severity|high:|late",
    ),
    (
        ("timeline", "roadmap", "schedule", "milestone", "horizon"),
        r"\bQ[1-4]\b|20\d\d|week|month|quarter|\bby (?:the|end)|deadline|deliver|start|finish|planned",
    ),
    (
        ("recommend", "next_step", "action", "implementation"),
        r"\bshould\b|recommend|\bmust\b|we will|plan(?:s|ned)? to|mitigation|needed|highest-risk|hot spot|high:|candidate",
    ),
    (("align", "strateg", "priorit", "implication"), r"strateg|priorit|goal|objective|target|mission|vision|aim"),
    (
        ("complex", "requirement", "technical", "structure"),
        r"complex|depend|integrat|migrat|legacy|interface|\bAPI\b|module|effort|engineer-weeks",
    ),
    (
        ("feasib", "capacity", "capabil", "constraint"),
        r"feasib|capacity|effort|engineer|team|week|possible|cannot|can be|constraint|budget",
    ),
    (("conflict", "contradict", "trade"), r"\bbut\b|however|conflict|instead|although|compet|cannot|freeze|not before"),
    (("compet", "landscape"), r"compet|rival|switch|undercut|market|against|price"),
    (("market", "position"), r"market|share|segment|region|demand|grow|position|price"),
    (
        ("driver", "cause", "reason", "why"),
        r"because|caus|due to|reason|times the average|therefore|driver|explain|complain|switched",
    ),
    (("opportunit", "upsell"), r"opportunit|candidate|could|grow|upsell|would bring|potential|expan"),
    (("insight", "finding", "figure", "kpi"), r"\d"),
    (("incident", "bottleneck", "hot_spot"), r"incident|minutes|severity|outage|hot spot|complexity|high:|slow|loop"),
    (("pipeline", "financ", "cost", "budget"), r"EUR|€|\$|revenue|cost|budget|value|margin|invest"),
)


class _Sentence(Struct, frozen=True):
    """A sentence with its words and its origin: the evidence's place (from 0), or -1 for a finding."""

    text: str
    words: frozenset[str]
    counts: tuple[tuple[str, int], ...]
    length: int
    origin: int
    weight: float


class _Pool(Struct, frozen=True):
    """All sentences, with what BM25 needs of them together."""

    sentences: tuple[_Sentence, ...]
    rarity: dict[str, float]
    mean_length: float


class ExtractiveModel:
    """A ChatModel without a model; see the head of this file for what it does and how sure it says it is."""

    @property
    def name(self) -> str:
        return NAME

    async def complete(
        self,
        prompt: Prompt,
        *,
        idempotency_key: str,  # noqa: ARG002 - nothing outside is called
        on_delta: OnDelta | None = None,
        allowance: Allowance | None = None,
    ) -> Reply:
        """The answer. Raises AllowanceError where it has more words than tokens may be used."""
        reply = compose(prompt)
        afford(reply.usage, allowance)
        if on_delta is not None:
            for at, (name, text) in enumerate(reply.sections.items()):
                on_delta(Delta(text=f"{chr(10) * 2 if at else ''}{titled(name)}\n{text}"))
        return reply


def afford(usage: Usage, allowance: Allowance | None) -> None:
    """Raises AllowanceError: what costs no money still counts its words as tokens."""
    if allowance is not None and allowance.tokens is not None and usage.tokens > allowance.tokens:
        raise AllowanceError(f"{NAME} needs {usage.tokens}")


def compose(prompt: Prompt) -> Reply:
    """The whole answer as a function of the prompt."""
    pool = _pool(prompt)
    asked = frozenset(words(prompt.question))
    relevant = [at for at, one in enumerate(pool.sentences) if _relevant(one, asked)]
    chosen = _share_out(pool, relevant, prompt)
    sections = {
        section.name: _text(section, [pool.sentences[at] for at in chosen[section.name]], prompt, known=bool(relevant))
        for section in prompt.sections
    }
    used = {at for places in chosen.values() for at in places}
    quoted = [pool.sentences[at] for at in sorted(used)]
    cited = tuple(dict.fromkeys(prompt.evidence[one.origin].id for one in quoted if one.origin >= 0))
    written = sum(len(text.split()) for text in sections.values())
    read = sum(len(one.text.split()) for one in prompt.evidence) + sum(len(text.split()) for text in prompt.findings)
    return Reply(
        sections=sections,
        cited=cited,
        confidence=confidence(prompt, quoted, asked),
        model=NAME,
        usage=Usage(input_tokens=read, output_tokens=written),
    )


def confidence(prompt: Prompt, quoted: Sequence[_Sentence], asked: frozenset[str]) -> float:
    """The formula at the head of this file; 0 to 1, two decimals."""
    if not prompt.evidence and not prompt.findings:
        return 0.1
    met = asked & frozenset(word for one in quoted for word in one.words)
    if not met:
        return 0.2
    origins = {one.origin for one in quoted}
    scores = sorted((1.0 if origin < 0 else prompt.evidence[origin].score for origin in origins), reverse=True)[:3]
    coverage = len(met) / len(asked)
    relevance = sum(min(1.0, max(0.0, score)) for score in scores) / len(scores)
    support = min(1.0, len(origins) / 3)
    return round(0.2 + 0.75 * (0.5 * coverage + 0.3 * relevance + 0.2 * support), 2)


def _pool(prompt: Prompt) -> _Pool:
    found: dict[str, _Sentence] = {}
    for text in prompt.findings:
        _add(found, " ".join(text.split()), -1, 1.25)
    for at, one in enumerate(prompt.evidence):
        for text in sentences(one.text):
            _add(found, text, at, 0.75 + 0.5 * min(1.0, max(0.0, one.score)))
    held = tuple(found.values())[:POOL_MAX]
    documents = Counter(word for one in held for word in one.words)
    rarity = {word: math.log(1 + (len(held) - count + 0.5) / (count + 0.5)) for word, count in documents.items()}
    return _Pool(held, rarity, sum(one.length for one in held) / len(held) if held else 1.0)


def _add(found: dict[str, _Sentence], text: str, origin: int, weight: float) -> None:
    if text in found or len(text.split()) < SENTENCE_WORDS_MIN or (origin >= 0 and text.endswith((":", "?"))):
        return
    listed = words(text)
    if listed:
        found[text] = _Sentence(
            text, frozenset(listed), tuple(sorted(Counter(listed).items())), len(listed), origin, weight
        )


def _relevant(one: _Sentence, asked: frozenset[str]) -> bool:
    """Whether a sentence may be used at all: it shares a word with the question, or its source was found close to it."""
    return one.origin < 0 or bool(one.words & asked) or one.weight >= 0.75 + 0.5 * EVIDENCE_SCORE_MIN


def _share_out(pool: _Pool, usable: Sequence[int], prompt: Prompt) -> dict[str, list[int]]:
    """The sentences of each section, best first. Sections take turns, summaries first, so that none takes what all need."""
    asked = frozenset(words(prompt.question))
    scores = {section.name: _scores(pool, usable, section, asked) for section in prompt.sections}
    chosen: dict[str, list[int]] = {section.name: [] for section in prompt.sections}
    used: set[int] = set()
    turns = sorted(prompt.sections, key=lambda section: not _is_prose(section))
    for turn in range(SENTENCES_A_SECTION):
        for section in turns:
            held, candidates = chosen[section.name], scores[section.name]
            if _is_prose(section):
                if turn >= SENTENCES_A_SUMMARY:
                    continue
                # A summary answers the whole question: each further sentence is for the words not yet met.
                covered = frozenset(word for at in held for word in pool.sentences[at].words)
                open_words = (asked - covered) or asked
                candidates = _scores(pool, _exact(pool, usable, asked) if turn == 0 else usable, section, open_words)
            picked = _pick(pool, candidates, held, used)
            if picked is not None:
                used.add(picked)
                held.append(picked)
    return chosen


def _exact(pool: _Pool, usable: Sequence[int], asked: frozenset[str]) -> Sequence[int]:
    """The findings that meet the question: where tools computed something to the point, an answer begins with it."""
    return [at for at in usable if pool.sentences[at].origin < 0 and pool.sentences[at].words & asked] or usable


def _is_prose(section: Section) -> bool:
    return any(name in section.name.lower() for name in _PROSE)


def _pattern(section: Section) -> re.Pattern[str] | None:
    name = section.name.lower()
    for names, pattern in _CUES:
        if any(one in name for one in names):
            return re.compile(pattern, re.IGNORECASE)
    return None


def _scores(pool: _Pool, usable: Sequence[int], section: Section, asked: frozenset[str]) -> dict[int, float]:
    """How well each sentence suits the section, 0 to 1: BM25 (a half), cues (a third) and the weight of its source (a sixth).

    The question's words count twice, the guidance's once. A section with cues takes sentences without any only when no
    sentence has one.
    """
    query = Counter(dict.fromkeys(asked, 2))
    prose = _is_prose(section)
    pattern = None if prose else _pattern(section)
    if not prose:
        query.update(set(words(f"{section.name.replace('_', ' ')} {section.guidance}")))
    overlap = {at: _bm25(pool, pool.sentences[at], query) for at in usable}
    most = max(overlap.values(), default=0.0) or 1.0
    cues = {
        at: len({hit.lower() for hit in pattern.findall(pool.sentences[at].text)}) if pattern else 0 for at in usable
    }
    cued = any(cues.values())
    return {
        at: overlap[at] / most / 2 + min(3, cues[at]) / 9 + pool.sentences[at].weight / WEIGHT_MAX / 6
        for at in usable
        if cues[at] or not cued
    }


def _bm25(pool: _Pool, one: _Sentence, query: Counter[str]) -> float:
    norm = K1 * (1 - B + B * one.length / pool.mean_length)
    return sum(
        query[word] * pool.rarity[word] * count * (K1 + 1) / (count + norm)
        for word, count in one.counts
        if word in query
    )


def _pick(pool: _Pool, scores: dict[int, float], chosen: Sequence[int], used: set[int]) -> int | None:
    """The next sentence by maximal marginal relevance, or None when what is left is weak or says the same."""
    top = max(scores.values(), default=0.0)
    best: tuple[float, int] | None = None
    for at, score in scores.items():
        if at in used or (chosen and score < SHARE_OF_BEST_MIN * top):
            continue
        same = max((_overlap(pool.sentences[at], pool.sentences[other]) for other in chosen), default=0.0)
        value = (1 - DIVERSITY) * score / (top or 1.0) - DIVERSITY * same
        if same <= SAME_FROM and (best is None or value > best[0]):
            best = (value, at)
    return best[1] if best else None


def _overlap(one: _Sentence, other: _Sentence) -> float:
    """The words two sentences share over all their words (Jaccard)."""
    return len(one.words & other.words) / len(one.words | other.words)


def _text(section: Section, chosen: Sequence[_Sentence], prompt: Prompt, *, known: bool) -> str:
    if not known:
        return NOTHING_KNOWN
    if not chosen:
        return f"The material at hand says nothing more on {section.name.replace('_', ' ')}."
    lines = [_cited(one) for one in chosen]
    if _is_prose(section):
        return clip(f"{_basis(prompt)} {' '.join(lines)}".strip(), SECTION_CHARS_MAX)
    return clip("\n".join(f"- {line}" for line in lines), SECTION_CHARS_MAX)


def _cited(one: _Sentence) -> str:
    text = one.text if one.text.endswith((".", "!", "?", "…")) else f"{one.text}."
    return text if one.origin < 0 else f"{text} [{one.origin + 1}]"


def _basis(prompt: Prompt) -> str:
    computed = f"{len(prompt.findings)} computed findings" if prompt.findings else ""
    sources = (
        f"{len(prompt.evidence)} {'source' if len(prompt.evidence) == 1 else 'sources'}" if prompt.evidence else ""
    )
    return f"From {' and '.join(filter(None, (computed, sources)))}:"
