"""What must hold of every run, whatever went wrong in it. Each finding is one sentence."""

from collections import Counter
from collections.abc import Iterator
from itertools import groupby

import msgspec

from contracts import subjects
from contracts.catalogue import tag
from contracts.domains import Domain
from contracts.envelope import Stored
from contracts.kernel import FAILED, Refused, Unchanged
from contracts.subjects import ActorRef
from runtime import snapshots
from runtime.actor import AnyActor
from runtime.chain import broken_at
from runtime.errors import Rejected
from runtime.live import fold
from runtime.snapshots import Live
from tests.simulation.actors import ACTORS, POISON, Entered, Received, Settled
from tests.simulation.reactions import effects_of
from tests.simulation.server import stored
from tests.simulation.world import World

KERNEL = {tag(Refused): Refused, tag(Unchanged): Unchanged}


def findings(world: World) -> list[str]:
    """Everything that is wrong after a run; empty is as it should be."""
    return list(_findings(world))


def _findings(world: World) -> Iterator[str]:
    yield from (f"unhandled: {failure}" for failure in world.loop.failures)
    yield from (f"a worker ended by itself: {ended}" for ended in world.ended)
    if not world.is_quiet:
        yield f"it never became quiet: {_unended(world)}"
    logs = _logs(world)
    for ref, records in logs.items():
        yield from _of_log(world, ref, records)
    yield from _of_accepted(world, logs)
    yield from _of_entries(world, logs)
    yield from _of_relays(logs)
    yield from _of_calls(world)
    yield from _of_letters(world, logs)
    yield from _of_memory(world, logs)


def _logs(world: World) -> dict[ActorRef, list[Stored]]:
    return {
        subjects.parse(subject).actor: [stored(one) for one in messages]
        for log in world.server.logs.values()
        for subject, messages in log.by_subject.items()
        if subjects.lane_of(subject) == "log"
    }


def _unended(world: World) -> str:
    waiting = [
        f"{partition.name} {[one.sequence for one in partition.unended]}"
        for partition in world.server.partitions.values()
    ]
    return ", ".join([one for one in waiting if not one.endswith("[]")] + [name for _, name in world.server.timers])


def _kind(ref: ActorRef) -> AnyActor:
    return next(actor for actor in ACTORS[ref.domain] if actor.kind == ref.kind)


def _of_log(world: World, ref: ActorRef, records: list[Stored]) -> Iterator[str]:
    """The chain; each message's events together and once; and what `decide` says to it, asked again."""
    broken = broken_at(records)
    if broken is not None:
        yield f"{ref}: the chain is broken at {broken}"
    ids = Counter(one.record.envelope.id for one in records)
    yield from (f"{ref}: event {one} is stored {count} times" for one, count in ids.items() if count > 1)
    groups = [(cause, list(group)) for cause, group in groupby(records, lambda one: one.record.envelope.causation)]
    groups = [(cause, group) for cause, group in groups if not _gave_up(group[0])]  # As often as it was accepted.
    causes = Counter(cause for cause, _ in groups)
    yield from (f"{ref}: message {one} was handled {count} times" for one, count in causes.items() if count > 1)
    actor, state = _kind(ref), _kind(ref).initial
    bodies = {one.record.envelope.id: one.body for one in _sent(world, ref) if one.record is not None}
    for cause, group in groups:
        events = [_decoded(actor, one) for one in group]
        if cause in bodies:
            expected = _decided(actor, state, cause, bodies[cause])
            if events != expected:
                yield f"{ref}: message {cause} led to {events}, and should have to {expected}"
        for event in events:
            state = state if isinstance(event, Refused | Unchanged) else actor.evolve(state, event)


def _gave_up(one: Stored) -> bool:
    envelope, body = one.record.envelope, one.record.body
    return envelope.type == tag(Refused) and msgspec.json.decode(body, type=Refused).code == FAILED


def _sent(world: World, ref: ActorRef):  # type: ignore[no-untyped-def]
    return world.server.inboxes[ref.domain].by_subject.get(subjects.inbox(ref), ())


def _decoded(actor: AnyActor, one: Stored):  # type: ignore[no-untyped-def]
    kernel = KERNEL.get(one.record.envelope.type)
    return msgspec.json.decode(one.record.body, type=kernel) if kernel else actor.decode_event(one.record.body)


def _decided(actor: AnyActor, state: object, message: str | None, body: bytes) -> list[object]:
    try:
        return list(actor.decide(state, actor.decode_message(body))) or [Unchanged(message=message or "")]
    except Rejected as refusal:
        return [Refused(message=message or "", code=refusal.code, reason=refusal.reason)]


def _of_accepted(world: World, logs: dict[ActorRef, list[Stored]]) -> Iterator[str]:
    """Nothing that was accepted is lost, and what one sender sent to one actor was handled in that order."""
    numbers: dict[tuple[ActorRef, str], list[int]] = {}
    known = {one.id: one for one in world.accepted}
    for ref, records in logs.items():
        for cause, group in groupby(records, lambda one: one.record.envelope.causation):
            if cause in known and not _gave_up(next(group)):
                message = known[cause].message
                numbers.setdefault((ref, message.sender), []).append(message.number)
    for (ref, sender), order in numbers.items():
        if order != sorted(order):
            yield f"{ref}: {sender}'s messages were handled in the order {order}"
    handled = {one.record.envelope.causation for records in logs.values() for one in records}
    for accepted in known.values():
        if accepted.id not in handled:
            yield f"{accepted.to}: message {accepted.id} ({accepted.message}) was accepted and left no record"


