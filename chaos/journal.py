"""The journal: everything clients asked for and everything they were told, as it came, in a file of JSON lines."""

import time
from collections import defaultdict
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import msgspec
from msgspec import Struct

Kind = Literal["session", "ask", "end_session", "analysis", "add", "update", "delete", "fact", "published", "poison"]
ACCEPTED = range(200, 300)
NOTHING = 0
"""The status of an attempt that nobody answered."""


class Told(Struct, frozen=True, kw_only=True):
    """One attempt at one command and its answer: `id` is the id that the command's message has for ever.

    `status` is HTTP's; of a publish to the broker 200 with the acknowledgement as `body`, and NOTHING for no answer (`note`
    says why). `sent` is what was asked for, `path` where; `after` the Unix time of the attempt, `at` of its answer.
    """

    id: str
    kind: Kind
    client: str
    path: str
    attempt: int
    status: int
    after: float
    at: float
    sent: Any = None
    body: Any = None
    note: str = ""

    @property
    def accepted(self) -> bool:
        return self.status in ACCEPTED


class Journal:
    """Appends to its file and remembers. A context manager."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab")
        self.told: list[Told] = []

    def note(self, told: Told) -> Told:
        self._file.write(msgspec.json.encode(told) + b"\n")
        self.told.append(told)
        return told

    def by_id(self) -> dict[str, list[Told]]:
        """All that was told of each command, in order."""
        found: dict[str, list[Told]] = defaultdict(list)
        for told in self.told:
            found[told.id].append(told)
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


class Clock:
    """Whether it is time to stop: set once, seen by all clients."""

    def __init__(self) -> None:
        self._ends: float | None = None

    @property
    def stopping(self) -> bool:
        return self._ends is not None

    @property
    def over(self) -> bool:
        """Whether also what was begun is to be given up."""
        return self._ends is not None and time.monotonic() > self._ends

    def stop(self, grace_s: float) -> None:
        self._ends = time.monotonic() + grace_s
