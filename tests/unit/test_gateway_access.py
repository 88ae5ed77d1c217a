"""Who may see what beyond his own clearance of the moment: partitions, whole runs, sessions that rose."""

from typing import Any, get_args

import msgspec
import pytest

from contracts import subjects
from contracts.domains import Clearance, Domain, ItemPartition, Partition
from contracts.envelope import Envelope, Record
from contracts.ids import new_id
from contracts.knowledge import AddKnowledge, Knowledge
from contracts.subjects import ActorRef
from contracts.users import Role
from tests.gateway_world import World, now, run

JSON = dict[str, Any]
ITEM: JSON = {
    "title": "Pricing",
    "content": "prices rise",
    "category": "strategic_planning",
    "confidentiality": "internal",
}
PARTITIONS: tuple[Partition, ...] = get_args(Partition)
OPEN: set[Partition] = {"ceo_knowledge", "shared_knowledge"}
SOPHIA: set[Partition] = {"sophia_business", "research_data"}
ARTEMIS: set[Partition] = {"artemis_technical", "code_knowledge"}
READABLE: list[tuple[Role, set[Partition]]] = [
    ("sophia_user", OPEN | SOPHIA),
    ("artemis_user", OPEN | ARTEMIS),
    ("read_only", OPEN | SOPHIA | ARTEMIS),
    ("cross_domain_user", OPEN | SOPHIA | ARTEMIS),
    ("admin", set(PARTITIONS)),
]
NEEDED: dict[str, set[Partition]] = {
    "sophia:read": SOPHIA,
    "artemis:read": ARTEMIS,
    "system:admin": {"agent_memories", "swarm_coordination"},
}


async def item_in(world: World, partition: Partition) -> str:
    """The path of an item there; where none may be put any more, as older versions took it."""
    actor = ActorRef(Domain.CEO, "knowledge_item", new_id())
    said = msgspec.convert({**ITEM, "partition": partition}, Knowledge)
    await world.send(actor, AddKnowledge(by="root", knowledge=said), said.confidentiality)
    while (partition, actor.id) not in world.words.entries:
        await world.broker.logs[Domain.CEO].change(0.01)
    return f"/v1/knowledge/{actor.id}"


@pytest.mark.parametrize(("role", "readable"), READABLE)
def test_each_partition_is_for_who_may_read_its_domain(role: Role, readable: set[Partition]) -> None:
    async def body() -> None:
        async with World() as world:
            paths = {partition: await item_in(world, partition) for partition in PARTITIONS}
            before = world.recorded()
            async with world.client(role) as ann:
                for partition, path in paths.items():
                    seen = partition in readable
                    assert (await ann.get(path)).status_code == (200 if seen else 404), partition
                    wanted = {"query": "prices", "partitions": ["shared_knowledge", partition]}
                    found = await ann.post("/v1/knowledge/search", json=wanted)
                    assert found.status_code == (200 if seen else 403), partition
                    if not seen:
                        assert partition in NEEDED[found.json()["permission"]]
                        assert "prices" not in found.text
            assert world.recorded() == before

    run(body)


def test_what_is_in_a_closed_partition_is_not_changed_and_nothing_is_put_there() -> None:
    async def body() -> None:
        async with World() as world, world.client("cross_domain_user") as ann:
            closed = {**ITEM, "partition": "agent_memories"}
            path = await item_in(world, "agent_memories")
            own = (await ann.post("/v1/knowledge", json=ITEM)).headers["Location"]
            before = world.recorded()
            assert (await ann.put(path, json=ITEM)).status_code == 404
            assert (await ann.delete(path)).status_code == 404
            for refused in (await ann.post("/v1/knowledge", json=closed), await ann.put(own, json=closed)):
                assert (refused.status_code, refused.json()["permission"]) == (403, "system:admin")
            assert world.recorded() == before

    run(body)


