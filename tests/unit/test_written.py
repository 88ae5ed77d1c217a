"""What models write is heard once and handed to whoever follows that run; who takes nothing is told so."""

import msgspec
import pytest

from adapters.memory import MemoryBroker, MemoryRpc
from contracts import subjects
from contracts.chat import Delta, Written
from contracts.domains import Clearance, Domain
from gateway.problems import ProblemError
from gateway.written import WAITING_CHARS_MAX, WAITING_MAX, WrittenWatch
from tests.gateway_world import run


def written(run_: str, text: str) -> Written:
    return Written(
        run=run_, reaction="e", effect=0, attempt="a", number=0, label=Clearance.PUBLIC, delta=Delta(text=text)
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
