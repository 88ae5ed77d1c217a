"""The host over the live set: whatever leaves the memory between two messages, none is lost and none counts twice."""

import random
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from contracts import subjects
from contracts.catalogue import tag
from contracts.domains import Domain
from contracts.envelope import Envelope, to_headers
from contracts.kernel import Refused
from contracts.subjects import ActorRef
from runtime.chain import broken_at
from runtime.host import Host
from runtime.limits import Limits
from tests.golden.freeze import START
from tests.kernel_world import Add, Sum, World, counter
from tests.live_world import ToldSnapshots, WatchedLog, cause, ref, run

ACTORS = 4
MESSAGES = 60
TIGHT = Limits(
    live_actors_max=2, idle_actors_bytes_max=1_000, snapshot_events=7, snapshot_events_min=3, snapshots_waiting_max=2
)


def delivery(actor: ActorRef, number: int, amount: int) -> Any:
    message = cause(actor, number)
    envelope = Envelope(
        id=message,
        type=tag(Add),
        time=START,
        correlation=message,
        principal="ann",
        source=Domain.CEO,
        target=Domain.CEO,
    )
    body = msgspec.json.encode(Add(amount=amount))
    return SimpleNamespace(subject=subjects.inbox(actor), headers=to_headers(envelope), body=body)


@pytest.mark.parametrize("seed", range(12))
def test_any_order_of_messages_repeats_and_losses_of_memory_gives_what_was_asked_for(seed: int) -> None:
    async def body() -> None:
        chance = random.Random(seed)  # noqa: S311 - a test's choices
        log, snapshots = WatchedLog(), ToldSnapshots()
        outside = replace(World(limits=TIGHT).outside, log=log, snapshots=snapshots, clock=lambda: START)
        amounts = {(one, number): chance.choice((-1, 0, 1, 2)) for one in range(ACTORS) for number in range(MESSAGES)}
        due = [pair for pair in amounts for _ in range(chance.choice((1, 1, 2, 3)))]
        chance.shuffle(due)
        host = Host([counter], outside)
        await host.live.start()
        for one, number in due:
            await host.handle(delivery(ref(one), number, amounts[one, number]))
            match chance.randrange(12):
                case 0:
                    host.live.drop(ref(chance.randrange(ACTORS)))
                case 1:
                    host.live.forget({subjects.partition("counter", ref(chance.randrange(ACTORS)).id)})
                case 2:
                    await host.live.stop()
                    host = Host([counter], outside)
                    await host.live.start()
                case 3:
                    snapshots.fails = not snapshots.fails
                case _:
                    pass
        await host.live.stop()
        for one in range(ACTORS):
            stored = await log.read(subjects.log(ref(one)))
            assert broken_at(stored) is None
            wanted = [amounts[one, number] for number in range(MESSAGES)]
            fresh = Host([counter], outside)
            found = await fresh.live.load(counter, ref(one))
            assert found.state == Sum(total=sum(amount for amount in wanted if amount > 0))
            assert len(found.handled) == MESSAGES
            assert sum(record.record.envelope.type == tag(Refused) for record in stored) == wanted.count(-1)

    run(body)
