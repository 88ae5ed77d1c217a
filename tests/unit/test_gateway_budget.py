"""What a run may spend and has spent, over HTTP."""

import json
from dataclasses import replace
from typing import Any

from contracts.model import Allowance
from gateway.app import Gateway
from tests.gateway_world import SETTINGS, World, run


async def ask(client: Any, **more: Any) -> Any:
    return await client.post("/v1/sophia/ask", json={"question": "pay for it", **more})


def test_a_run_says_what_it_has_spent() -> None:
    async def body() -> None:
        async with (
            World() as world,
            world.client("sophia_user") as ann,
            world.client("artemis_user", name="bob") as bob,
        ):
            turn = (await ask(ann, confidentiality="public")).json()
            path = f"/v1/runs/{turn['correlation_id']}/usage"
            spent = {"calls": 2, "input_tokens": 180, "output_tokens": 20, "cost": 0.5, "estimated": False}
            found = (await ann.get(path)).json()
            assert found == {
                "correlation_id": turn["correlation_id"],
                "total": spent,
                "by_domain": {"sophia": spent},
                "budget": None,
            }
            assert (await bob.get(path)).status_code == 404
            free = (await ann.post("/v1/sophia/ask", json={"question": "hello"})).json()
            assert (await ann.get(f"/v1/runs/{free['correlation_id']}/usage")).json()["total"]["calls"] == 0

    run(body)


def test_a_run_that_would_spend_more_than_its_budget_fails_and_says_so() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann:
            failed = await ask(ann, budget={"cost_max": 0.5, "tokens_max": 1_000})
            assert failed.status_code == 502
            detail = failed.json()["detail"]
            assert "budget of 1000 tokens, of which 100 were used and 0.5, of which 0.25 was spent" in detail
            assert failed.json()["type"] == "urn:diarchy:problem:budget-exceeded"
            spent = (await ann.get(f"/v1/runs/{failed.json()['correlation_id']}/usage")).json()
            assert spent["total"]["cost"] == 0.25
            within = {"tokens": 100, "cost": 0.25, "tokens_max": 1_000, "cost_max": 0.5, "exceeded": False}
            assert spent["budget"] == within
            assert (await ask(ann, budget={"cost_max": 0.6})).status_code == 200
            for bad in ({"cost_max": 0}, {"tokens_max": 0}, {"euros": 5}):
                assert (await ask(ann, budget=bad)).status_code == 422

    run(body)


def test_a_run_without_a_budget_has_that_of_the_settings() -> None:
    async def body() -> None:
        async with World() as world:
            settings = type(SETTINGS)(budget=Allowance(tokens=150))
            world.services = replace(world.services, settings=settings)
            world.gateway = Gateway(world.services)
            async with world.client("sophia_user") as ann:
                assert "budget of 150 tokens" in (await ask(ann)).json()["detail"]
                assert (await ask(ann, budget={"tokens_max": 1_000})).status_code == 200

    run(body)


def test_an_answer_that_cost_more_than_was_foreseen_is_given_and_says_so() -> None:
    """Who pays for it gets it, whole and piece by piece; what the run spent is what its provider counted."""

    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann:
            for model, used in (("echo", 7), ("sophia", 200)):
                for limit, exceeded in ((used, False), (used - 1, True)):
                    chat = {
                        "model": model,
                        "messages": [{"role": "user", "content": "overspend" if model == "sophia" else "hello"}],
                        "metadata": {"tokens_max": str(limit)},
                    }
                    answer = await ann.post("/v1/chat/completions", json=chat)
                    said = answer.json()["diarchy"]["budget"]
                    assert (said["tokens"], said["tokens_max"], said["exceeded"]) == (used, limit, exceeded)
                    assert answer.json()["usage"]["total_tokens"] == used
                    run_ = answer.headers["Diarchy-Correlation-Id"]
                    assert (await ann.get(f"/v1/runs/{run_}/usage")).json()["budget"] == said
                    assert (await ann.get(f"/v1/chat/completions/chatcmpl-{run_}")).json() == answer.json()
                    streamed = await ann.post("/v1/chat/completions", json={**chat, "stream": True})
                    *_, last, _, _ = streamed.text.split("\n\n")
                    assert json.loads(last.removeprefix("data: "))["diarchy"]["budget"] == said
            free = await ann.post("/v1/chat/completions", json={**chat, "metadata": {}})
            assert "budget" not in free.json()["diarchy"]

    run(body)
