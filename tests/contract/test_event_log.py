"""EventLog: one suite for every adapter."""

import asyncio
from contextlib import aclosing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts import subjects
from contracts.domains import Domain
from contracts.envelope import Stored
from contracts.ids import new_id
from runtime.errors import ConflictError, DiarchyError, InvalidError
from runtime.ports import EventLog
from tests.contract.conftest import Run, World
from tests.contract.records import actor, record

BOTH: tuple[subjects.Lane, ...] = ("log", "run")


async def collect(
    log: EventLog, count: int, *, after: int = 0, lanes: tuple[subjects.Lane, ...] = BOTH
) -> list[Stored]:
    """The first `count` records that `follow` yields."""
    found: list[Stored] = []
    async with aclosing(log.follow(Domain.SOPHIA, lanes, after=after)) as batches:  # type: ignore[type-var] # a generator
        async for batch in batches:
            assert 1 <= len(batch) <= 500
            found += batch
            if len(found) >= count:
                break
    return found


def test_what_is_appended_is_read_back(run: Run) -> None:
    async def scenario(world: World) -> None:
        subject = subjects.log(actor())
        assert await world.log.read(subject) == []
        assert await world.log.last(Domain.SOPHIA) == 0
        records = [record(b"{}"), record('{"text": "Grüße"}'.encode()), record(b"")]
        last = await world.log.append(subject, records[:1], expected=0)
        last = await world.log.append(subject, records[1:], expected=last)
        stored = await world.log.read(subject)
        assert [one.record for one in stored] == records
        assert {one.subject for one in stored} == {subject}
        assert [one.sequence for one in stored] == [1, 2, 3]
        assert last == stored[-1].sequence == await world.log.last(Domain.SOPHIA)
        assert await world.log.read(subject, after=1) == stored[1:]
        assert await world.log.read(subject, after=3) == []

    run(scenario)


def test_a_writer_that_expects_another_end_conflicts_and_changes_nothing(run: Run) -> None:
    async def scenario(world: World) -> None:
        subject = subjects.log(actor())
        last = await world.log.append(subject, [record()], expected=0)
        for expected in (0, last + 1):
            with pytest.raises(ConflictError):
                await world.log.append(subject, [record()], expected=expected)
            with pytest.raises(ConflictError):
                await world.log.append(subject, [record(), record()], expected=expected)
        assert len(await world.log.read(subject)) == 1
        assert await world.log.last(Domain.SOPHIA) == last

    run(scenario)


@pytest.mark.parametrize("limit", [1, 3, 5, 500])
def test_the_first_few_can_be_read(run: Run, limit: int) -> None:
    async def scenario(world: World) -> None:
        subject, other = subjects.log(actor()), subjects.log(actor())
        last = 0
        for _ in range(5):
            last = await world.log.append(subject, [record()], expected=last)
            await world.log.append(other, [record()], expected=0)
            other = subjects.log(actor())
        whole = await world.log.read(subject)
        assert await world.log.read(subject, limit=limit) == whole[:limit]
        assert await world.log.read(subject, after=whole[1].sequence, limit=limit) == whole[2 : 2 + limit]
        assert await world.log.read(other, limit=limit) == []

    run(scenario)


def test_subjects_have_ends_of_their_own(run: Run) -> None:
    async def scenario(world: World) -> None:
        one, other = subjects.log(actor("a")), subjects.log(actor("b"))
        first = await world.log.append(one, [record()], expected=0)
        await world.log.append(other, [record(), record()], expected=0)
        assert await world.log.append(one, [record()], expected=first) == 4
        assert [stored.sequence for stored in await world.log.read(one)] == [1, 4]

    run(scenario)


def test_an_event_stored_before_is_never_reported_as_appended(run: Run) -> None:
    async def scenario(world: World) -> None:
        subject, other = subjects.log(actor("a")), subjects.log(actor("b"))
        old = record()
        first = await world.log.append(subject, [old], expected=0)
        last = await world.log.append(subject, [record()], expected=first)
        for where, expected in ((subject, first), (subject, last), (other, 0)):
            with pytest.raises(ConflictError):
                await world.log.append(where, [old], expected=expected)
            with pytest.raises(ConflictError):
                await world.log.append(where, [record(), old], expected=expected)
        twin = record()
        with pytest.raises(ConflictError):
            await world.log.append(subject, [twin, twin], expected=last)
        assert await world.log.last(Domain.SOPHIA) == last
        assert await world.log.append(other, [record(), record()], expected=0) == last + 2

    run(scenario)


def test_an_append_has_a_size(run: Run) -> None:
    async def scenario(world: World) -> None:
        with pytest.raises(InvalidError):
            await world.log.append(subjects.log(actor()), [], expected=0)

    run(scenario)


def test_a_long_history_is_read_whole_and_in_order(run: Run) -> None:
    async def scenario(world: World) -> None:
        subject = subjects.log(actor())
        last = 0
        for _ in range(3):
            last = await world.log.append(subject, [record() for _ in range(400)], expected=last)
        stored = await world.log.read(subject)
        assert [one.sequence for one in stored] == list(range(1, 1201))
        assert await collect(world.log, 1200) == stored
        assert await collect(world.log, 200, after=1000) == stored[1000:]

    run(scenario)


