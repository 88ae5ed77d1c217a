"""What is asked of a domain that is down is found at its status_url at once, by who asked and nobody else."""

from typing import Any

import pytest
from msgspec.structs import replace

from contracts import subjects
from contracts.domains import Clearance, Domain
from contracts.envelope import Record
from contracts.ids import new_id
from contracts.subjects import ActorRef
from tests.gateway_world import World, run

LATER = {"Prefer": "respond-async"}
ASKED: list[tuple[str, dict[str, Any], str]] = [
    ("/v1/sophia/ask", {"question": "Why?"}, "pending"),
    ("/v1/analyses", {"subject": "Portal", "question": "Why?"}, "running"),
    (
        "/v1/collaborations",
        {"domain": "artemis", "request_type": "technical_feasibility_analysis", "question": "Why?"},
        "pending",
    ),
]


@pytest.mark.parametrize(("path", "body", "status"), ASKED, ids=[path for path, _, _ in ASKED])
def test_it_is_shown_before_it_is_taken_up_to_its_asker_only(path: str, body: dict[str, Any], status: str) -> None:
    async def scenario() -> None:
        async with World() as world, world.client("cross_domain_user") as ann:
            for worker in world.workers:
                await worker.stop()
            accepted = await ann.post(path, json=body, headers=LATER)
            assert accepted.status_code == 202
            url, correlation = accepted.json()["status_url"], accepted.json()["correlation_id"]
            found = await ann.get(url)
            assert found.status_code == 200, found.text
            [shown] = found.json()["turns"] if "turns" in found.json() else [found.json()]
            assert (shown["status"], shown["question"], shown["by"]) == (status, "Why?", "ann")
            assert shown["correlation_id"] == correlation
            async with world.client("cross_domain_user", name="bob") as bob, world.client("admin", name="root") as root:
                assert (await bob.get(url)).status_code == 404
                assert (await root.get(url)).json() == found.json()
            async with world.client("cross_domain_user", clearance=Clearance.PUBLIC) as lowered:
                assert (await lowered.get(url)).status_code == 404
            other = url.replace(shown["correlation_id"].replace("-", ""), "0" * 32)
            assert other != url
            assert (await ann.get(other)).status_code == 404

    run(scenario)


def test_what_some_program_published_and_is_no_question_is_not_shown() -> None:
    async def scenario() -> None:
        async with World() as world, world.client("cross_domain_user") as ann:
            for worker in world.workers:
                await worker.stop()
            accepted = await ann.post("/v1/analyses", json={"subject": "Portal", "question": "Why?"}, headers=LATER)
            url = accepted.json()["status_url"]
            actor = ActorRef(Domain.SOPHIA, "analysis", url.rsplit("/", 1)[1])
            record = await world.queue.latest(actor)
            assert record is not None
            envelope = replace(record.envelope, id=new_id())
            await world.queue.publish(subjects.inbox(actor), Record(envelope, b'{"question": 7}'))
            assert (await ann.get(url)).status_code == 404

    run(scenario)
