"""Redriving and dropping dead letters, so that whoever does it, however often, it acts once.

A letter is redriven in three steps: what is about to be done is noted in it, the message is sent, the letter is ended. Ends the
process in between, the letter is still there. Sent twice, the message is found to be handled: it has its own id, as the first
time. A reaction is run again from its journal, by the answer that it failed at where that is what was buried.
"""

from collections.abc import Callable
from datetime import datetime

import msgspec
from msgspec import Struct

from contracts import subjects
from contracts.catalogue import tag
from contracts.domains import Clearance
from contracts.envelope import Envelope, Record, from_headers
from contracts.facts import AnyPublished
from contracts.ids import derived_id, keyed_id
from contracts.kernel import DeadLetter, Resolve, Resume, Treatment
from contracts.letters import LetterFilter, LetterOutcome, Outcome
from contracts.subjects import Address
from runtime.errors import ConflictError, MalformedError, UnavailableError
from runtime.letters import ended, noted
from runtime.ports import DeadLetters, KeptLetter, Queue
from runtime.publishers import outside_envelope

PAGE_LETTERS = 200
TRIES_MAX = 5

_fact: msgspec.json.Decoder[AnyPublished] = msgspec.json.Decoder(AnyPublished)


class Selection(Struct, frozen=True):
    """Letters to treat, oldest first, and how many newer than the first of them match but may not be touched.

    `more`: there are older ones, of which none is counted.
    """

    letters: tuple[KeptLetter, ...]
    withheld: int
    more: bool


class Redriving:
    """Treats letters in somebody's name: `by` is kept with them. He touches none above his clearance."""

    def __init__(
        self, letters: DeadLetters, queue: Queue, clock: Callable[[], datetime], *, by: str, clearance: Clearance
    ) -> None:
        self._letters = letters
        self._queue = queue
        self._clock = clock
        self._by = by
        self._clearance = clearance

    async def select(self, wanted: LetterFilter, *, limit: int) -> Selection:
        """The newest that are wanted and may be touched. Raises UnavailableError.

        Of letters above his clearance no reason is compared: how many match would tell him what it is.
        """
        found: list[KeptLetter] = []
        withheld = 0
        before: int | None = None
        while True:
            page = await self._letters.find(wanted, limit=PAGE_LETTERS, before=before)
            for one in page:
                if one.letter.label > self._clearance:
                    withheld += wanted.reason is None
                elif len(found) == limit:
                    return Selection(tuple(found[::-1]), withheld, more=True)
                else:
                    found.append(one)
            if len(page) < PAGE_LETTERS:
                return Selection(tuple(found[::-1]), withheld, more=False)
            before = page[-1].place

    async def redrive(self, id: str) -> LetterOutcome:  # noqa: A002 - the field's name
        """Send it again, once. Raises UnavailableError: it is then still there, or ended."""
        kept = await self._letters.get(id)
        refusal = self._refusal(id, kept)
        if kept is None or refusal is not None:
            return refusal or _said(id, "unknown")
        try:
            subject, record = self._again(kept.letter)
        except (MalformedError, ValueError) as error:
            return _said(id, "unreadable", str(error))
        treatment = self._treatment("redriven")
        try:
            kept = await self._letters.replace(kept.place, noted(kept.letter, treatment))
        except ConflictError:
            return await self._overtaken(id)
        attempt = keyed_id("redrive", id, str(kept.place))
        await self._queue.publish(subject, record, attempt=attempt)
        try:
            await self._letters.replace(kept.place, ended(kept.letter, treatment))
        except ConflictError:
            now = await self._letters.get(id)
            if now is not None and now.letter.ended is None and now.letter.burials > kept.letter.burials:
                return _said(id, "returned", now.letter.reason)
            return await self._overtaken(id)
        return _said(id, "redriven")

    async def drop(self, id: str) -> LetterOutcome:  # noqa: A002 - the field's name
        """End it; its content is gone, that it was dropped is kept. Raises UnavailableError."""
        for _ in range(TRIES_MAX):
            kept = await self._letters.get(id)
            refusal = self._refusal(id, kept)
            if kept is None or refusal is not None:
                return refusal or _said(id, "unknown")
            try:
                await self._letters.replace(kept.place, ended(kept.letter, self._treatment("dropped")))
            except ConflictError:
                continue
            return _said(id, "dropped")
        raise UnavailableError("broker", f"dead letter {id} changes all the time")

    def _treatment(self, how: Outcome) -> Treatment:
        time = self._clock().isoformat()
        return Treatment(how="dropped" if how == "dropped" else "redriven", by=self._by, time=time)

    def _refusal(self, id: str, kept: KeptLetter | None) -> LetterOutcome | None:  # noqa: A002 - the field's name
        if kept is None:
            return _said(id, "unknown", "there is no such dead letter")
        if kept.letter.ended is not None:
            return _already(kept.letter, kept.letter.ended)
        if kept.letter.label > self._clearance:
            return _said(id, "forbidden", f"it is {kept.letter.label.value}")
        return None

    async def _overtaken(self, id: str) -> LetterOutcome:  # noqa: A002 - the field's name
        """Somebody else was first."""
        kept = await self._letters.get(id)
        if kept is None:
            return _said(id, "unknown", "there is no such dead letter")
        letter = kept.letter
        if letter.ended is not None:
            return _already(letter, letter.ended)
        by = letter.history[-1].by if letter.history else "somebody"
        return _said(id, "already", f"{by} is at it")

    def _again(self, letter: DeadLetter) -> tuple[str, Record]:
        """Where to send what. Raises MalformedError, ValueError: it cannot be sent as it was."""
        address = subjects.parse(letter.subject)
        answer = letter.type == tag(Resolve) and letter.whole  # Its journal may lack it: it is sent again.
        if letter.reaction is not None and not answer:
            return self._resume(address, letter, letter.reaction)
        if not letter.whole:
            raise MalformedError("its body was too large to be kept whole")
        envelope = self._outside(address, letter) if address.lane == "pub" else from_headers(letter.headers)
        return subjects.inbox(address.actor), Record(envelope, letter.body)

    def _outside(self, address: Address, letter: DeadLetter) -> Envelope:
        try:
            fact = _fact.decode(letter.body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise MalformedError(f"it is no fact: {error}") from error
        return outside_envelope(letter, fact, address.actor.domain)

    def _resume(self, address: Address, letter: DeadLetter, reaction: str) -> tuple[str, Record]:
        message = Resume(reaction=reaction, sequence=letter.sequence)
        envelope = msgspec.structs.replace(
            from_headers(letter.headers),
            id=derived_id(reaction, "resume", letter.burials),
            type=tag(Resume),
            time=self._clock(),
            causation=reaction,
            reaction=None,
            source=address.actor.domain,
            target=address.actor.domain,
            reply_to=None,
            deadline=None,
            prev=None,
            hash=None,
        )
        return subjects.inbox(address.actor), Record(envelope, msgspec.json.encode(message))


def _already(letter: DeadLetter, treatment: Treatment) -> LetterOutcome:
    return _said(letter.id, "already", f"{treatment.how} by {treatment.by} at {treatment.time}")


def _said(id: str, outcome: Outcome, detail: str = "") -> LetterOutcome:  # noqa: A002 - the field's name
    return LetterOutcome(id=id, outcome=outcome, detail=detail)
