"""The values that a field may have, by its place in a request."""

from enum import Enum
from typing import Literal

import pytest
from msgspec import Struct

from gateway.choices import choices_at


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Inner(Struct):
    kind: Literal["a", "b"]
    colours: list[Colour] = []


class Outer(Struct):
    inner: Inner | None = None
    several: tuple[Inner, ...] = ()
    named: dict[str, Literal[1, 2]] = {}
    either: Literal["x"] | Inner = "x"
    free: str = ""


@pytest.mark.parametrize(
    ("path", "choices"),
    [
        ("$.inner.kind", ("a", "b")),
        ("$.several[3].kind", ("a", "b")),
        ("$.several[0].colours[1]", ("red", "blue")),
        ("$.named[...]", ("1", "2")),
        ("$.either", ("x",)),
        ("$.either.kind", ("a", "b")),
        ("$.free", ()),
        ("$.nothing.kind", ()),
        ("$", ()),
    ],
)
def test_they_are_found_by_the_path(path: str, choices: tuple[str, ...]) -> None:
    assert choices_at(Outer, path) == choices
