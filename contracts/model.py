"""What is asked of a language model and what it answers: named sections over labelled evidence."""

from msgspec import Struct

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
    """Tokens read and written, as the provider counts them."""

    input_tokens: int = 0
    output_tokens: int = 0


class Reply(Struct, frozen=True, kw_only=True):
    """One text a wanted section, the evidence ids used, how sure (0 to 1), and which model really answered."""

    sections: dict[str, str]
    cited: tuple[str, ...]
    confidence: float
    model: str
    usage: Usage = Usage()
