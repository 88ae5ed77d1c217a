"""Group commit: under load the commits of several callers become one atomic batch.

With `sync_interval: always` the disk decides. An atomic batch costs about as much as ten single publishes, whatever its
size. So what comes in one turn of the loop is sent message by message while it is little, which is the quickest for one
caller; what is more, or has to wait meanwhile, is sent together (docs/adr/0016).
"""

import asyncio
import secrets
from collections import deque
from collections.abc import Sequence
from functools import partial
from itertools import islice

from msgspec import Struct

from adapters.jetstream import Ack, Broker, Msg, RefusedError, read_ack
from adapters.nats_wire import frame
from contracts.envelope import Record, header_text
from runtime.errors import DiarchyError, UnavailableError

ALONE_MAX = 8  # single messages on their way alone before others have to wait
GROUP_MIN = 16  # messages that wait before they are worth a batch; a commit of several is always one
GROUP_MESSAGES_MAX = 500
GROUP_BYTES_MAX = 4 << 20
BATCHES_MAX = 2  # batches of one process and stream at once; the server takes 50 a stream


class Outgoing(Struct, frozen=True):
    """A message to store; `fenced` if its lines say what its subject must end at."""

    subject: str
    id: str
    lines: bytes
    body: bytes
    fenced: bool = False


def outgoing(subject: str, record: Record, expected: int | None = None, identity: str | None = None) -> Outgoing:
    """A record to store; `expected` on the first of a commit: the last sequence that the subject must have.

    `identity` is what the broker knows it by: the envelope's id, unless it must not be taken for a repeat.
    """
    identity = identity or record.envelope.id
    lines = f"{header_text(record.envelope)}Nats-Msg-Id: {identity}\r\n"
    if expected is not None:
        lines += f"Nats-Expected-Last-Subject-Sequence: {expected}\r\n"
    return Outgoing(subject, identity, lines.encode(), record.body, expected is not None)


class _Commit(Struct, frozen=True):
    messages: Sequence[Outgoing]
    done: asyncio.Future[Ack]


