"""Strategic alerts: raised by a fact, routed by category, acknowledged by a person, or rising until somebody does."""

from typing import Any

import httpx
import msgspec
import pytest
from msgspec import Struct

from actors.ceo.alert import alert
from actors.signal import signal
from actors.team import run_tool
from actors.tool import Fetch, tool
from contracts import subjects
from contracts.alerts import (
    ALERT,
    ESCALATIONS_MAX,
    AcknowledgeAlert,
    Alarm,
    AlertAcknowledged,
    AlertEscalated,
    AlertRaised,
    AlertResolved,
    EscalateAlert,
    RaiseAlert,
    ResolveAlert,
    alert_id,
    patience_s,
)
from contracts.domains import Clearance, Domain
from contracts.facts import StrategicAlert
from contracts.ids import keyed_id
from contracts.subjects import ActorRef
from runtime.actor import Actor, Recorded
from runtime.effects import Effects
from runtime.testing import given
from tests import kernel_world as kernel
from tests.gateway_world import World, run
from tests.kernel_world import Note, Noted, Sum

RAISE = RaiseAlert(title="Northwind leaves", text="They gave notice.", origin="crm", alert_priority=7)
RAISED = AlertRaised(
    title="Northwind leaves",
    text="They gave notice.",
    origin="crm",
    alert_priority=7,
    executive_attention=False,
    times=1,
)
ACKNOWLEDGE = AcknowledgeAlert(by="ann")
RESOLVE = ResolveAlert(by="ann", note="stays")


def escalated(step: int, priority: int) -> AlertEscalated:
    return AlertEscalated(times=1, step=step, alert_priority=priority, executive_attention=priority >= 8)


def test_what_nobody_acknowledges_rises_step_by_step() -> None:
    first = given(alert).when(RAISE).then(RAISED)
    first.when(RAISE).then()
    other = msgspec.structs.replace(RAISE, text="They have gone.")
    first.when(ACKNOWLEDGE, other).then(msgspec.structs.replace(RAISED, text="They have gone.", times=2))
    second = first.when(EscalateAlert(times=1, step=1)).then(escalated(1, 8))
    second.when(EscalateAlert(times=1, step=1)).then()
    second.when(EscalateAlert(times=1, step=3)).then()
    second.when(EscalateAlert(times=1, step=2), EscalateAlert(times=1, step=3)).then(escalated(3, 10))


def test_what_is_acknowledged_rises_no_more() -> None:
    seen = given(alert, RAISED).when(ACKNOWLEDGE).then(AlertAcknowledged(by="ann"))
    seen.when(EscalateAlert(times=1, step=1)).then()
    seen.when(AcknowledgeAlert(by="bob")).then()
    done = seen.when(RESOLVE).then(AlertResolved(by="ann", note="stays"))
    done.when(RESOLVE).then()
    done.when(ACKNOWLEDGE).then()


def test_what_was_resolved_may_come_back_and_an_older_timer_does_not_raise_it() -> None:
    back = given(alert, RAISED, AlertResolved(by="ann")).when(RAISE).events
    assert [event.times for event in back if isinstance(event, AlertRaised)] == [2]
    again = given(alert, RAISED, AlertResolved(by="ann"), *back)
    again.when(EscalateAlert(times=1, step=1)).then()
    again.when(EscalateAlert(times=2, step=1)).then(
        AlertEscalated(times=2, step=1, alert_priority=8, executive_attention=True)
    )


def test_nothing_can_be_said_of_an_alert_that_never_was() -> None:
    given(alert).when(ACKNOWLEDGE).rejects("no such alert")
    given(alert).when(RESOLVE).rejects("no such alert")
    given(alert).when(EscalateAlert(times=0, step=1)).then()


def test_the_more_urgent_the_sooner_somebody_has_to_look() -> None:
    assert [patience_s(priority) for priority in (1, 5, 8)] == [86_400, 14_400, 900]
    assert patience_s(10, 60) == 60


def fact(**more: Any) -> dict[str, Any]:
    said = {"type": "strategic_alert.v1", "title": "Northwind leaves", "text": "They gave notice.", "origin": "crm"}
    return {**said, "alert_priority": 7, **more}


async def came(world: World, actor: ActorRef, type_: str, count: int) -> None:
    """Return when the actor has recorded so many events of the type."""
    after = 0
    while count:
        for stored in await world.log.read(subjects.log(actor), after=after):
            after = stored.sequence
            count -= stored.record.envelope.type == type_
        if count > 0:
            await world.log.wait(subjects.log(actor), after=after, timeout_s=10)


async def raised(world: World, client: httpx.AsyncClient, name: str = "a1", **more: Any) -> None:
    level = Clearance(more.get("confidentiality", "confidential"))
    answer = await client.post(f"/v1/events/ceo/signal/{name}", json=fact(**more))
    assert answer.status_code == 201, answer.text
    await came(world, ActorRef(Domain.CEO, ALERT, alert_id(name, level)), "alert.raised.v1", 1)


