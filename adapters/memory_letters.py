"""DeadLetters in memory: the reference text for the next adapter."""

import itertools

from contracts.kernel import DeadLetter
from contracts.letters import LetterFilter
from runtime.errors import ConflictError
from runtime.letters import listed, matches, merged
from runtime.ports import KeptLetter


class MemoryLetters:
    """A DeadLetters. Nothing survives the process."""

    def __init__(self) -> None:
        self._kept: dict[str, KeptLetter] = {}
        self._places = itertools.count(1)

    async def put(self, letter: DeadLetter) -> None:
        known = self._kept.get(letter.id)
        new = merged(letter, known.letter if known else None)
        if new is not None:
            self._keep(new)

    async def get(self, id: str) -> KeptLetter | None:  # noqa: A002 - the field's name
        return self._kept.get(id)

    async def find(self, wanted: LetterFilter, *, limit: int, before: int | None = None) -> list[KeptLetter]:
        newest = sorted(self._kept.values(), key=lambda one: -one.place)
        found = [one for one in newest if (before is None or one.place < before) and matches(wanted, one.letter)]
        return [KeptLetter(one.place, listed(one.letter)) for one in found[:limit]]

    async def replace(self, place: int, letter: DeadLetter) -> KeptLetter:
        known = self._kept.get(letter.id)
        if known is None or known.place != place:
            raise ConflictError(f"dead letter {letter.id} is no longer at {place}")
        return self._keep(letter)

    def _keep(self, letter: DeadLetter) -> KeptLetter:
        self._kept[letter.id] = kept = KeptLetter(next(self._places), letter)
        return kept
