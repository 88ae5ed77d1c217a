"""A part of a text: what was cited, what was found."""

from msgspec import Struct


class Span(Struct, frozen=True):
    """Characters from `start` to before `end`, both counted from 0."""

    start: int
    end: int

    def of(self, text: str) -> str:
        return text[self.start : self.end]

    def moved(self, by: int) -> "Span":
        return Span(self.start + by, self.end + by)
