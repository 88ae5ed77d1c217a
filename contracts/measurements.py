"""Measurements: figures of the machine, the broker, the roles and their health, taken every so often and kept for some days."""

from msgspec import Struct

HOST = "host"
BROKER = "broker"
HEALTH = "health"
"""The sources beside the roles, each of which is a source under its own name."""


class Measurement(Struct, frozen=True, kw_only=True):
    """What one source measured at one moment (`at_ms`, Unix milliseconds): figures by name, the unit last in the name.

    A figure's name never holds what a person wrote: it is made of the names of streams, roles, checks and metrics.
    """

    source: str
    at_ms: int
    figures: dict[str, float]


class Series(Struct, frozen=True, kw_only=True):
    """One source's measurements as columns: of every figure a value for each time, None where it was not measured then."""

    source: str
    at_ms: tuple[int, ...]
    figures: dict[str, tuple[float | None, ...]]
