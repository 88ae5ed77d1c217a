"""The journal of one reaction: its recorded effects, at one exact subject of its actor's domain."""

import msgspec

from contracts.domains import Clearance
from contracts.envelope import Envelope, Record
from contracts.kernel import EffectRecorded
from runtime.errors import ConflictError
from runtime.limits import Limits
from runtime.ports import EventLog

CANCELLED = -1
"""The number under which it stands that, and why, the reaction was cancelled."""

CANCELLED_BECAUSE = "cancelled: "
"""How the reason of what failed by that begins."""


class Journal:
    """The recorded effects of one reaction, at one exact subject; compare-and-set keeps a second runner out."""

    def __init__(self, log: EventLog, subject: str, limits: Limits) -> None:
        self.subject = subject
        self._conflicts_max = limits.conflicts_max
        self.entries: dict[int, tuple[EffectRecorded, Clearance]] = {}
        self.cancelled: str | None = None
        self.sequence = 0
        self._log = log

    async def refresh(self) -> None:
        """Take in what was appended since."""
        for stored in await self._log.read(self.subject, after=self.sequence):
            entry = msgspec.json.decode(stored.record.body, type=EffectRecorded)
            if entry.effect == CANCELLED:
                self.cancelled = entry.error
            else:
                self.entries[entry.effect] = (entry, stored.record.envelope.label)
            self.sequence = stored.sequence

    async def append(self, entry: EffectRecorded, envelope: Envelope) -> None:
        """Record one effect; other effects recorded meanwhile are taken in. Raises ConflictError if this one already is."""
        record = Record(envelope, msgspec.json.encode(entry))
        for _ in range(self._conflicts_max):
            if entry.effect in self.entries:
                break
            try:
                self.sequence = await self._log.append(self.subject, [record], expected=self.sequence)
            except ConflictError:
                await self.refresh()
            else:
                self.entries[entry.effect] = (entry, envelope.label)
                return
        raise ConflictError(f"effect {entry.effect} of {self.subject} was recorded by another run")
