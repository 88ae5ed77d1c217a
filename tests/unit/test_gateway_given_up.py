"""A question that could not be handled: its asker is told, and once the cause is repaired a redrive answers it, once."""

from typing import Any

from contracts import subjects
from contracts.catalogue import tag
from contracts.conversation import Asked
from contracts.domains import Domain
from tests.gateway_world import World, run

QUESTION: dict[str, Any] = {"json": {"question": "poison"}, "headers": {"Idempotency-Key": "k"}}


def test_a_given_up_question_is_a_problem_and_redriven_it_acts_once() -> None:
    async def body() -> None:
        async with World() as world, world.client("admin", name="root") as root:
            for _ in range(2):
                told = await root.post("/v1/sophia/ask", **QUESTION)
                assert (told.status_code, told.json()["type"]) == (500, "urn:diarchy:problem:failed")
            while not (letters := (await root.get("/v1/dead-letters")).json()["letters"]):
                await world.broker.inboxes[Domain.SOPHIA].change(0.01)
            [letter] = letters
            assert letter["id"] in told.json()["detail"]
            assert letter["reason"] == "RuntimeError: a bug"
            world.agents.broken = False
            for outcome in ("redriven", "already"):
                redriven = await root.post(f"/v1/dead-letters/{letter['id']}/redrive")
                assert redriven.json()["outcome"] == outcome
            subject = subjects.log(subjects.actor_ref(Domain.SOPHIA, letter["kind"], letter["actor"]))
            while not world.agents.asked:
                await world.broker.logs[Domain.SOPHIA].change(0.01)
            answered = await root.post("/v1/sophia/ask", **QUESTION)
            assert (answered.status_code, answered.json()["status"]) == (200, "answered")
            asked = [one for one in await world.log.read(subject) if one.record.envelope.type == tag(Asked)]
            assert (len(asked), world.agents.asked) == (1, 1)

    run(body)


def test_given_up_again_it_is_a_problem_again() -> None:
    async def body() -> None:
        async with World() as world, world.client("admin", name="root") as root:
            await root.post("/v1/sophia/ask", **QUESTION)
            while not (letters := (await root.get("/v1/dead-letters")).json()["letters"]):
                await world.broker.inboxes[Domain.SOPHIA].change(0.01)
            path = f"/v1/dead-letters/{letters[0]['id']}"
            await root.post(f"{path}/redrive")
            while (await root.get(path)).json()["burials"] < 2:
                await world.broker.inboxes[Domain.SOPHIA].change(0.01)
            assert (await root.post("/v1/sophia/ask", **QUESTION)).status_code == 500
            assert world.agents.asked == 0

    run(body)
