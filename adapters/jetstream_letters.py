"""DeadLetters on JetStream: one subject a letter, one message a subject, compare-and-set.

What is put where a letter is replaces it, in one step: so a letter is either open or ended, never both or neither, and its body
is gone from the disk when it is ended. A full stream still takes what replaces something larger.
"""

from collections import deque

import msgspec
from msgspec import Struct

from adapters.jetstream import Broker, Msg, RefusedError
from contracts import subjects
from contracts.domains import Domain
from contracts.kernel import DeadLetter
from contracts.letters import LetterFilter
from runtime.errors import ConflictError, InvalidError, UnavailableError
from runtime.letters import listed, matches, merged, queue_of
from runtime.ports import KeptLetter

CHANGED = frozenset({10071, 10164})  # the subject's last sequence is another
PUT_TRIES_MAX = 10
PAGE_LETTERS_MAX = 256
PAGE_BYTES_MAX = 8 << 20
WINDOW_MIN = 64  # places looked at in one go; more, the fewer of them are wanted
WINDOW_MAX = 4_096

_letters = msgspec.json.Decoder(DeadLetter)


class _Get(Struct, omit_defaults=True):
    next_by_subj: str
    seq: int = 0
    batch: int = 0
    max_bytes: int = 0


class _State(Struct):
    first_seq: int = 0
    last_seq: int = 0


class _StreamInfo(Struct):
    state: _State


class JetStreamLetters:
    """A DeadLetters; one of these may serve any number of concurrent callers."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def put(self, letter: DeadLetter) -> None:
        for _ in range(PUT_TRIES_MAX):
            known = await self.get(letter.id)
            new = merged(letter, known.letter if known else None)
            if new is None:
                return
            try:
                await self._store(known.place if known else 0, new)
            except ConflictError:
                continue
            return
        raise UnavailableError("broker", f"dead letter {letter.id} changes all the time")

    async def get(self, id: str) -> KeptLetter | None:  # noqa: A002 - the field's name
        try:
            subject = subjects.dead_letters(letter=id)
        except ValueError:
            return None
        [*parts, _] = await self._collect(_Get(subject, 1, 1))
        return _kept(parts[0]) if parts else None

    async def find(self, wanted: LetterFilter, *, limit: int, before: int | None = None) -> list[KeptLetter]:
        subject = subjects.dead_letters(wanted.domain, queue_of(wanted.lane))
        state = (await self._broker.api(f"STREAM.INFO.{subjects.DEAD_LETTERS_STREAM}", {}, _StreamInfo)).state
        end = state.last_seq if before is None else min(state.last_seq, before - 1)
        floor = max(state.first_seq, 1)
        found: list[KeptLetter] = []
        window = WINDOW_MIN
        while len(found) < limit and end >= floor:
            first = max(floor, end - window + 1)
            newest = await self._wanted(subject, wanted, (first, end), limit - len(found))
            found += reversed(newest)
            if len(newest) < window // 4:
                window = min(2 * window, WINDOW_MAX)
            end = first - 1
        return found

    async def replace(self, place: int, letter: DeadLetter) -> KeptLetter:
        return await self._store(place, letter)

    async def _wanted(
        self, subject: str, wanted: LetterFilter, places: tuple[int, int], limit: int
    ) -> deque[KeptLetter]:
        """The newest wanted ones between two places, oldest first."""
        newest: deque[KeptLetter] = deque(maxlen=limit)
        first, end = places
        while first <= end:
            batch = min(PAGE_LETTERS_MAX, end - first + 1)
            [*parts, last] = await self._collect(_Get(subject, first, batch, PAGE_BYTES_MAX))
            for part in parts:
                kept = _kept(part)
                first = kept.place + 1
                if kept.place <= end and matches(wanted, kept.letter):
                    newest.append(KeptLetter(kept.place, listed(kept.letter)))
            if not parts or (last.headers or {}).get("Nats-Num-Pending", "0") == "0":
                break
        return newest

    async def _collect(self, get: _Get) -> list[Msg]:
        """Messages, and the status that ended them."""
        parts = await self._broker.collect(
            f"$JS.API.DIRECT.GET.{subjects.DEAD_LETTERS_STREAM}", msgspec.json.encode(get)
        )
        status = (parts[-1].headers or {}).get("Status")
        if status not in ("204", "404"):
            raise UnavailableError("broker", f"reading dead letters: {status}")
        return parts

    async def _store(self, place: int, letter: DeadLetter) -> KeptLetter:
        """Raises ConflictError, UnavailableError."""
        domain, lane, *_ = letter.subject.split(".")
        subject = subjects.dead_letter(Domain(domain), queue_of(lane) or "inbox", letter.id)
        headers = {"Nats-Expected-Last-Subject-Sequence": str(place)}
        try:
            ack = await self._broker.store(subject, msgspec.json.encode(letter), headers)
        except InvalidError:  # larger than this broker takes
            if not letter.body:
                raise
            return await self._store(place, msgspec.structs.replace(letter, body=b"", whole=False))
        except RefusedError as error:
            if error.code in CHANGED:
                raise ConflictError(f"dead letter {letter.id} is no longer at {place}") from None
            raise
        return KeptLetter(ack.seq, letter)


def _kept(msg: Msg) -> KeptLetter:
    return KeptLetter(int((msg.headers or {})["Nats-Sequence"]), _letters.decode(msg.data))
