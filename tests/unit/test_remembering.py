"""What agents remember: one person's memories with one agent, bounded by the policy, and how he reads and changes them."""

from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from hypothesis import given as where
from hypothesis import strategies as st

from actors.remembering import State, decide, evolve, memory
from contracts.domains import Clearance, Domain
from contracts.ids import keyed_id, new_id
from contracts.memory import (
    RETENTION,
    ForgetMemory,
    Forgotten,
    MemoryKind,
    Remember,
    Remembered,
    Revised,
    ReviseMemory,
    memories_of,
)
from contracts.subjects import ActorRef
from runtime.testing import given
from tests.gateway_world import World, run

NOW = datetime(2026, 11, 29, tzinfo=UTC)
KINDS: tuple[MemoryKind, ...] = get_args(MemoryKind)


def told(number: int = 1, kind: MemoryKind = "semantic", expires: datetime | None = None) -> Remember:
    return Remember(
        id=keyed_id(kind, str(number)),
        owner="ann",
        kind=kind,
        title=f"t{number}",
        text="x",
        at=NOW,
        session="sophia-1",
        expires=expires,
    )


def kept(number: int = 1, kind: MemoryKind = "semantic", expires: datetime | None = None) -> Remembered:
    return Remembered(
        id=keyed_id(kind, str(number)),
        owner="ann",
        kind=kind,
        title=f"t{number}",
        text="x",
        session="sophia-1",
        expires=expires,
    )


def test_what_is_told_is_kept_as_long_as_its_kind_is() -> None:
    given(memory).when(told()).then(kept())
    year = NOW + timedelta(days=365)
    given(memory).when(told(kind="procedural")).then(kept(kind="procedural", expires=year))
    soon = NOW + timedelta(days=1)
    given(memory).when(told(kind="procedural", expires=soon)).then(kept(kind="procedural", expires=soon))
    late = NOW + timedelta(days=4_000)
    given(memory).when(told(kind="procedural", expires=late)).then(kept(kind="procedural", expires=year))


def test_it_is_revised_and_forgotten_once() -> None:
    one = kept()
    revised = Revised(id=one.id, owner="ann", kind="semantic", title="new", text="y", session="sophia-1")
    revise, forget = ReviseMemory(id=one.id, title="new", text="y"), ForgetMemory(id=one.id)
    given(memory, one).when(revise).then(revised)
    gone = given(memory, one).when(forget).then(Forgotten(id=one.id, why="asked"))
    gone.when(forget).then()
    gone.when(told()).then()  # Its message came again.
    gone.when(revise).rejects("no such memory")
    given(memory).when(forget).rejects("no such memory")


def test_beyond_the_policy_the_oldest_of_the_kind_makes_room() -> None:
    most = RETENTION["procedural"].memories_max
    world = given(memory, kept(0), *(kept(number, "procedural") for number in range(most)))
    year = NOW + timedelta(days=365)
    world.when(told(most, "procedural")).then(
        kept(most, "procedural", year), Forgotten(id=keyed_id("procedural", "0"), why="room")
    )


@where(st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 300), st.booleans()), max_size=400))
def test_no_kind_ever_exceeds_its_bound_and_a_repeat_changes_nothing(
    acts: list[tuple[MemoryKind, int, bool]],
) -> None:
    state = State()
    for kind, number, forget in acts:
        message = ForgetMemory(id=keyed_id(kind, str(number))) if forget else told(number, kind)
        if forget and message.id not in state.kept:
            continue
        for _ in range(2):
            events = decide(state, message)
            for event in events:
                state = evolve(state, event)
        assert events == []
        counts = [sum(one.kind == kind for one in state.kept.values()) for kind in KINDS]
        assert all(count <= RETENTION[kind].memories_max for kind, count in zip(KINDS, counts, strict=True))


def test_everybody_has_memories_of_his_own_with_each_agent() -> None:
    places = {memories_of(domain, owner) for domain in (Domain.SOPHIA, Domain.ARTEMIS) for owner in ("ann", "bob")}
    assert len(places) == 4
    assert all(isinstance(one, ActorRef) for one in places)


TAUGHT = {"agent": "sophia", "title": "Fiscal year", "text": "our fiscal year begins in July"}


def test_who_taught_it_reads_corrects_and_forgets_it_and_nobody_else() -> None:
    async def body() -> None:
        async with World() as world, world.client("cross_domain_user") as ann, world.client("admin", name="eve") as eve:
            made = await ann.post("/v1/memories", json=TAUGHT)
            assert made.status_code == 201, made.text
            path = f"/v1/memories/sophia/{made.json()['id']}"
            assert [one["text"] for one in (await ann.get("/v1/memories")).json()["memories"]] == [TAUGHT["text"]]
            assert (await ann.get("/v1/memories", params={"agent": "artemis"})).json()["memories"] == []
            wanted = {"agent": "sophia", "query": "when does the fiscal year begin"}
            async for batch in world.log.follow(Domain.SOPHIA, ["run"], after=0):
                if any(b'"index"' in stored.record.body for stored in batch):
                    break
            found = (await ann.post("/v1/memories/search", json=wanted)).json()["memories"]
            assert [one["id"] for one in found] == [made.json()["id"]]
            assert found[0]["score"] > 0
            assert (await eve.get("/v1/memories")).json()["memories"] == []
            assert (await eve.post("/v1/memories/search", json=wanted)).json()["memories"] == []
            assert (await eve.delete(path)).status_code == 404
            assert (await eve.put(path, json={"title": "t", "text": "x"})).status_code == 404
            changed = await ann.put(path, json={"title": "Fiscal year", "text": "it begins in October"})
            assert (changed.status_code, changed.json()["text"]) == (200, "it begins in October")
            assert (await ann.delete(path)).status_code == 204
            assert (await ann.get("/v1/memories")).json()["memories"] == []
            assert (await ann.delete(path)).status_code == 404

    run(body)


def test_a_memory_is_never_lowered_and_hidden_from_who_is_cleared_for_less() -> None:
    async def body() -> None:
        async with World() as world, world.client("cross_domain_user", clearance=Clearance.RESTRICTED) as ann:
            made = (await ann.post("/v1/memories", json={**TAUGHT, "confidentiality": "confidential"})).json()
            path = f"/v1/memories/sophia/{made['id']}"
            said = {"title": "t", "text": "x", "confidentiality": "public"}
            assert (await ann.put(path, json=said)).json()["label"] == "confidential"
            async with world.client("cross_domain_user", clearance=Clearance.INTERNAL) as less:
                assert (await less.get("/v1/memories")).json()["memories"] == []
                assert (await less.put(path, json=said)).status_code == 404
                assert (await less.delete(path)).status_code == 404

    run(body)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"agent": "ceo"}, "$.agent"),
        ({"kind": "episodic"}, "$.kind"),
        ({"text": " "}, "$.text"),
        ({"expires": "2020-01-01T00:00:00Z"}, "$.expires"),
        ({"owner": "bob"}, "owner"),
    ],
)
def test_what_cannot_be_remembered_is_refused_by_name(changes: dict[str, str], field: str) -> None:
    async def body() -> None:
        async with World() as world, world.client("cross_domain_user") as ann:
            answer = await ann.post("/v1/memories", json={**TAUGHT, **changes})
            assert answer.status_code == 422
            assert field in answer.text
            unknown = f"/v1/memories/sophia/{new_id()}"
            assert (await ann.delete(unknown)).status_code == 404
            assert (await ann.delete(f"/v1/memories/ceo/{new_id()}")).status_code == 404

    run(body)
