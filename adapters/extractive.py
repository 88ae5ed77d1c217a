"""The model that needs no network: answers made of the evidence's own sentences and the tools' findings, nothing invented.

For every wanted section it ranks all sentences that can stand alone (`extractive_pool`) by BM25 (Robertson and Zaragoza, 2009,
"The Probabilistic Relevance Framework"; k1 1.2, b 0.75, over sentences) against the question and the section's guidance, adds
cues of the section's name (risks, timeline …), and picks by maximal marginal relevance (Carbonell and Goldstein, 1998; 0.75).
Nothing is said twice in an answer. A summary answers each part of the question. The same prompt gives the same bytes.

Every sentence from evidence is followed by the evidence's number, and a citation says where it stands there, word for word.

Confidence is 0.2 + 0.75 × (0.5 coverage + 0.3 relevance + 0.2 support): coverage is the share of the question's words met in
what was chosen, relevance the mean of the three best evidence scores used (1 for computed findings), support the number of
sources used over three, at most 1. Without evidence or findings it is 0.1, and 0.2 where none of them meets the question.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from adapters.extractive_pool import WEIGHT_MAX, Pool, Sentence, pool_of
from contracts.chat import Delta
from contracts.model import (
    NOTHING_KNOWN,
    NOTHING_MORE,
    QUOTING,
    SECTION_CHARS_MAX,
    Allowance,
    Citation,
    Prompt,
    Reply,
    Section,
    Usage,
)
from contracts.span import Span
from runtime.errors import AllowanceError
from runtime.model_ports import Call
from runtime.text import titled, words

NAME = f"{QUOTING}-v3"
SENTENCES_A_SECTION = 5
SENTENCES_A_SUMMARY = 3
PARTS_MAX = 3  # of a question
EVIDENCE_SCORE_MIN = 0.25
CLOSE_FROM = 0.4  # evidence with such a score is about the question, whatever its words …
CLOSE_SHARE = 0.8  # … and with such a share of the best one's
KNOWN_MIN = 0.34  # of what the question's words say, by their rarity, for a sentence to show that something is known
BESIDE_MIN = (
    2  # of the question's words, and a half of them, for a text's sentence to stand beside what a tool computed
)
MET_MIN = 0.1  # of what the question's words say, by their rarity
EXACT_FROM = 0.5  # of the best sentence's score, for a finding to come first
K1, B = 1.2, 0.75
RARITY = 1.5  # the power of a word's rarity: what is asked for most is what is said least
DIVERSITY = 0.25
SHARE_OF_BEST_MIN = 0.4
SAME_FROM = 0.7
CUES_MAX = 3
TOLD = 0.75  # of what makes evidence close, where a finding quotes it

_PROSE = ("summary", "overview", "answer", "content", "conclusion", "executive")
_WHY = re.compile(r"\bwhy\b|\bcaus(?:e|ed|es)\b|\breasons?\b", re.IGNORECASE)
_PARTS = re.compile(r"[?;]|,\s+(?:and|but|or)\s+")
_CUE_TEXTS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("dependencies",), r"dependenc|advisor|known weakness"),
    (("looked_at",), r"not looked at|Hostile archive|Not read|Not parsed|not scanned|Not judged|was looked for in"),
    (("fix_first",), r"Fix first"),
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
        r"complex|depend|integrat|migrat|legacy|interface|\bAPI\b|module|effort|engineer-weeks|\brequired\b",
    ),
    (
        ("feasib", "capacity", "capabil", "constraint"),
        r"feasib|capacity|effort|engineer|team|week|possible|cannot|can be|constraint|budget|\bat most\b|\bat least\b",
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
_FIRST = (
    ("dependencies", re.compile(r"dependencies have known weaknesses|Dependencies with known weaknesses: ")),
    ("looked_at", re.compile(r"Hostile archive: |Misconfiguration was looked for in |Not looked at: ")),
    ("summary", re.compile(r" could not use ")),
)
"""What must be told, whatever else a section might say: it is no matter of rank."""

_CUES = tuple((names, re.compile(pattern, re.IGNORECASE)) for names, pattern in _CUE_TEXTS)


class ExtractiveModel:
    """A ChatModel without a model; see the head of this file for what it does and how sure it says it is."""

    @property
    def name(self) -> str:
        return NAME

    async def complete(self, prompt: Prompt, call: Call) -> Reply:
        """The answer. Raises AllowanceError where it has more words than tokens may be used."""
        reply = compose(prompt)
        afford(reply.usage, call.allowance)
        if call.on_delta is not None:
            for at, (name, text) in enumerate(reply.sections.items()):
                call.on_delta(Delta(text=f"{chr(10) * 2 if at else ''}{titled(name)}\n{text}"))
        return reply


def afford(usage: Usage, allowance: Allowance | None) -> None:
    """Raises AllowanceError: what costs no money still counts its words as tokens."""
    if allowance is not None and allowance.tokens is not None and usage.tokens > allowance.tokens:
        raise AllowanceError(f"{NAME} needs {usage.tokens}")


def compose(prompt: Prompt) -> Reply:
    """The whole answer as a function of the prompt."""
    pool = pool_of(prompt)
    asked = frozenset(words(prompt.question))
    chosen = _Choosing(pool, prompt, asked).sections()
    texts: dict[str, str] = {}
    citations: list[Citation] = []
    for section in prompt.sections:
        texts[section.name], cited = _written(section, chosen[section.name], prompt)
        citations += cited
    if not any(chosen.values()):
        texts = dict.fromkeys(texts, NOTHING_KNOWN)
    quoted = [one for sentences in chosen.values() for one in sentences]
    read = sum(len(one.text.split()) for one in prompt.evidence) + sum(len(text.split()) for text in prompt.findings)
    return Reply(
        sections=texts,
        cited=tuple(dict.fromkeys(citation.evidence for citation in citations)),
        confidence=confidence(prompt, quoted, asked),
        model=NAME,
        usage=Usage(read, sum(len(text.split()) for text in texts.values())),
        citations=tuple(citations),
    )


def confidence(prompt: Prompt, quoted: Sequence[Sentence], asked: frozenset[str]) -> float:
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


class _Choosing:
    """Shares the sentences out among the sections; `left` are those that may still be used."""

    def __init__(self, pool: Pool, prompt: Prompt, asked: frozenset[str]) -> None:
        self._pool = pool
        self._prompt = prompt
        self._asked = asked
        self._parts = _parts(prompt.question)
        self._whole = sum(pool.rare(word) for word in asked) or 1.0
        best = max((one.score for one in prompt.evidence), default=0.0)
        self._close_from = max(CLOSE_FROM, CLOSE_SHARE * best)
        known = prompt.computed is True or any(self._known(one) for one in pool.sentences)
        self.left = {at for at, one in enumerate(pool.sentences) if known and self._usable(one)}

    def _met(self, one: Sentence) -> float:
        """How much of what the question says the sentence has, by the rarity of the words; 0 to 1."""
        return sum(self._pool.rare(word) for word in one.words & self._asked) / self._whole

    def _score(self, one: Sentence) -> float:
        return 1.0 if one.origin < 0 else self._prompt.evidence[one.origin].score

    def _known(self, one: Sentence) -> bool:
        """Whether it shows that there is anything to say at all."""
        return self._met(one) >= KNOWN_MIN or (one.origin >= 0 and self._score(one) >= EVIDENCE_SCORE_MIN)

    def _usable(self, one: Sentence) -> bool:
        """What tools computed for this question, what meets it, and what stands in evidence that is close to it."""
        close_from = self._close_from * (TOLD if one.told else 1)
        return one.origin < 0 or self._met(one) >= MET_MIN or self._score(one) >= close_from

    def sections(self) -> dict[str, list[Sentence]]:
        """The sentences of each section, best first. Sections take turns, summaries first, so that none takes what all need."""
        chosen: dict[str, list[Sentence]] = {section.name: [] for section in self._prompt.sections}
        prose = [section for section in self._prompt.sections if _is_prose(section)]
        for section in prose:
            chosen[section.name] = [*self._first(section), *self._summary(section)]
        others = [section for section in self._prompt.sections if section not in prose]
        scores = {section.name: self._scores(section, self._asked) for section in others}
        for section in others:
            chosen[section.name] += self._first(section)
        for _ in range(SENTENCES_A_SECTION):
            for section in others:
                held = chosen[section.name]
                if len(held) >= SENTENCES_A_SECTION:
                    continue
                picked = self._pick(scores[section.name], held)
                if picked is not None:
                    held.append(picked)
        return chosen

    def _first(self, section: Section) -> list[Sentence]:
        """What the section has to say before anything else, unless the summary has already."""
        pattern = next((pattern for name, pattern in _FIRST if name == section.name), None)
        found = [at for at in sorted(self.left) if pattern and pattern.search(self._pool.sentences[at].text)]
        self.left -= set(found)
        return [self._pool.sentences[at] for at in found[:SENTENCES_A_SECTION]]

    def _summary(self, section: Section) -> list[Sentence]:
        """What was computed to the point, then the best for each part of the question, then for the words not yet met."""
        held: list[Sentence] = []
        computed = any(map(self._exact, self.left))
        for at, part in enumerate(self._parts):
            scores = self._part(section, part)
            best = max(scores.values(), default=0.0)
            exact = {one: score for one, score in scores.items() if self._exact(one) and score >= EXACT_FROM * best}
            found = {one: score for one, score in scores.items() if self._beside(one, computed=computed)}
            found = found or exact or scores
            for candidates in (exact, found) if at == 0 else (scores,):
                if len(held) <= SENTENCES_A_SUMMARY and (picked := self._pick(candidates, held)) is not None:
                    held.append(picked)
        while len(held) < SENTENCES_A_SUMMARY:
            unmet = self._asked - frozenset(word for one in held for word in one.words)
            scores = self._scores(section, unmet)
            meeting = {
                at: score
                for at, score in scores.items()
                if self._pool.sentences[at].words & unmet
                and (self._pool.sentences[at].origin < 0 or self._beside(at, computed=computed))
            }
            if (picked := self._pick(meeting, held)) is None:
                break
            held.append(picked)
        return held

    def _exact(self, at: int) -> bool:
        one = self._pool.sentences[at]
        return one.origin < 0 and self._met(one) >= MET_MIN

    def _beside(self, at: int, *, computed: bool) -> bool:
        """Whether it is from evidence; beside what was computed to the point only what speaks to the question, too."""
        one = self._pool.sentences[at]
        met = len(one.words & self._asked)
        return one.origin >= 0 and (not computed or met >= max(BESIDE_MIN, len(self._asked) / 2))

    def _part(self, section: Section, part: str) -> dict[int, float]:
        """Scores for one part of the question, which has cues of its own: `why` asks for reasons."""
        scores, pattern = self._scores(section, frozenset(words(part))), _pattern_of(part)
        return {at: score + self._cues(at, pattern) / CUES_MAX / 2 for at, score in scores.items()}

    def _cues(self, at: int, pattern: re.Pattern[str] | None) -> int:
        """How many different cues the sentence has, as far as they count."""
        hits = pattern.findall(self._pool.sentences[at].text) if pattern else ()
        return min(CUES_MAX, len({hit.lower() for hit in hits}))

    def _scores(self, section: Section, asked: frozenset[str]) -> dict[int, float]:
        """How well each sentence suits the section, 0 to 1: BM25 (a half), cues (a third), the weight of its source (a sixth).

        The question's words count twice, the guidance's once. A section with cues takes no sentence without any: it would say
        what it is not about.
        """
        query = Counter(dict.fromkeys(asked, 2))
        prose = _is_prose(section)
        pattern = None if prose else _pattern(section.name)
        if not prose:
            query.update(set(words(f"{section.name.replace('_', ' ')} {section.guidance}")))
        held = self._pool.sentences
        overlap = {at: self._bm25(held[at], query) for at in sorted(self.left)}
        most = max(overlap.values(), default=0.0) or 1.0
        cues = {at: self._cues(at, pattern) for at in overlap}
        return {
            at: overlap[at] / most / 2 + cues[at] / CUES_MAX / 3 + held[at].weight / WEIGHT_MAX / 6
            for at in overlap
            if cues[at] or pattern is None
        }

    def _bm25(self, one: Sentence, query: Counter[str]) -> float:
        norm = K1 * (1 - B + B * one.length / self._pool.mean_length)
        return math.fsum(
            query[word] * self._pool.rarity[word] ** RARITY * count * (K1 + 1) / (count + norm)
            for word, count in one.counts
            if word in query
        )

    def _pick(self, scores: dict[int, float], held: Sequence[Sentence]) -> Sentence | None:
        """The next sentence by maximal marginal relevance; None when what is left is weak. What says the same is used up, too."""
        top = max(scores.values(), default=0.0)
        best: tuple[float, int] | None = None
        for at, score in scores.items():
            if at not in self.left or (held and score < SHARE_OF_BEST_MIN * top):
                continue
            same = max((self._pool.sentences[at].shared(other) for other in held), default=0.0)
            value = (1 - DIVERSITY) * score / (top or 1.0) - DIVERSITY * same
            if best is None or value > best[0]:
                best = (value, at)
        if best is None:
            return None
        picked = self._pool.sentences[best[1]]
        self.left -= {at for at in self.left if self._pool.sentences[at].says_again(picked, SAME_FROM)}
        return picked


def _parts(question: str) -> list[str]:
    """What is asked, one thing each."""
    parts = [part for part in _PARTS.split(question) if len(words(part)) >= 2]
    return parts[:PARTS_MAX] or [question]


def _is_prose(section: Section) -> bool:
    return any(name in section.name.lower() for name in _PROSE)


def _pattern(name: str) -> re.Pattern[str] | None:
    """The cues that go with a section's name."""
    lowered = name.lower()
    return next((pattern for names, pattern in _CUES if any(one in lowered for one in names)), None)


