"""What models write is heard once and handed to whoever follows that run; who takes nothing is told so."""

import msgspec
import pytest

from adapters.memory import MemoryBroker, MemoryRpc
from contracts import subjects
from contracts.chat import Delta, Written
from contracts.domains import Clearance, Domain
from gateway.problems import ProblemError
from gateway.written import EARLY_CHARS_MAX, EARLY_MAX, WAITING_CHARS_MAX, WAITING_MAX, Early, WrittenWatch
from tests.gateway_world import run


def written(run_: str, text: str, reaction: str = "e") -> Written:
    return Written(
        run=run_, reaction=reaction, effect=0, attempt="a", number=0, label=Clearance.PUBLIC, delta=Delta(text=text)
    )


async def announce(rpc: MemoryRpc, domain: Domain, run_: str, text: str) -> None:
    await rpc.announce(subjects.written(domain, run_), msgspec.json.encode(written(run_, text)))


def test_each_follower_hears_his_run_of_his_domain() -> None:
    async def body() -> None:
        rpc = MemoryRpc(MemoryBroker())
        watch = WrittenWatch(rpc)
        await watch.start()
        mine, also, other = (watch.follow(Domain.SOPHIA, one) for one in ("r1", "r1", "r2"))
        await announce(rpc, Domain.ARTEMIS, "r1", "no")
        await rpc.announce(subjects.written(Domain.SOPHIA, "r1"), b"no json")
        await announce(rpc, Domain.SOPHIA, "r1", "one")
        await announce(rpc, Domain.SOPHIA, "r2", "two")
        assert [one.delta.text for one in await mine.take()] == ["one"]
        assert [one.delta.text for one in await also.take()] == ["one"]
        assert [one.delta.text for one in await other.take()] == ["two"]
        for follower in (mine, also, other, mine):
            follower.close()
        assert watch.following == 0
        assert not watch._followers

    run(body)


@pytest.mark.parametrize(("times", "text"), [(WAITING_MAX + 1, ""), (2, "x" * (WAITING_CHARS_MAX // 2 + 1))])
def test_who_takes_nothing_is_told_that_he_is_too_slow(times: int, text: str) -> None:
    async def body() -> None:
        follower = WrittenWatch(MemoryRpc(MemoryBroker())).follow(Domain.SYSTEM, "r")
        for _ in range(times):
            follower.put(written("r", text))
        follower.put(written("r", "one more"))
        assert not follower._waiting
        with pytest.raises(ProblemError, match="more slowly"):
            await follower.take()

    run(body)


def test_what_comes_before_its_record_waits_for_it_in_its_order() -> None:
    early = Early()
    one, two, other, three = (written("r", text, of) for text, of in [("1", "x"), ("2", "x"), ("-", "y"), ("3", "x")])
    assert early.of(set(), [one, other]) == []
    assert early.of({"z"}, [two]) == []
    assert early.of({"x"}, [three]) == [one, two, three]
    assert early.of({"x"}, []) == []
    assert early.of({"x", "y"}, []) == [other]


@pytest.mark.parametrize(("times", "text"), [(EARLY_MAX, ""), (4, "x" * (EARLY_CHARS_MAX // 4))])
def test_of_too_much_that_comes_early_the_oldest_reaction_is_forgotten(times: int, text: str) -> None:
    early = Early()
    old, new = written("r", text, "old"), written("r", "y", "new")
    assert early.of(set(), [old] * times) == []
    assert early.of({"known"}, [new, *[written("r", text, "known")] * (times + 1)]) != []
    assert early.of({"old", "new"}, []) == [new]
    early.of(set(), [new] * (EARLY_MAX + 1))
    assert early.of({"new"}, []) == []
    assert early.of(set(), [old] * times) == []  # What was forgotten takes no room any more.
    assert early.of({"old"}, []) == [old] * times
