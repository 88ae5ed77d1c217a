"""What is asked of a language model and what it answers: named sections over labelled evidence."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from contracts.domains import Clearance, Partition
from contracts.span import Span

SECTION_CHARS_MAX = 4_000


NOTHING_KNOWN = "Nothing relevant to this question is known at the reader's clearance."
NOTHING_MORE = "The material at hand says nothing more on"


Failure = Literal["budget", "refused", "permission", "input"]
"""Why there is no answer, where whoever asked can change that: what may be spent on models does not do for it, the provider
refused the request as it is, he lacks the permission that a tool needs, or what he names cannot be used."""


def abstains(text: str) -> bool:
    """Whether a section's text, or a sentence of it, says only that there is nothing to say."""
    return text.startswith((NOTHING_KNOWN, NOTHING_MORE))


NOT_TAKEN = "Not taken into account"
NO_SOURCE = "No source at hand"
NO_CLIENT = "No client"
NO_DEAL = "No deal"
UNSAID = (NO_SOURCE, NOT_TAKEN, NO_CLIENT, NO_DEAL)
"""How the findings begin that tools tell of what is not known."""


def unsaid(finding: str) -> bool:
    """Whether a finding, or one that is told as another team's (`Market: …`), tells what is not known: it has the question's
    words and answers nothing."""
    return finding.startswith(UNSAID) or finding.partition(": ")[2].startswith(UNSAID)


QUOTING = "extractive"
"""How the names of models begin that only quote what they are given: they judge nothing."""


class Evidence(Struct, frozen=True, kw_only=True):
    """One thing an answer rests on. `id` is stable (a knowledge item, a signal, a tool's finding); `score` 0 to 1.

    `updated`, `category` and `expires` say how far it is to be trusted by its age, where that is known; what may be left out is
    left out of the encoding too, for prompts are part of what a journal is compared by.
    """

    id: str
    title: str
    text: str
    label: Clearance
    score: float
    source: str = ""
    partition: Partition | None = None
    updated: datetime | UnsetType = UNSET
    category: str | UnsetType = UNSET
    expires: datetime | UnsetType = UNSET


FLOW = 2
"""How a question, request or analysis that is recorded now is worked on. One that was recorded under a lower number goes on as it
began: its journal holds the effects of that order."""


class Section(Struct, frozen=True):
    """One named part of the wanted answer, and in a sentence what belongs there."""

    name: str
    guidance: str


class Prompt(Struct, frozen=True, kw_only=True):
    """A question over evidence. `role` says who answers, `findings` what tools computed (exact, never to be changed).

    `history` is what was said before: it helps to understand the question and is no evidence. `computed`: a tool worked on what
    the question asks about, so there is something to say, whatever words its findings have.
    """

    role: str
    question: str
    sections: tuple[Section, ...]
    evidence: tuple[Evidence, ...] = ()
    findings: tuple[str, ...] = ()
    history: tuple[str, ...] = ()
    computed: Literal[True] | UnsetType = UNSET


class Usage(Struct, frozen=True):
    """Tokens read and written, as the provider counts them, and what they cost in millionths of the prices' currency.

    `estimated`: the provider did not say how many, so they are counted by their characters.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cost_micros: int = 0
    estimated: bool = False

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cost_micros + other.cost_micros,
            self.estimated or other.estimated,
        )


NOTHING_USED = Usage()


class Allowance(Struct, frozen=True, kw_only=True):
    """What may be spent at most, on a call or on a run: tokens, and millionths of the prices' currency. None: no limit."""

    tokens: Annotated[int, Meta(ge=0)] | None = None
    cost_micros: Annotated[int, Meta(ge=0)] | None = None

    def less(self, spent: Usage) -> "Allowance":
        """What is left of it."""
        return Allowance(
            tokens=None if self.tokens is None else max(0, self.tokens - spent.tokens),
            cost_micros=None if self.cost_micros is None else max(0, self.cost_micros - spent.cost_micros),
        )

    @property
    def used_up(self) -> bool:
        return 0 in (self.tokens, self.cost_micros)


class BudgetSpent(Struct, frozen=True, kw_only=True):
    """What a run may spend on models, and what it did. `exceeded`: its last calls cost more than was foreseen of them. They are
    paid for, so what they say is given; the run makes no further one."""

    tokens: int
    cost: float
    tokens_max: int | None = None
    cost_max: float | None = None
    exceeded: bool = False


class ProviderStatus(Struct, frozen=True):
    """How a provider of models is: whether it may be asked now, and why, in a few words."""

    name: str
    usable: bool
    detail: str


class Citation(Struct, frozen=True, kw_only=True):
    """What a sentence rests on: the evidence `number` (from 1, as in the mark `[1]` behind the sentence), `evidence` is its id.

    `sentence` is its place in the section's text (in an `Answered`: in the whole content), without the mark. `quote` is the place
    in the evidence's text of what the sentence says word for word, but for white space and Markdown's marks; None: it does not.
    """

    section: str
    sentence: Span
    number: int
    evidence: str
    quote: Span | None = None


class Reply(Struct, frozen=True, kw_only=True):
    """One text a wanted section, the evidence ids used, how sure (0 to 1), and which model really answered."""

    sections: dict[str, str]
    cited: tuple[str, ...]
    confidence: float
    model: str
    usage: Usage = Usage()
    citations: tuple[Citation, ...] = ()