def _of_entries(world: World, logs: dict[ActorRef, list[Stored]]) -> Iterator[str]:
    """Every reaction came to its end once, with what its journal holds."""
    for ref, records in logs.items():
        if ref.kind != "ledger":
            continue
        settled: dict[str, list[Settled]] = {}
        for one in records:
            if one.record.envelope.type == tag(Settled):
                event = msgspec.json.decode(one.record.body, type=Settled)
                settled.setdefault(event.entry, []).append(event)
        for one in records:
            if one.record.envelope.type == tag(Entered):
                entered = msgspec.json.decode(one.record.body, type=Entered)
                ends = settled.pop(one.record.envelope.id, [])
                wanted = 1 if entered.todo not in ("", "relay") else 0
                if len(ends) != wanted:
                    yield f"{ref}: entry {one.record.envelope.id} ({entered.todo}) was settled {len(ends)} times"
                elif ends:
                    yield from effects_of(world, ref, one.record.envelope.id, entered, ends[0])
        yield from (f"{ref}: {entry} was settled but never entered" for entry in settled)


def _of_relays(logs: dict[ActorRef, list[Stored]]) -> Iterator[str]:
    """What was relayed arrived once, in the order in which it was entered."""
    received: dict[str, list[str]] = {}
    entered: dict[str, list[str]] = {}
    for ref, records in logs.items():
        for one in records:
            if one.record.envelope.type == tag(Received):
                event = msgspec.json.decode(one.record.body, type=Received)
                received.setdefault(event.source, []).append(event.entry)
            elif one.record.envelope.type == tag(Entered) and b'"relay"' in one.record.body:
                entered.setdefault(ref.id, []).append(one.record.envelope.id)
    for source in received.keys() | entered.keys():
        if received.get(source, []) != entered.get(source, []):
            yield f"{source} relayed {entered.get(source, [])} and arrived: {received.get(source, [])}"


def _of_calls(world: World) -> Iterator[str]:
    """No call for a result that the caller had read in the journal; without disturbances none is made twice at all."""
    yield from (f"{call.who} called for {call.key} although it knew the result" for call in world.calls if call.known)
    yield from (f"{call.who} called for {call.key} while it was at it" for call in world.calls if call.under_way)
    weather = world.plan.weather
    if not (weather.disturbed or weather.refused):
        counts = Counter(call.key for call in world.calls)
        yield from (f"{key} was called {count} times for nothing" for key, count in counts.items() if count > 1)


def _of_letters(world: World, logs: dict[ActorRef, list[Stored]]) -> Iterator[str]:
    """Dead letters are what the plan holds of poison and bugs, no more and no less."""
    expected = {
        (one.subject, one.sequence) for one in _puts(world) if msgspec.json.decode(one.body)["size"] == POISON
    } | {
        (one.subject, one.sequence)
        for ref, records in logs.items()
        if ref.kind == "ledger"
        for one in records
        if one.record.envelope.type == tag(Entered) and b'"bug"' in one.record.body
    }
    found = world.server.letters
    for key in sorted(found.keys() - expected):
        yield f"{key[0]} #{key[1]} became a dead letter: {found[key].reason}"
    known = {found[key].headers.get("Diarchy-Id") for key in found}
    for subject, sequence in sorted(expected - found.keys()):
        message = next(
            one for one in (*_puts(world), *_stored_all(world)) if (one.subject, one.sequence) == (subject, sequence)
        )
        if message.headers.get("Diarchy-Id") not in known:  # A repeat beyond the broker's window has one letter.
            yield f"{subject} #{sequence} did not become a dead letter"


def _puts(world: World):  # type: ignore[no-untyped-def]
    stream = world.server.inboxes[Domain.SOPHIA]
    return [one for one in stream.messages if one.headers.get("Diarchy-Type") == "ledger.put.v1"]


def _stored_all(world: World):  # type: ignore[no-untyped-def]
    return world.server.logs[Domain.SOPHIA].messages


def _of_memory(world: World, logs: dict[ActorRef, list[Stored]]) -> Iterator[str]:
    """What living workers have in memory, and every snapshot, is what the log says."""
    for member in world.living:
        live_set = member.worker.host.live
        for ref, live in live_set._live.items():
            yield from _same(f"in the memory of {member.process.name}", ref, live, logs)
        for ref, packed in live_set._packed.items():
            live = snapshots.unpack(_kind(ref), ref, packed)
            yield from _same(f"packed in {member.process.name}", ref, live, logs)
    for ref, snapshot in world.server.snapshots.items():
        opened = snapshots.open_snapshot(_kind(ref), ref, snapshot)
        if opened is None:
            yield f"{ref}: its snapshot cannot be opened"
        else:
            yield from _same("in a snapshot", ref, opened, logs)


def _same(where: str, ref: ActorRef, live: Live, logs: dict[ActorRef, list[Stored]]) -> Iterator[str]:
    actor = _kind(ref)
    folded = Live(ref, live.partition, actor.initial)
    records = [one for one in logs.get(ref, ()) if one.sequence <= live.sequence]
    fold(actor, folded, records)
    for what in ("state", "sequence", "hash"):
        ours, theirs = getattr(live, what), getattr(folded, what)
        if ours != theirs:
            yield f"{ref} {where} has the {what} {ours}, its log {theirs}"
    if len(live.handled) != len(folded.handled):
        yield f"{ref} {where} knows {len(live.handled)} messages, its log {len(folded.handled)}"