def test_an_alert_is_raised_by_a_fact_routed_listed_acknowledged_and_resolved() -> None:
    async def body() -> None:
        async with World() as world, world.client("cross_domain_user") as ann:
            await raised(world, ann, category="financial_analysis")
            await came(world, ActorRef(Domain.SOPHIA, "signal", "a1"), "signal.recorded.v1", 1)
            assert await world.log.read(subjects.log(ActorRef(Domain.ARTEMIS, "signal", "a1"))) == []
            found = (await ann.get("/v1/alerts", params={"state": "open"})).json()["alerts"]
            assert [(one["id"], one["executive_attention"]) for one in found] == [("a1-confidential", False)]
            assert (await ann.get("/v1/alerts", params={"executive": "true"})).json()["alerts"] == []
            seen = await ann.post("/v1/alerts/a1-confidential/acknowledge", json={"note": "I call them"})
            assert seen.status_code == 200, seen.text
            assert (seen.json()["state"], seen.json()["acknowledged"]["by"]) == ("acknowledged", "ann")
            assert seen.json()["acknowledged"]["note"] == "I call them"
            assert (await ann.post("/v1/alerts/a1-confidential/acknowledge")).json()["state"] == "acknowledged"
            assert (await ann.post("/v1/alerts/a1-confidential/resolve")).json()["state"] == "resolved"
            assert (await ann.get("/v1/alerts/a1-confidential")).json()["resolved"]["by"] == "ann"

    run(body)


def test_what_nobody_acknowledges_in_time_comes_to_the_executives() -> None:
    async def body() -> None:
        async with World() as world, world.client("cross_domain_user") as ann:
            await raised(world, ann, acknowledge_within_s=1)
            await came(world, ActorRef(Domain.CEO, ALERT, "a1-confidential"), "alert.escalated.v1", 1)
            found = (await ann.get("/v1/alerts", params={"executive": "true"})).json()["alerts"]
            assert [(one["id"], one["alert_priority"]) for one in found] == [("a1-confidential", 8)]
            assert 1 <= found[0]["escalations"] <= ESCALATIONS_MAX

    run(body)


@pytest.mark.parametrize("path", ["", "/acknowledge", "/resolve"])
def test_an_alert_above_the_reader_does_not_exist(path: str) -> None:
    async def body() -> None:
        async with World() as world, world.client("cross_domain_user", clearance=Clearance.RESTRICTED) as ann:
            await raised(world, ann, confidentiality="restricted")
            async with world.client("cross_domain_user", name="bob", clearance=Clearance.INTERNAL) as bob:
                method = "POST" if path else "GET"
                for id_ in ("a1-restricted", "never"):
                    assert (await bob.request(method, f"/v1/alerts/{id_}{path}")).status_code == 404
                assert (await bob.get("/v1/alerts")).json()["alerts"] == []
            async with world.client("sophia_user", clearance=Clearance.RESTRICTED) as less:
                wanted = 403 if path else 200
                assert (await less.request(method, f"/v1/alerts/a1-restricted{path}")).status_code == wanted

    run(body)


class Found(Struct, frozen=True):
    findings: tuple[str, ...]
    alarms: tuple[Alarm, ...]


class Nothing(Struct, frozen=True):
    pass


ALARM = Alarm(subject="a", title="2 findings", text="They are bad.", alert_priority=8, category="technology_roadmap")


def _looks(arguments: Nothing, blobs: Fetch) -> Found:  # noqa: ARG001 - the port's shape
    return Found(("It is bad.",), (ALARM,))


def test_what_a_teams_tool_is_alarmed_by_becomes_one_alert_however_often_it_is_found() -> None:
    async def react(recorded: Recorded[Noted], effects: Effects) -> None:
        effects.grant(("sophia:read",))
        assert (await run_tool("looks", Nothing(), "it", effects)).findings == ("It is bad.",)
        await effects.tell(StrategicAlert(title=recorded.event.text, text="x", origin="o", alert_priority=1))

    async def body() -> None:
        asking = Actor("counter", Sum(), kernel.decide, kernel.evolve, react)
        async with kernel.World(asking, alert, signal) as world:
            world.outside.tools["looks"] = tool("looks", _looks, "Looks.", permission="sophia:read")
            for text in ("first", "second"):
                await world.send(Note(text=text))
            await world.events(at_least=4)
            raised = ActorRef(Domain.CEO, ALERT, alert_id(keyed_id("alarm", "looks", "a", "public"), Clearance.PUBLIC))
            (stored,) = await world.events(raised, at_least=1)
            event = msgspec.json.decode(stored.record.body, type=AlertRaised)
            assert (event.title, event.executive_attention, event.origin) == ("2 findings", True, "looks team")

    run(body)


def test_an_alert_that_is_hidden_from_somebody_does_not_stand_in_the_way_of_his() -> None:
    async def body() -> None:
        async with World() as world, world.client("admin", name="eve", clearance=Clearance.TOP_SECRET) as eve:
            await raised(world, eve, confidentiality="top_secret", title="Hidden")
            async with world.client("cross_domain_user", name="bob", clearance=Clearance.INTERNAL) as bob:
                await raised(world, bob, confidentiality="internal")
                found = (await bob.get("/v1/alerts")).json()["alerts"]
                assert [one["id"] for one in found] == ["a1-internal"]
            assert len((await eve.get("/v1/alerts")).json()["alerts"]) == 2

    run(body)