def test_large_bodies_are_read_over_several_pages(run: Run) -> None:
    async def scenario(world: World) -> None:
        subject = subjects.log(actor())
        last = 0
        for number in range(6):
            last = await world.log.append(subject, [record(bytes([number]) * 2_000_000)], expected=last)
        assert [one.record.body[0] for one in await world.log.read(subject)] == list(range(6))

    run(scenario)


def test_following_goes_on_with_what_is_appended_later(run: Run) -> None:
    async def scenario(world: World) -> None:
        subject = subjects.log(actor())
        last = await world.log.append(subject, [record(), record()], expected=0)
        seen: asyncio.Queue[Stored] = asyncio.Queue()

        async def follow() -> None:
            async for batch in world.log.follow(Domain.SOPHIA, BOTH, after=1):
                for one in batch:
                    seen.put_nowait(one)

        task = asyncio.create_task(follow())
        assert (await seen.get()).sequence == 2
        for _ in range(20):
            last = await world.log.append(subject, [record()], expected=last)
            assert (await seen.get()).sequence == last
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert seen.empty()

    run(scenario)


def test_following_keeps_to_its_lanes(run: Run) -> None:
    async def scenario(world: World) -> None:
        ref = actor()
        await world.log.append(subjects.log(ref), [record()], expected=0)
        await world.log.append(subjects.run(ref, new_id()), [record()], expected=0)
        await world.log.append(subjects.log(ref), [record()], expected=1)
        assert [one.sequence for one in await collect(world.log, 2, lanes=("log",))] == [1, 3]
        assert [one.sequence for one in await collect(world.log, 1, lanes=("run",))] == [2]
        assert [one.sequence for one in await collect(world.log, 3)] == [1, 2, 3]

    run(scenario)


def test_waiting_ends_with_the_append_or_the_time(run: Run) -> None:
    async def scenario(world: World) -> None:
        ref = actor()
        subject = subjects.log(ref)
        assert not await world.log.wait(subject, after=0, timeout_s=0.05)
        waiting = asyncio.create_task(world.log.wait(subject, after=0, timeout_s=20))
        await world.log.append(subjects.log(actor()), [record()], expected=0)
        assert not await world.log.wait(subject, after=0, timeout_s=0.05)
        last = await world.log.append(subject, [record(), record()], expected=0)
        async with asyncio.timeout(1):  # sooner than it looks again: it was woken
            assert await waiting
        assert await world.log.wait(subject, after=last - 1, timeout_s=0)
        assert not await world.log.wait(subject, after=last, timeout_s=0.05)

    run(scenario)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.integers(1, 3), min_size=2, max_size=8), rounds=st.integers(1, 4))
def test_exactly_one_concurrent_writer_wins_each_position(run: Run, sizes: list[int], rounds: int) -> None:
    async def scenario(world: World) -> None:
        subject = subjects.log(actor())
        last, kept = 0, []
        for _ in range(rounds):
            offers = [[record() for _ in range(size)] for size in sizes]
            results = await asyncio.gather(
                *(world.log.append(subject, offer, expected=last) for offer in offers), return_exceptions=True
            )
            [(winner, last)] = [(number, result) for number, result in enumerate(results) if isinstance(result, int)]
            assert all(isinstance(result, int | ConflictError) for result in results), results
            kept += offers[winner]
        stored = await world.log.read(subject)
        assert [one.record for one in stored] == kept
        assert stored[-1].sequence == last

    run(scenario)


def test_concurrent_batches_to_many_subjects_all_succeed(run: Run) -> None:
    async def scenario(world: World) -> None:
        names = [subjects.log(actor()) for _ in range(100)]
        results = await asyncio.gather(
            *(world.log.append(name, [record() for _ in range(5)], expected=0) for name in names),
            return_exceptions=True,
        )
        assert not [result for result in results if isinstance(result, DiarchyError)]
        assert await world.log.last(Domain.SOPHIA) == 500
        for name in names:
            sequences = [one.sequence for one in await world.log.read(name)]
            assert sequences == list(range(sequences[0], sequences[0] + 5))

    run(scenario)


def test_under_load_each_writer_gets_his_own_place_or_conflict(run: Run) -> None:
    async def scenario(world: World) -> None:
        names = [subjects.log(actor()) for _ in range(150)]
        offers = [(name, [record() for _ in range(1 + number % 3)]) for number, name in enumerate(names)]
        offers += [(name, [record()]) for name in names[:20]]  # a second writer of the first twenty
        results = await asyncio.gather(
            *(world.log.append(name, offer, expected=0) for name, offer in offers), return_exceptions=True
        )
        for number, name in enumerate(names):
            stored = await world.log.read(name)
            rivals = [(offer, result) for (where, offer), result in zip(offers, results, strict=True) if where == name]
            [(offer, last)] = [(offer, result) for offer, result in rivals if isinstance(result, int)]
            assert [one.record for one in stored] == offer
            assert stored[-1].sequence == last
            assert stored[-1].sequence - stored[0].sequence == len(offer) - 1
            assert len(rivals) == (2 if number < 20 else 1)
        assert sum(isinstance(result, ConflictError) for result in results) == 20

    run(scenario)
