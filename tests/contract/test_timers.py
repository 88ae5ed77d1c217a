"""Timers: one suite for every adapter. What fires is awaited in the inbox."""

import asyncio
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from contracts import subjects
from contracts.domains import Domain
from contracts.envelope import Record, from_headers
from runtime.errors import OutcomeError
from runtime.ports import Delivery
from runtime.schedule import Cron, Every, When
from tests.contract.conftest import Run, World
from tests.contract.holding import NEIGHBOUR, ONE, Holder, holding
from tests.contract.records import actor, record

FAR = timedelta(days=300)
MARGIN_S = 0.05  # between two clocks of one machine


def soon(seconds: float = 1.0) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def inbox(world: World) -> AbstractAsyncContextManager[Holder]:
    return holding(world.queue)


async def ended(holder: Holder) -> Delivery:
    delivery = await holder.next()
    await delivery.ack()
    return delivery


def test_a_timer_fires_once_as_it_was_set_and_never_early(run: Run) -> None:
    async def scenario(world: World) -> None:
        ref, sent, due = ONE, record(b'{"n":1}'), soon()
        await world.timers.set(ref, "once", sent, due)
        async with inbox(world) as holder:
            fired = await ended(holder)
            assert datetime.now(UTC) >= due - timedelta(seconds=MARGIN_S)
            assert fired.subject == subjects.inbox(ref)
            assert from_headers(fired.headers) == sent.envelope
            assert fired.body == sent.body
            assert await world.timers.list(Domain.SOPHIA) == []
            await world.timers.set(ref, "after", last := record(), soon())
            assert from_headers((await ended(holder)).headers) == last.envelope

    run(scenario)


def test_a_moment_in_the_past_fires_at_once(run: Run) -> None:
    async def scenario(world: World) -> None:
        await world.timers.set(ONE, "late", record(), soon(-86_400))
        async with inbox(world) as holder, asyncio.timeout(30):
            await ended(holder)

    run(scenario)


def test_timers_fire_in_the_order_of_their_moments(run: Run) -> None:
    async def scenario(world: World) -> None:
        sent = [record() for _ in range(3)]
        for number in (2, 0, 1):
            await world.timers.set(ONE, f"t{number}", sent[number], soon(0.5 + 1.0 * number))
        async with inbox(world) as holder:
            assert [from_headers((await ended(holder)).headers) for _ in sent] == [one.envelope for one in sent]

    run(scenario)


def test_the_same_name_replaces_and_a_cancelled_one_is_silent(run: Run) -> None:
    async def scenario(world: World) -> None:
        ref, other = ONE, NEIGHBOUR
        first, second, mark = record(), record(), record()
        await world.timers.set(ref, "x", first, soon(0.8))
        await world.timers.set(ref, "x", second, soon(1.2))
        await world.timers.set(ref, "y", record(), soon(0.8))
        await world.timers.cancel(ref, "y")
        await world.timers.cancel(ref, "y")
        await world.timers.cancel(ref, "never-set")
        await world.timers.set(other, "y", mark, soon(2))  # of another actor: the same name is another timer
        async with inbox(world) as holder:
            fired = [from_headers((await ended(holder)).headers) for _ in range(2)]
        assert fired == [second.envelope, mark.envelope]

    run(scenario)


def test_a_timer_may_be_set_again_after_it_fired_and_after_it_was_cancelled(run: Run) -> None:
    async def scenario(world: World) -> None:
        ref = ONE
        async with inbox(world) as holder:
            for _ in range(2):
                await world.timers.set(ref, "x", one := record(), soon(0.3))
                assert from_headers((await ended(holder)).headers) == one.envelope
            await world.timers.set(ref, "x", again := record(), soon(60))
            await world.timers.cancel(ref, "x")
            await world.timers.set(ref, "x", again, soon(0.3))
            assert from_headers((await ended(holder)).headers) == again.envelope

    run(scenario)


def test_each_firing_of_a_recurring_timer_has_an_id_of_its_own(run: Run) -> None:
    async def scenario(world: World) -> None:
        ref, sent = ONE, record()
        await world.timers.set(ref, "tick", sent, Every(1))
        async with inbox(world) as holder:
            fired = [await ended(holder) for _ in range(3)]
            await world.timers.cancel(ref, "tick")
        envelopes = [from_headers(one.headers) for one in fired]
        assert len({one.id for one in envelopes} | {sent.envelope.id}) == 4
        assert [msgspec.structs.replace(one, id=sent.envelope.id) for one in envelopes] == 3 * [sent.envelope]
        assert await world.timers.list(Domain.SOPHIA) == []

    run(scenario)


def test_a_firing_that_is_handed_out_again_keeps_its_id(run: Run) -> None:
    async def scenario(world: World) -> None:
        ref = ONE
        await world.timers.set(ref, "tick", record(), Every(1))
        async with inbox(world) as holder:
            seen: dict[int, str] = {}
            while True:  # nothing is acknowledged: the first comes again
                one = await holder.next()
                if one.sequence in seen:
                    break
                seen[one.sequence] = from_headers(one.headers).id
            assert from_headers(one.headers).id == seen[one.sequence]
            assert len(set(seen.values())) == len(seen)
            await world.timers.cancel(ref, "tick")

    run(scenario)


def test_timers_are_listed_as_they_were_set(run: Run) -> None:
    async def scenario(world: World) -> None:
        ref = actor("lister")
        times: dict[str, When] = {
            "once": datetime.now(UTC).replace(microsecond=125_000) + FAR,
            "nightly": Cron("0 15 3 * * *"),
            "hourly": Every(3_600),
        }
        for name, when in times.items():
            await world.timers.set(ref, name, record(), when)
        await world.timers.set(actor(domain=Domain.ARTEMIS), "theirs", record(), Every(3_600))
        found = await world.timers.list(Domain.SOPHIA)
        assert {one.name: one.when for one in found} == times
        assert [one.name for one in found] == list(times)
        assert {(one.target, one.type) for one in found} == {(ref, "test.v1")}
        assert all(abs((one.since - datetime.now(UTC)).total_seconds()) < 60 for one in found)
        assert [one.name for one in await world.timers.list(Domain.SOPHIA, limit=2)] == list(times)[:2]

    run(scenario)


def test_a_name_that_is_no_token_and_a_moment_too_far_are_refused(run: Run) -> None:
    async def scenario(world: World) -> None:
        for name, when in (("*", soon()), ("a.b", soon()), ("x", soon(1e9)), ("x", datetime.now())):  # noqa: DTZ005
            with pytest.raises(OutcomeError):
                await world.timers.set(ONE, name, record(), when)
        with pytest.raises(OutcomeError):
            await world.timers.cancel(ONE, "*")
        assert await world.timers.list(Domain.SOPHIA) == []

    run(scenario)


def test_an_actor_may_have_a_thousand_timers(run: Run) -> None:
    async def scenario(world: World) -> None:
        ref, when = ONE, soon(3_600)

        async def set_(name: str, target: subjects.ActorRef = ref, sent: Record | None = None) -> None:
            await world.timers.set(target, name, sent or record(), when)

        for tens in range(10):
            await asyncio.gather(*(set_(f"t{100 * tens + number}") for number in range(100)))
        with pytest.raises(OutcomeError, match="1000"):
            await set_("one-more")
        await set_("t7")  # replacing is no more
        await set_("one-more", NEIGHBOUR)
        await world.timers.cancel(ref, "t7")
        await set_("one-more")
        assert len(await world.timers.list(Domain.SOPHIA, limit=2_000)) == 1_001

    run(scenario)