def _pattern_of(part: str) -> re.Pattern[str] | None:
    """The cues that go with part of a question: why asks for reasons, whatever else it speaks of."""
    if _WHY.search(part):
        return _pattern("why")
    return _pattern(part)


def _written(section: Section, chosen: Iterable[Sentence], prompt: Prompt) -> tuple[str, list[Citation]]:
    """The section's text and its citations; a sentence that has no room is left out, never cut."""
    text, citations = "", list[Citation]()
    for one in chosen:
        lead = (" " if text else "") if _is_prose(section) else ("\n- " if text else "- ")
        ended = "" if one.text.endswith((".", "!", "?", "…")) or not _is_prose(section) else "."
        mark = "" if one.origin < 0 else f" [{one.origin + 1}]"
        start = len(text) + len(lead)
        if start + len(one.text) + len(ended) + len(mark) > SECTION_CHARS_MAX:
            continue
        text += f"{lead}{one.text}{ended}{mark}"
        if one.origin >= 0:
            citations.append(
                Citation(
                    section=section.name,
                    sentence=Span(start, start + len(one.text)),
                    number=one.origin + 1,
                    evidence=prompt.evidence[one.origin].id,
                    quote=one.quote,
                )
            )
    return text or f"{NOTHING_MORE} {section.name.replace('_', ' ')}.", citations
