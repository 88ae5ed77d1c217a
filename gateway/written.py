"""What models write just now, as the workers announce it: heard once a gateway, handed to whoever follows the run."""

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Container, Iterable

import msgspec

from contracts import subjects
from contracts.chat import Delta, Written
from contracts.domains import Domain
from gateway.problems import ProblemError
from runtime.ports import Rpc

WAITING_MAX = 1_000  # pieces
WAITING_CHARS_MAX = 1_000_000
"""How much may wait for one client to take it; then he is told that he is too slow."""
EARLY_MAX = 1_000  # pieces
EARLY_CHARS_MAX = 1_000_000
"""How much of one run may wait for the records of the reactions that write it; then the oldest reaction's is forgotten."""

_logger = logging.getLogger(__name__)
_decoder = msgspec.json.Decoder(Written)


class WrittenWatch:
    """Listens to the workers for all clients together."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc
        self._followers: dict[str, set[Follower]] = defaultdict(set)

    async def start(self) -> None:
        """Begin to listen; ends with the connection."""
        for domain in Domain:
            await self._rpc.listen(subjects.written(domain, "*"), self._heard)

    @property
    def following(self) -> int:
        return sum(map(len, self._followers.values()))

    def follow(self, domain: Domain, run: str) -> "Follower":
        """Whatever a worker of the domain announces for the run from now on; close it."""
        follower = Follower(self, subjects.written(domain, run))
        self._followers[follower.subject].add(follower)
        return follower

    def forget(self, follower: "Follower") -> None:
        followers = self._followers.get(follower.subject)
        if followers is not None:
            followers.discard(follower)
            if not followers:
                del self._followers[follower.subject]

    def _heard(self, subject: str, body: bytes) -> None:
        followers = self._followers.get(subject)
        if not followers:
            return
        try:
            written = _decoder.decode(body)
        except msgspec.DecodeError as error:
            _logger.warning("what was announced on %s cannot be read: %s", subject, error)
            return
        for follower in followers:
            follower.put(written)


class Follower:
    """What was announced for a run and not taken yet, bounded."""

    def __init__(self, watch: WrittenWatch, subject: str) -> None:
        self.subject = subject
        self._watch = watch
        self._waiting: deque[Written] = deque()
        self._chars = 0
        self._overrun = False
        self._news = asyncio.Event()

    def put(self, written: Written) -> None:
        if self._overrun:
            return
        self._waiting.append(written)
        self._chars += _chars(written.delta)
        if len(self._waiting) > WAITING_MAX or self._chars > WAITING_CHARS_MAX:
            self._waiting.clear()
            self._overrun = True
        self._news.set()

    def wake(self) -> None:
        """Let `take` return though nothing was announced."""
        self._news.set()

    async def take(self) -> list[Written]:
        """What was announced since the last call, once there is something. Raises ProblemError 429 when it was too much."""
        await self._news.wait()
        self._news.clear()
        if self._overrun:
            raise ProblemError(
                429, "too-slow", "you read more slowly than the model writes, and too much waits for you"
            )
        taken = list(self._waiting)
        self._waiting.clear()
        self._chars = 0
        return taken

    def close(self) -> None:
        """Listen no longer; idempotent."""
        self._watch.forget(self)


class Early:
    """What was announced of reactions that are not known yet, bounded: the log tells of them on a way that may take longer.

    Some never become known: other actors of the domain may be asked in the same run.
    """

    def __init__(self) -> None:
        self._held: dict[str, list[Written]] = {}
        self._count = 0
        self._chars = 0

    def of(self, known: Container[str], more: Iterable[Written]) -> list[Written]:
        """What there is of the known reactions, each one's in its order; the rest is kept."""
        for written in more:
            self._held.setdefault(written.reaction, []).append(written)
            self._count += 1
            self._chars += _chars(written.delta)
        placed = [reaction for reaction in self._held if reaction in known]
        found = [written for reaction in placed for written in self._pop(reaction)]
        while self._count > EARLY_MAX or self._chars > EARLY_CHARS_MAX:
            self._pop(next(iter(self._held)))
        return found

    def _pop(self, reaction: str) -> list[Written]:
        popped = self._held.pop(reaction)
        self._count -= len(popped)
        self._chars -= sum(_chars(written.delta) for written in popped)
        return popped


def _chars(delta: Delta) -> int:
    return len(delta.text) + (len(delta.tool_call.arguments) if delta.tool_call else 0)
