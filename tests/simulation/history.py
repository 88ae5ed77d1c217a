"""What happened in a run, step by step: its tail is shown when it fails, and its digest says whether two runs were the same."""

import asyncio
import hashlib

from tests.simulation.loop import current

SHOWN_CHARS_MAX = 200


class History:
    """Notes in order, each with the time and whose step it was."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._notes: list[tuple[float, str, str, tuple[object, ...]]] = []

    def note(self, kind: str, *what: object) -> None:
        self._notes.append((self._loop.time(), current().name, kind, what))

    @property
    def kinds(self) -> frozenset[str]:
        """What happened at all."""
        return frozenset(kind for _, _, kind, _ in self._notes)

    def __len__(self) -> int:
        return len(self._notes)

    def digest(self) -> str:
        """SHA-256 of everything noted."""
        found = hashlib.sha256()
        for note in self._notes:
            found.update(repr(note).encode())
        return found.hexdigest()

    def tail(self, count: int, about: str = "") -> list[str]:
        """The last notes, those `about` something if given, one line each."""
        chosen = [_line(*note) for note in self._notes]
        return [line for line in chosen if about in line][-count:]


def _line(time_s: float, who: str, kind: str, what: tuple[object, ...]) -> str:
    return f"{time_s:9.4f} {who:<10} {'  '.join((kind, *map(_shown, what)))}"[:SHOWN_CHARS_MAX]


def _shown(part: object) -> str:
    """A message's headers are shown as: which message, of what type, because of what."""
    if isinstance(part, dict):
        return " ".join(str(part.get(f"Diarchy-{name}", "-"))[-36:] for name in ("Id", "Type", "Causation"))
    return str(part)
