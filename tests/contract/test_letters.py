"""DeadLetters: one suite for every adapter."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from contracts import subjects
from contracts.domains import Clearance, Domain
from contracts.ids import keyed_id
from contracts.kernel import DeadLetter, Treatment
from contracts.letters import LetterFilter
from runtime.errors import ConflictError
from runtime.letters import LISTED_BODY_BYTES_MAX, ended, noted
from runtime.ports import DeadLetters
from tests.contract.conftest import Run, World
from tests.contract.records import actor

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
REDRIVEN = Treatment(how="redriven", by="ann", time="2026-01-03T00:00:00+00:00")
DROPPED = Treatment(how="dropped", by="bob", time="2026-01-04T00:00:00+00:00")


def letter(number: int = 1, **changes: Any) -> DeadLetter:
    fields: dict[str, Any] = {
        "id": keyed_id("test", str(number)),
        "subject": subjects.inbox(actor(f"a{number}")),
        "sequence": number,
        "reason": f"reason {number} ñ",
        "attempts": 5,
        "time": (NOON + timedelta(minutes=number)).isoformat(),
        "type": "test.v1",
        "label": Clearance.INTERNAL,
        "stack": "line\r\nline",
        "headers": {"Diarchy-Principal": "Zoë — tester"},
        "body": b"\x00\xff not text",
        "digest": "d" * 64,
    }
    return DeadLetter(**{**fields, **changes})


async def ids(letters: DeadLetters, **wanted: Any) -> list[int]:
    return [one.letter.sequence for one in await letters.find(LetterFilter(**wanted), limit=100)]


def test_a_letter_is_kept_whole_and_once(run: Run) -> None:
    async def scenario(world: World) -> None:
        sent = letter()
        for _ in range(3):
            await world.letters.put(sent)
        kept = await world.letters.get(sent.id)
        assert kept is not None
        assert kept.letter == sent
        assert await world.letters.find(LetterFilter(), limit=10) == [kept]

    run(scenario)


def test_there_are_none_at_first_and_what_is_no_id_is_none(run: Run) -> None:
    async def scenario(world: World) -> None:
        assert await world.letters.find(LetterFilter(), limit=10) == []
        for unknown in ("nobody", "*", ">", "a.b", "", "a b", "x" * 500):
            assert await world.letters.get(unknown) is None

    run(scenario)


def test_pages_are_newest_first_and_complete(run: Run) -> None:
    async def scenario(world: World) -> None:
        await asyncio.gather(*(world.letters.put(letter(number)) for number in range(1, 301)))
        for number in range(1, 301, 2):  # gaps
            kept = await world.letters.get(letter(number).id)
            assert kept is not None
            await world.letters.replace(kept.place, ended(kept.letter, DROPPED))
        found: list[int] = []
        before = None
        while page := await world.letters.find(LetterFilter(), limit=40, before=before):
            places = [one.place for one in page]
            assert places == sorted(places, reverse=True)
            found += [one.letter.sequence for one in page]
            before = places[-1]
        assert sorted(found) == list(range(2, 301, 2))

    run(scenario)


def test_filters_are_joined(run: Run) -> None:
    async def scenario(world: World) -> None:
        elsewhere = actor("b", Domain.ARTEMIS)
        for one in (
            letter(1),
            letter(2, type="other.v1"),
            letter(3, subject=subjects.log(actor("a3")), reaction="event"),
            letter(4, subject=subjects.Address("pub", actor("a4")).subject, reason="ValueError: Nought"),
            letter(5, subject=subjects.inbox(elsewhere)),
        ):
            await world.letters.put(one)
        letters = world.letters
        assert await ids(letters) == [5, 4, 3, 2, 1]
        assert await ids(letters, domain=Domain.ARTEMIS) == [5]
        assert await ids(letters, lane="log") == [3]
        assert await ids(letters, lane="pub") == [4]
        assert await ids(letters, lane="in", domain=Domain.SOPHIA) == [2, 1]
        assert await ids(letters, kind="conversation", type="other.v1") == [2]
        assert await ids(letters, kind="nobody") == []
        assert await ids(letters, reason="error: nought") == [4]
        assert await ids(letters, since=NOON + timedelta(minutes=2), until=NOON + timedelta(minutes=3)) == [3, 2]

    run(scenario)


def test_an_ended_letter_is_listed_no_longer_and_proves_what_was_done(run: Run) -> None:
    async def scenario(world: World) -> None:
        await world.letters.put(letter())
        kept = await world.letters.get(letter().id)
        assert kept is not None
        done = await world.letters.replace(kept.place, ended(kept.letter, DROPPED))
        assert await world.letters.get(letter().id) == done
        assert (done.letter.ended, done.letter.digest) == (DROPPED, "d" * 64)
        assert (done.letter.body, done.letter.headers, done.letter.stack) == (b"", {}, "")
        assert await ids(world.letters) == []
        await world.letters.put(letter())  # the same burial again, after an unknown outcome
        assert await world.letters.get(letter().id) == done

    run(scenario)


def test_a_letter_that_comes_back_has_its_history(run: Run) -> None:
    async def scenario(world: World) -> None:
        for number in (1, 2):  # a redriven message has a new sequence; a reaction fails at the same place again
            await world.letters.put(letter(number))
            kept = await world.letters.get(letter(number).id)
            assert kept is not None
            kept = await world.letters.replace(kept.place, noted(kept.letter, REDRIVEN))
            await world.letters.replace(kept.place, ended(kept.letter, REDRIVEN))
            again = letter(number, reason="again", sequence=number * 10 if number == 1 else number)
            await world.letters.put(again)
            kept = await world.letters.get(again.id)
            assert kept is not None
            assert kept.letter == msgspec.structs.replace(again, burials=2, history=(REDRIVEN,))

    run(scenario)


def test_of_two_changes_one_wins(run: Run) -> None:
    async def scenario(world: World) -> None:
        await world.letters.put(letter())
        kept = await world.letters.get(letter().id)
        assert kept is not None
        attempts = await asyncio.gather(
            *(world.letters.replace(kept.place, ended(kept.letter, how)) for how in (REDRIVEN, DROPPED)),
            return_exceptions=True,
        )
        assert sum(isinstance(one, ConflictError) for one in attempts) == 1
        with pytest.raises(ConflictError):
            await world.letters.replace(kept.place, noted(kept.letter, REDRIVEN))

    run(scenario)


def test_large_bodies_are_kept_and_not_listed(run: Run) -> None:
    async def scenario(world: World) -> None:
        large = letter(body=b"x" * (LISTED_BODY_BYTES_MAX + 1))
        await world.letters.put(large)
        [listed] = await world.letters.find(LetterFilter(), limit=1)
        assert listed.letter == msgspec.structs.replace(large, body=b"")
        kept = await world.letters.get(large.id)
        assert kept is not None
        assert kept.letter.body == large.body

    run(scenario)
