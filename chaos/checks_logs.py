"""Checks of the logs by themselves: every chain unbroken, every id once, every message one effect, every effect used once."""

from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec

from actors.roster import ACTORS
from chaos.history import Finding, History, event_of
from contracts import subjects
from contracts.analysis import AnalysisCompleted, AnalysisFailed, AnalysisLeftInPart, AnalysisStarted
from contracts.catalogue import tag
from contracts.collaboration import COLLABORATION, Concluded, Outcome, Requested
from contracts.conversation import Answered, Asked, Failed, LeftInPart
from contracts.envelope import Stored
from contracts.facts import SignalRecorded
from contracts.ids import derived_id
from contracts.kernel import EffectRecorded, Refused, Unchanged
from contracts.knowledge import KnowledgeAdded, KnowledgeDeclassified, KnowledgeDeleted, KnowledgeUpdated
from contracts.memory import Forgotten, Remembered, Revised
from contracts.subjects import Address
from runtime.chain import broken_at

KERNEL = frozenset({tag(Refused), tag(Unchanged)})
INDEXED = frozenset(
    tag(kind)
    for kind in (
        KnowledgeAdded,
        KnowledgeUpdated,
        KnowledgeDeclassified,
        KnowledgeDeleted,
        SignalRecorded,
        Answered,
        Remembered,
        Revised,
        Forgotten,
    )
)
"""Events whose reaction changes the vector index, and so leaves an effect behind, or tells another actor to keep something."""

UNINDEXED_DOMAIN = "system"


def check_logs(history: History) -> Iterator[Finding]:
    """All of this module's."""
    yield from _ids(history)
    yield from _chains(history)
    yield from _groups(history)
    yield from _folds(history)
    yield from _effects(history)
    yield from _answers(history)
    yield from _collaborations(history)


def _ids(history: History) -> Iterator[Finding]:
    for identity, times in Counter(stored.record.envelope.id for stored in history.records).items():
        if times > 1:
            yield Finding("event ids", f"{identity} stands {times} times in the logs")


def _chains(history: History) -> Iterator[Finding]:
    for subject, records in history.logs.items():
        if (sequence := broken_at(records)) is not None:
            yield Finding("hash chain", f"{subject} is broken at {sequence}")


def _groups(history: History) -> Iterator[Finding]:
    """The events of one message stand together, in one actor's log, with the ids that follow from the message."""
    for cause, records in history.by_cause.items():
        touched = {stored.subject for stored in records}
        if len(touched) > 1:
            yield Finding("one effect a message", f"message {cause} acted on {sorted(touched)}")
            continue
        [subject] = touched
        wanted = [derived_id(cause, subject, number) for number in range(len(records))]
        if [stored.record.envelope.id for stored in records] != wanted:
            yield Finding("one effect a message", f"events of {cause} in {subject} are not the ones of one decision")
        log = history.logs[subject]
        first = log.index(records[0])
        if log[first : first + len(records)] != records:
            yield Finding("all or nothing", f"events of {cause} in {subject} do not stand together")


def _folds(history: History) -> Iterator[Finding]:
    """Every actor's log folds, as a worker would fold it."""
    known = {(domain, actor.kind): actor for domain, actors in ACTORS.items() for actor in actors}
    for subject, records in history.logs.items():
        ref = subjects.parse(subject).actor
        actor = known.get((ref.domain, ref.kind))
        if actor is None:
            yield Finding("folds", f"{subject} belongs to no actor")
            continue
        state = actor.initial
        try:
            for stored in records:
                if stored.record.envelope.type not in KERNEL:
                    state = actor.evolve(state, actor.decode_event(stored.record.body))
        except (msgspec.MsgspecError, ValueError, TypeError, AttributeError) as error:
            yield Finding("folds", f"{subject}: {error!r}")


