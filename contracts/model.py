"""What is asked of a language model and what it answers: named sections over labelled evidence."""

from typing import Annotated

from msgspec import Meta, Struct

from contracts.domains import Clearance, Partition

SECTION_CHARS_MAX = 4_000


class Evidence(Struct, frozen=True, kw_only=True):
    """One thing an answer rests on. `id` is stable (a knowledge item, a signal, a tool's finding); `score` 0 to 1."""

    id: str
    title: str
    text: str
    label: Clearance
    score: float
    source: str = ""
    partition: Partition | None = None


class Section(Struct, frozen=True):
    """One named part of the wanted answer, and in a sentence what belongs there."""

    name: str
    guidance: str


class Prompt(Struct, frozen=True, kw_only=True):
    """A question over evidence. `role` says who answers, `findings` what tools computed (exact, never to be changed).

    `history` is what was said before: it helps to understand the question and is no evidence.
    """

    role: str
    question: str
    sections: tuple[Section, ...]
    evidence: tuple[Evidence, ...] = ()
    findings: tuple[str, ...] = ()
    history: tuple[str, ...] = ()


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


class Reply(Struct, frozen=True, kw_only=True):
    """One text a wanted section, the evidence ids used, how sure (0 to 1), and which model really answered."""

    sections: dict[str, str]
    cited: tuple[str, ...]
    confidence: float
    model: str
    usage: Usage = Usage()
