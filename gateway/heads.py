"""What a command must know of a session before it is sent, kept so that a long session is read from its beginning once."""

from collections import OrderedDict
from collections.abc import Sequence

import msgspec

from contracts import subjects
from contracts.catalogue import tag
from contracts.conversation import SessionStarted
from contracts.domains import Clearance
from contracts.envelope import Stored
from contracts.kernel import Refused, Unchanged
from contracts.subjects import ActorRef
from runtime.ports import EventLog

HEADS_MAX = 2_000
KERNEL_TYPES = frozenset({tag(Refused), tag(Unchanged)})
_STARTED = tag(SessionStarted)


class Head:
    """How a session began, its label, where its log ends, and before which sequence each run begins.

    The label is the highest of all that was said; a message that was refused said nothing.
    """

    __slots__ = ("label", "last", "runs", "started")

    def __init__(self) -> None:
        self.started: SessionStarted | None = None
        self.label = Clearance.PUBLIC
        self.last = 0
        self.runs: dict[str, int] = {}

    def after(self, run: str) -> int:
        """The sequence behind which everything of the run is: the end, for a run that has not begun."""
        return self.runs.get(run, self.last)

    def take(self, records: Sequence[Stored]) -> None:
        """Go on with the log; records that were taken before change nothing."""
        for stored in records:
            if stored.sequence <= self.last:
                continue
            envelope = stored.record.envelope
            if envelope.type not in KERNEL_TYPES:
                self.label = max(self.label, envelope.label)
            if envelope.type == _STARTED and self.started is None:
                self.started = msgspec.json.decode(stored.record.body, type=SessionStarted)
            self.runs.setdefault(envelope.correlation, stored.sequence - 1)
            self.last = stored.sequence


class Heads:
    """The heads of the sessions used last. A log is only ever added to, so what was read once stays true."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._heads: OrderedDict[ActorRef, Head] = OrderedDict()

    async def of(self, actor: ActorRef) -> Head | None:
        """The session's head as its log is now; None when it never began. Raises UnavailableError."""
        head = self._heads.get(actor) or Head()
        head.take(await self._log.read(subjects.log(actor), after=head.last))
        if head.started is None:
            return None
        self._heads[actor] = head
        self._heads.move_to_end(actor)
        if len(self._heads) > HEADS_MAX:
            self._heads.popitem(last=False)
        return head


def before_run(records: Sequence[Stored], run: str) -> int:
    """The sequence behind which everything of the run is, in an actor's whole log: the end, for a run not begun."""
    first = next((stored.sequence for stored in records if stored.record.envelope.correlation == run), None)
    if first is not None:
        return first - 1
    return records[-1].sequence if records else 0
