"""What a model may choose of a tool's arguments. The rest is given to the tool by us, of what searches and effects found.

So a model can point a tool at something, and steer it, but nothing that it writes gets to a tool as material: what tools say can
go into an answer as found, whatever a model was talked into. A tool without an offer is not for models.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, TypeVar, get_type_hints

from msgspec import Meta, Struct

from contracts.model import Evidence
from contracts.retrieval import Hit
from contracts.web import WebSource
from runtime.effects import Effects
from runtime.text import words

_FILE = "The digest (`file`) of a stored file that was found"

File = Annotated[str, Meta(pattern="^[0-9a-f]{64}$", description=f"{_FILE}.")]
FileOrNone = Annotated[str, Meta(pattern="^([0-9a-f]{64})?$", description=f"{_FILE}; empty: none.")]
Steering = Annotated[
    str, Meta(max_length=1_000, description="What to look at. Only words that the material or the question has count.")
]
"""Words of the model: they may order and select what is found, and are themselves in no finding (`steered`, and a test)."""


class Known(Struct, frozen=True, kw_only=True):
    """What an investigation has found: `question` as it was asked, `computed` the findings by the tool or team they are of."""

    question: str
    hits: tuple[Hit, ...]
    web: tuple[WebSource, ...]
    computed: Mapping[str, tuple[str, ...]]


class Given(Struct, frozen=True):
    """A tool's whole arguments, and what they rest on besides what was known."""

    arguments: Struct
    hits: tuple[Hit, ...] = ()
    evidence: tuple[Evidence, ...] = ()


Choices = TypeVar("Choices", bound=Struct)


class Offer(Struct, frozen=True):
    """`choices`: all that a model may write, which is what it is shown; `give` makes of it what the tool is called with.

    `give` raises OutcomeError where there is nothing for the tool to work on.
    """

    choices: type[Struct]
    give: Callable[[Any, Known, Effects], Awaitable[Given]]


def offer(give: Callable[[Choices, Known, Effects], Awaitable[Given]]) -> Offer:
    """What may be chosen follows from the annotation."""
    return Offer(get_type_hints(give)["chosen"], give)


def steered(steering: str, question: str, material: tuple[str, ...]) -> str:
    """The words of `steering` that the question or the material has, too; the question where it has none of them.

    For tools that say of a word they are asked about that nothing speaks of it: that is said of what people asked.
    """
    there = frozenset(word for text in (question, *material) for word in words(text))
    kept = [word for word in steering.split() if (own := words(word)) and there.issuperset(own)]
    return " ".join(kept) or question
