"""The registry of agents: what workers say of themselves, whether they live, and a score of how well they do."""

import asyncio

from hypothesis import given as where
from hypothesis import strategies as st
from msgspec import structs

from actors.agents import profiles
from actors.system.registry import registry
from adapters.memory import MemoryBroker, MemoryRpc
from contracts import subjects
from contracts.agents import (
    REGISTRY,
    AgentProfile,
    AgentRegistered,
    AgentRetired,
    Pulse,
    RegisterAgents,
    Work,
    score_of,
)
from contracts.domains import Domain
from contracts.subjects import ActorRef
from runtime.pulses import Pulses
from runtime.testing import given
from tests.gateway_world import World, run

ONE = AgentProfile(id="sophia", domain=Domain.SOPHIA, role="business")
TWO = AgentProfile(id="sophia.security", domain=Domain.SOPHIA, role="security", team="security")
ALIVE = Pulse(1, 0.5)


def test_what_a_worker_names_is_registered_and_what_it_names_no_longer_is_retired() -> None:
    both = given(registry).when(RegisterAgents(profiles=(ONE, TWO)))
    after = both.then(AgentRegistered(profile=ONE), AgentRegistered(profile=TWO))
    after.when(RegisterAgents(profiles=(TWO, ONE))).then()
    other = structs.replace(ONE, role="other")
    left = after.when(RegisterAgents(profiles=(other,))).then(
        AgentRegistered(profile=other), AgentRetired(id="sophia.security")
    )
    left.when(RegisterAgents(profiles=(other, TWO))).then(AgentRegistered(profile=TWO))


def test_every_domain_but_the_systems_has_agents_with_ids_of_their_own() -> None:
    found = [profile for domain in Domain for profile in profiles(domain)]
    assert len({one.id for one in found}) == len(found)
    assert {one.domain for one in found} == {Domain.SOPHIA, Domain.ARTEMIS, Domain.CEO, Domain.EMBEDDING}
    assert sum(bool(one.team) for one in found) == 8


WORK = st.builds(
    Work,
    domain=st.just(Domain.SOPHIA),
    answered=st.integers(0, 1_000),
    failed=st.integers(0, 1_000),
    waiting=st.integers(0, 1_000),
    p95_s=st.none() | st.floats(0, 10_000),
)


@where(WORK, st.none() | st.builds(Pulse, st.integers(1, 64), st.floats(0, 100)))
def test_a_score_is_between_0_and_100_and_worse_work_never_raises_it(work: Work, pulse: Pulse | None) -> None:
    score = score_of(work, pulse).score
    assert 0 <= score <= 100
    for worse in (
        structs.replace(work, failed=work.failed + 1),
        structs.replace(work, waiting=work.waiting + 5),
        structs.replace(work, p95_s=(work.p95_s or 0) + 60),
    ):
        assert score_of(worse, pulse).score <= score
    older = pulse and structs.replace(pulse, age_s=pulse.age_s + 5)
    assert score_of(work, older).score <= score


def test_who_does_nothing_wrong_has_100_and_who_does_not_live_has_0() -> None:
    idle = Work(domain=Domain.SOPHIA)
    assert score_of(idle, ALIVE).score == 100
    assert score_of(idle, None).score == 0
    assert score_of(structs.replace(idle, failed=1), ALIVE).score == 75
    assert score_of(structs.replace(idle, waiting=10), ALIVE).score == 88
    assert score_of(structs.replace(idle, p95_s=60.0), ALIVE).score == 88


def test_the_registry_tells_who_lives_and_what_they_did_to_who_may_know() -> None:
    async def body() -> None:
        async with World() as world, world.client("cross_domain_user") as ann:
            actor = ActorRef(Domain.SYSTEM, REGISTRY, "sophia")
            await world.send(actor, RegisterAgents(profiles=(ONE, TWO)))
            while len(await world.log.read(subjects.log(actor))) < 2:
                assert await world.log.wait(subjects.log(actor), after=0, timeout_s=5)
            found = (await ann.get("/v1/agents")).json()["agents"]
            assert [(one["profile"]["id"], one["state"]) for one in found] == [
                ("sophia", "silent"),
                ("sophia.security", "silent"),
            ]
            world.pulse = lambda _: ALIVE
            asked = await ann.post("/v1/sophia/ask", json={"question": "Who leaves?"})
            assert asked.status_code == 200
            one = (await ann.get("/v1/agents/sophia")).json()
            assert (one["state"], one["work"]["answered"], one["health"]["score"]) == ("active", 1, 100)
            world.pulse = lambda _: None
            assert (await ann.get("/v1/agents/sophia")).json()["health"]["score"] == 0
            assert (await ann.get("/v1/agents/nobody")).status_code == 404
            async with world.client("sophia_user", name="bob") as bob:
                assert (await bob.get("/v1/agents")).status_code == 403

    run(body)


def test_workers_are_alive_until_they_leave() -> None:
    async def body() -> None:
        rpc = MemoryRpc(MemoryBroker())
        pulses = Pulses(rpc)
        await pulses.start()
        assert pulses.of(Domain.SOPHIA) is None
        for worker in ("w1", "w2"):
            await rpc.announce(subjects.members(Domain.SOPHIA), f'{{"worker":"{worker}"}}'.encode())
        await asyncio.sleep(0)  # What was announced is heard in the loop's next turn.
        pulse = pulses.of(Domain.SOPHIA)
        assert pulse is not None
        assert (pulse.workers, pulses.of(Domain.ARTEMIS)) == (2, None)
        for worker in ("w1", "w2"):
            await rpc.announce(subjects.members(Domain.SOPHIA), f'{{"worker":"{worker}","leaving":true}}'.encode())
        await asyncio.sleep(0)
        assert pulses.of(Domain.SOPHIA) is None

    run(body)