class Committer:
    """Stores commits (messages of one subject, all or nothing) in one stream that has `allow_atomic`."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._alone = 0
        self._batches = 0
        self._due = False
        self._waiting: deque[_Commit] = deque()
        self._again: deque[_Commit] = deque()  # of a batch that was refused: each by itself
        broker.on_lost.add(partial(self._fail_waiting, "connection lost"))
        broker.on_stop.add(partial(self._fail_waiting, "stopped"))

    async def store(self, messages: Sequence[Outgoing]) -> Ack:
        """The place of the last message, once all are durable.

        Raises RefusedError and InvalidError (nothing was stored), UnavailableError (unknown).
        """
        for message in messages:
            self._broker.check_size(len(message.lines) + len(message.body))
        if len(self._waiting) >= self._broker.writes_waiting_max:
            raise UnavailableError("broker", "too many writes wait for the disk", 1)
        if self._broker.is_stopping or not self._broker.is_connected:
            raise UnavailableError("broker", "not connected")
        loop = asyncio.get_running_loop()
        commit = _Commit(messages, loop.create_future())
        self._waiting.append(commit)
        if not self._due:
            self._due = True
            loop.call_soon(self._go_on)
        return await commit.done

    def _go_on(self) -> None:
        """Send what waits, as far as it may go now."""
        self._due = False
        while self._again and self._may_send(self._again[0]):
            self._send([self._again.popleft()])
        while self._batches < BATCHES_MAX and self._is_worth_a_batch():
            group = self._pick()
            if len(group) == 1:  # The others are for the same subject, and have to wait for it.
                self._waiting.appendleft(group[0])
                break
            self._send(group)
        while self._waiting and not self._again and self._may_send(self._waiting[0]):
            self._send([self._waiting.popleft()])

    def _is_worth_a_batch(self) -> bool:
        waiting = sum([ALONE_MAX if len(one.messages) > 1 else 1 for one in islice(self._waiting, GROUP_MIN)])
        return waiting >= GROUP_MIN

    def _may_send(self, commit: _Commit) -> bool:
        return self._alone < ALONE_MAX if len(commit.messages) == 1 else self._batches < BATCHES_MAX

    def _pick(self) -> list[_Commit]:
        """The first commits that fit into one batch; of two for one subject or with one id the second stays."""
        picked: list[_Commit] = []
        left: deque[_Commit] = deque()
        taken: set[str] = set()
        count = size = 0
        while self._waiting:
            commit = self._waiting.popleft()
            if commit.done.done():
                continue  # nobody waits for it any more
            names = {one.id for one in commit.messages}
            if commit.messages[0].fenced:
                names.add(commit.messages[0].subject)
            count += len(commit.messages)
            size += sum([len(one.body) + len(one.lines) for one in commit.messages])
            if picked and (count > GROUP_MESSAGES_MAX or size > GROUP_BYTES_MAX):
                left.append(commit)
                break
            if taken.isdisjoint(names):
                taken |= names
                picked.append(commit)
            else:
                count -= len(commit.messages)
                left.append(commit)
        self._waiting.extendleft(reversed(left))
        return picked

    def _send(self, group: Sequence[_Commit]) -> None:
        """Put a group on the wire, all in one write, so that a connection has all of it or loses the rest."""
        group = [commit for commit in group if not commit.done.done()]
        messages = [message for commit in group for message in commit.messages]
        if not messages:
            return
        batch = secrets.token_hex(16) if len(messages) > 1 else ""
        reply, answer = self._broker.expect(messages[-1].subject)
        if batch:
            self._batches += 1
        else:
            self._alone += 1
        answer.add_done_callback(partial(self._on_answer, group, batch, len(messages)))
        try:
            self._broker.send(_frames(messages, batch, reply))
        except DiarchyError as error:
            answer.set_exception(error)

    def _on_answer(self, group: Sequence[_Commit], batch: str, count: int, answer: asyncio.Future[Msg]) -> None:
        if batch:
            self._batches -= 1
        else:
            self._alone -= 1
        try:
            ack = _checked(read_ack(answer.result()), batch, count)
        except RefusedError as error:
            if len(group) == 1:
                _fail(group, error)
            else:
                # All or nothing: one conflict refused the others too, so each is asked for itself.
                self._again.extend(group)
        except (DiarchyError, asyncio.CancelledError) as error:
            _fail(group, UnavailableError("broker", _reason(error)))
        else:
            if batch:
                ack = Ack(seq=ack.seq)
            self._succeed(group, ack)
        if self._broker.is_connected and not self._broker.is_stopping:
            self._go_on()
        else:
            self._fail_waiting("connection lost")

    def _succeed(self, group: Sequence[_Commit], ack: Ack) -> None:
        """Every member its own last place: a batch is stored in one piece, in its order."""
        sequence = ack.seq
        for commit in reversed(group):
            if not commit.done.done():
                commit.done.set_result(ack if sequence == ack.seq else Ack(seq=sequence))
            sequence -= len(commit.messages)

    def _fail_waiting(self, reason: str) -> None:
        for commits in (self._again, self._waiting):
            waiting = list(commits)
            commits.clear()
            _fail(waiting, UnavailableError("broker", reason))


def _frames(messages: Sequence[Outgoing], batch: str, reply: str) -> bytes:
    if not batch:
        [message] = messages
        return frame(message.subject, message.body, reply, message.lines)
    last = len(messages)
    head = f"Nats-Batch-Id: {batch}\r\nNats-Batch-Sequence: "
    frames = [
        frame(one.subject, one.body, "", b"%b%b%d\r\n" % (one.lines, head.encode(), number))
        for number, one in enumerate(messages[:-1], start=1)
    ]
    end = messages[-1]
    frames.append(
        frame(end.subject, end.body, reply, b"%b%b%d\r\nNats-Batch-Commit: 1\r\n" % (end.lines, head.encode(), last))
    )
    return b"".join(frames)


def _checked(ack: Ack, batch: str, count: int) -> Ack:
    """Raises UnavailableError for an answer that does not say that all of it was stored: who knows what was."""
    if ack.seq < count or (batch and (ack.batch != batch or ack.count != count)):
        raise UnavailableError("broker", f"{ack.count} of {count} messages confirmed")
    return ack


def _fail(group: Sequence[_Commit], error: UnavailableError) -> None:
    """Each with an error of its own: an exception that several raise collects the stacks of all."""
    for commit in group:
        if not commit.done.done():
            commit.done.set_exception(error if len(group) == 1 else UnavailableError("broker", _reason(error)))


def _reason(error: BaseException) -> str:
    return str(error).removeprefix("broker is unavailable: ") or "given up"