@pytest.mark.parametrize("partition", sorted(set(PARTITIONS) - set(get_args(ItemPartition))))
def test_nobody_puts_an_item_among_what_agents_remember_or_agree_on(partition: Partition) -> None:
    """One that is there since an older version is still read, moved and deleted."""

    async def body() -> None:
        async with World() as world, world.client("admin", name="root") as root:
            own = (await root.post("/v1/knowledge", json=ITEM)).headers["Location"]
            paths = [await item_in(world, partition) for _ in range(2)]
            before = world.recorded()
            forged = {**ITEM, "partition": partition, "source": "sophia:bob"}
            for field, refused in (
                ("$.partition", await root.post("/v1/knowledge", json=forged)),
                ("$.partition", await root.put(own, json=forged)),
                ("$.partition", await root.put(paths[0], json=forged)),
                (
                    "$.knowledge.partition",
                    await root.post("/v1/knowledge/imports", json={"collection": "c", "key": "k", "knowledge": forged}),
                ),
            ):
                (problem,) = refused.json()["errors"]
                assert (refused.status_code, problem["field"]) == (422, field)
                assert problem["detail"].startswith(f"agents alone write in {partition}; take one of sophia_business")
            assert world.recorded() == before
            assert (await root.get(paths[0])).json()["knowledge"]["partition"] == partition
            assert (await root.put(paths[0], json=ITEM)).status_code == 200
            assert (await root.delete(paths[1])).status_code == 204

    run(body)


def test_an_item_that_moved_is_not_found_where_the_index_still_has_it() -> None:
    async def body() -> None:
        async with World() as world, world.client("admin", name="root") as root:
            made = await root.post("/v1/knowledge", json=ITEM)
            while not world.words.entries:
                await world.broker.logs[Domain.CEO].change(0.01)
            stale = dict(world.words.entries)
            await root.put(made.headers["Location"], json={**ITEM, "partition": "artemis_technical"})
            while ("artemis_technical", made.json()["id"]) not in world.words.entries:
                await world.broker.logs[Domain.CEO].change(0.01)
            world.words.entries.update(stale)
            async with world.client("sophia_user") as ann:
                assert (await ann.post("/v1/knowledge/search", json={"query": "prices"})).json()["hits"] == []

    run(body)


def test_spans_are_for_who_may_see_the_whole_run() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann:
            turn = (await ann.post("/v1/sophia/ask", json={"question": "mine", "confidentiality": "internal"})).json()
            path = f"/v1/traces/{turn['correlation_id']}"
            assert (await ann.get(path)).status_code == 200
            leak = await ann.post("/v1/sophia/ask", json={"question": "leak now"})
            run_id = leak.headers["Diarchy-Correlation-Id"]
            assert (await ann.get(f"/v1/runs/{run_id}")).status_code == 200
            assert (await ann.get(f"/v1/traces/{run_id}")).status_code == 404
            async with world.client("admin", name="root", clearance=Clearance.TOP_SECRET) as root:
                assert (await root.get(f"/v1/traces/{run_id}")).status_code == 200

    run(body)


def test_a_session_that_rose_above_the_clearance_is_gone_for_every_method() -> None:
    async def body() -> None:
        async with World() as world:
            async with world.client("sophia_user", clearance=Clearance.RESTRICTED) as ann:
                opened = {"domain": "sophia", "confidentiality": "public"}
                path = f"/v1/sessions/{(await ann.post('/v1/sessions', json=opened)).json()['id']}"
                await ann.post(f"{path}/messages", json={"question": "plain", "confidentiality": "public"})
                async with world.client("sophia_user", clearance=Clearance.INTERNAL) as less:
                    assert (await less.post(f"{path}/messages", json={"question": "early"})).status_code == 200
                await ann.post(f"{path}/messages", json={"question": "secret", "confidentiality": "restricted"})
            before = world.recorded()
            async with world.client("sophia_user", clearance=Clearance.INTERNAL) as less:
                assert (await less.get(path)).status_code == 404
                assert (await less.post(f"{path}/messages", json={"question": "late"})).status_code == 404
                assert (await less.delete(path)).status_code == 404
            assert world.recorded() == before

    run(body)


def test_a_refused_message_does_not_raise_a_session() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user", clearance=Clearance.INTERNAL) as ann:
            made = (await ann.post("/v1/sessions", json={"domain": "sophia"})).json()["id"]
            actor = ActorRef(Domain.SOPHIA, "conversation", made)
            identity = new_id()
            envelope = Envelope(
                id=identity,
                type="runtime.refused.v1",
                time=now(),
                correlation=identity,
                principal="root",
                source=Domain.SOPHIA,
                label=Clearance.TOP_SECRET,
            )
            refused = Record(envelope, msgspec.json.encode({"message": "m", "code": "gone", "reason": "r"}))
            last = (await world.log.read(subjects.log(actor)))[-1].sequence
            await world.log.append(subjects.log(actor), [refused], expected=last)
            head = await world.services.heads.of(actor)
            assert head is not None
            assert head.label is Clearance.INTERNAL

    run(body)
