"""An answer or analysis in part over HTTP: who waits gets it at once, who follows gets the whole one on the same stream."""

import asyncio
from typing import Any

import pytest

from contracts.domains import Domain
from tests.gateway_world import World, run, sse

LIVE = {"Accept": "text/event-stream", "Idempotency-Key": "k"}
ARTEMIS = {"domain": "artemis", "request_type": "technical_feasibility_analysis", "why": "it is away"}


@pytest.mark.parametrize("question", ["part one", "part for ever"])
def test_a_part_is_answered_at_once_and_becomes_whole(question: str) -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann:
            ask: dict[str, Any] = {"json": {"question": question}}
            following = asyncio.create_task(ann.post("/v1/sophia/ask", **ask, headers=LIVE))
            waited = await ann.post("/v1/sophia/ask", **ask, headers={"Idempotency-Key": "k"})
            part = waited.json()
            assert (waited.status_code, part["status"], part["missing"]) == (200, "partial", [ARTEMIS])
            assert part["answer"]["content"] == f"so far: {question}"
            assert part["status_url"] == f"/v1/sessions/{part['session']}/messages"
            [turn] = (await ann.get(part["status_url"])).json()["turns"]
            assert turn == part
            world.agents.release.set()
            events = sse((await following).text)
            assert [name for name, _ in events if name != "progress"] == ["partial", "answer"]
            assert next(body for name, body in events if name == "partial") == part
            _, whole = events[-1]
            [turn] = (await ann.get(part["status_url"])).json()["turns"]
            again = await ann.post("/v1/sophia/ask", **ask, headers={"Idempotency-Key": "k"})
            assert whole["answer"] == turn["answer"] == again.json()["answer"]
            if question == "part for ever":
                assert (whole["status"], whole["missing"]) == ("partial", [ARTEMIS])
                assert whole["failure"] == turn["failure"] == "artemis: it did not come back"
            else:
                assert (whole["status"], whole["missing"], whole["status_url"]) == ("answered", [], None)
                assert whole["answer"]["content"] == f"echo: {question}"

    run(body)


@pytest.mark.parametrize("subject", ["part one", "part for ever"])
def test_an_analysis_is_told_in_part_and_becomes_whole_on_the_same_stream(subject: str) -> None:
    async def body() -> None:
        async with World() as world, world.client("cross_domain_user") as ann:
            start: dict[str, Any] = {"json": {"subject": subject, "question": "Should we?"}}
            following = asyncio.create_task(ann.post("/v1/analyses", **start, headers=LIVE))
            waited = await ann.post("/v1/analyses", **start, headers={"Idempotency-Key": "k"})
            part = waited.json()
            assert (waited.status_code, part["status"], part["waiting_for"]) == (201, "partial", "artemis")
            assert part["missing"] == [{**ARTEMIS, "phase": "business_analysis", "request_type": "x"}]
            assert (part["recommendations"], part["completed"]) == (f"so far: {subject}", None)
            url = f"/v1/analyses/{part['id']}"
            assert (await ann.get(url)).json() == part
            world.agents.release.set()
            events = sse((await following).text)
            assert [name for name, _ in events if name != "progress"] == ["partial", "answer"]
            assert next(body for name, body in events if name == "partial") == part
            _, whole = events[-1]
            again = await ann.post("/v1/analyses", **start, headers={"Idempotency-Key": "k"})
            assert whole == (await ann.get(url)).json() == again.json()
            if subject == "part for ever":
                ended = {"failure": "artemis: it did not come back", "waiting_for": None}
                assert whole == {**part, **ended, "completed": whole["completed"]}
            else:
                assert (whole["status"], whole["missing"], whole["recommendations"]) == ("completed", [], subject)

    run(body)


def test_a_client_of_openai_gets_the_part_as_its_answer() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann:
            chat = {"model": "sophia", "messages": [{"role": "user", "content": "part one"}]}
            said = (await ann.post("/v1/chat/completions", json=chat)).json()
            assert said["choices"][0]["message"]["content"] == "so far: part one"
            world.agents.release.set()
            turns = f"/v1/sessions/{said['diarchy']['session']}/messages"
            while (await ann.get(turns)).json()["turns"][0]["status"] != "answered":
                await world.broker.logs[Domain.SOPHIA].change(0.01)
            whole = (await ann.get(f"/v1/chat/completions/{said['id']}")).json()
            assert whole["choices"][0]["message"]["content"] == "echo: part one"

    run(body)