def _effects(history: History) -> Iterator[Finding]:
    """Each effect of a run once, none left out before another, and at least one where the reaction had to have one."""
    by_id = {stored.record.envelope.id: stored for stored in history.records}
    for reaction, records in history.runs.items():
        numbers = [number for stored in records if (number := _effect(stored).effect) >= 0]  # Below: it was cancelled.
        if len(set(numbers)) != len(numbers):
            yield Finding("each effect once", f"run {reaction} recorded {sorted(numbers)}")
        if set(numbers) != set(range(len(numbers))):
            yield Finding("each effect once", f"run {reaction} has gaps: {sorted(numbers)}")
        if reaction not in by_id:
            yield Finding("each effect once", f"run {reaction} belongs to no event")
    handled = {stored.record.envelope.causation for stored in history.records}
    for stored in by_id.values():
        envelope = stored.record.envelope
        if envelope.type not in INDEXED or stored.subject.startswith(UNINDEXED_DOMAIN):
            continue
        if not history.runs.get(envelope.id) and derived_id(envelope.id, "tell", 0) not in handled:
            yield Finding("every reaction ran", f"{envelope.type} {envelope.id} of {stored.subject} has no effect")


def _answers(history: History) -> Iterator[Finding]:
    """Every question has one end, and it comes after it; so has every analysis."""
    for address, records in history.of_kind("conversation"):
        asked: Counter[str] = Counter()
        ended: Counter[str] = Counter()
        for event in _own(records):
            match event_of(event):
                case Asked(turn=turn):
                    asked[turn] += 1
                case Answered(turn=turn) | LeftInPart(turn=turn):
                    ended[turn] += 1
                case Failed(turn=turn, reason=reason):
                    ended[turn] += 1
                    yield Finding("nothing failed", f"turn {turn} of {address.actor}: {reason}")
                case _:
                    continue
            if ended[turn] > asked[turn]:
                yield Finding("one answer a question", f"turn {turn} of {address.actor} was answered before or twice")
        for turn, times in asked.items():
            if (times, ended[turn]) != (1, 1):
                yield Finding(
                    "one answer a question", f"{address.actor}: {turn} asked {times}, ended {ended[turn]} times"
                )
    yield from _analyses(history)


def _analyses(history: History) -> Iterator[Finding]:
    for address, records in history.of_kind("analysis"):
        events = [event_of(stored) for stored in _own(records)]
        begun = sum(isinstance(event, AnalysisStarted) for event in events)
        ends = [event for event in events if isinstance(event, AnalysisCompleted | AnalysisLeftInPart | AnalysisFailed)]
        if (begun, len(ends)) != (1, 1):
            yield Finding("one end an analysis", f"{address.actor}: begun {begun}, ended {len(ends)} times")
        for end in ends:
            if isinstance(end, AnalysisFailed):
                yield Finding("nothing failed", f"{address.actor}: {end.reason}")


def _collaborations(history: History) -> Iterator[Finding]:
    """Every collaboration has one outcome, and it is what the asker's journal holds."""
    outcomes: dict[str, Outcome] = {}
    for address, records in history.of_kind(COLLABORATION):
        events = [event_of(stored) for stored in _own(records)]
        requested = sum(isinstance(event, Requested) for event in events)
        concluded = [event.outcome for event in events if isinstance(event, Concluded)]
        if (requested, len(concluded)) != (1, 1):
            yield Finding(
                "one outcome a request", f"{address.actor}: requested {requested}, concluded {len(concluded)} times"
            )
            continue
        outcomes[address.actor.id] = concluded[0]
    for reaction, records in history.runs.items():
        for stored in records:
            entry = _effect(stored)
            if entry.name != "ask":
                continue
            outcome = msgspec.json.decode(entry.result, type=Outcome)
            target = derived_id(reaction, "ask", entry.effect)
            if outcomes.get(target) != outcome:
                yield Finding(
                    "one outcome a request", f"run {reaction} holds another outcome of {target} than was given"
                )
            if outcome.status != "completed":
                yield Finding("nothing failed", f"collaboration {target}: {outcome.status}: {outcome.reason}")


def _own(records: Iterable[Stored]) -> list[Stored]:
    return [stored for stored in records if stored.record.envelope.type not in KERNEL]


def _effect(stored: Stored) -> EffectRecorded:
    return msgspec.json.decode(stored.record.body, type=EffectRecorded)


def address_of(stored: Stored) -> Address:
    return subjects.parse(stored.subject)
