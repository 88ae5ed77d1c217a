"""Programs outside, with nothing but a NATS client and the exported contracts."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import nats

from contracts.ids import new_id
from deploy.contracts_export import stale
from tests.stack import ROOT, Stack, ok

CONTRACTS = ROOT / "docs" / "contracts"


async def publish(stack: Stack, subject: str, body: bytes, headers: dict[str, str] | None = None) -> Any:
    """As an outsider would: the publisher's user, one JetStream publish, its acknowledgement."""
    settings = stack.settings.nats
    client = await nats.connect(settings.url, user="publisher", password=settings.publisher_password.reveal())
    try:
        return await client.jetstream().publish(subject, body, headers=headers)
    finally:
        await client.close()


def signal(client: httpx.Client, identity: str) -> dict[str, Any]:
    """The one event of a signal, once the read model has it."""
    while True:
        params = {"domain": "sophia", "kind": "signal", "id": identity}
        if events := ok(client.get("/v1/events", params=params))["events"]:
            assert len(events) == 1
            event: dict[str, Any] = events[0]
            return event


def test_a_published_fact_reaches_its_actor_the_read_model_and_the_teams(stack: Stack, admin: httpx.Client) -> None:
    fact = {
        "type": "sales_intelligence.v1",
        "title": "Deal closed: Zylograph",
        "text": "Zylograph signed.",
        "origin": "crm",
    }
    document = json.loads((CONTRACTS / "facts.schema.json").read_text())
    jsonschema.validate(fact, document)
    channel = json.loads((CONTRACTS / "asyncapi.json").read_text())["channels"]["sophiaFacts"]
    identity = f"deal-{new_id()}"
    subject = channel["address"].replace("{id}", identity)
    for _ in range(2):  # A repeat with the same message id changes nothing.
        asyncio.run(publish(stack, subject, json.dumps(fact).encode(), {"Nats-Msg-Id": identity}))
    event = signal(admin, identity)
    assert event["type"] == "signal.recorded.v1"
    assert event["body"]["fact"]["title"] == fact["title"]
    assert event["principal"] == "publisher"
    question = {"question": "What do we know about Zylograph?", "collaborate": False, "team": "business_insight"}
    while fact["title"] not in [
        one["title"] for one in ok(admin.post("/v1/sophia/ask", json=question))["answer"]["evidence"]
    ]:
        pass  # The question itself is the wait: the fact is evidence once its reaction has indexed it.


def test_the_http_route_publishes_the_same(admin: httpx.Client) -> None:
    fact = {"type": "market_research.v1", "title": "Report", "text": "The market grows.", "origin": "analysts"}
    identity = f"report-{new_id()}"
    ok(admin.post(f"/v1/events/sophia/signal/{identity}", json=fact))
    assert signal(admin, identity)["body"]["fact"]["title"] == "Report"


def dead_letters(stack: Stack, reason: str) -> list[dict[str, Any]]:
    """The dead letters as `diarchy dlq list --json` gives them, once one has this reason."""
    command = [sys.executable, "-m", "deploy", "dlq", "list", "--json", "--data", str(stack.folder)]
    while True:
        output = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout  # noqa: S603
        letters: list[dict[str, Any]] = (
            json.loads(output) if output.startswith("[") else list(map(json.loads, output.splitlines()))
        )
        if found := [letter for letter in letters if reason in letter["reason"]]:
            return found


def test_what_cannot_be_read_is_a_dead_letter_and_blocks_nothing(stack: Stack, admin: httpx.Client) -> None:
    identity = f"broken-{new_id()}"
    subject = f"sophia.pub.signal.{identity}"
    good = {"type": "business_insight.v1", "title": "Good", "text": "After the broken ones.", "origin": "test"}
    broken = [
        b"not json",
        b'{"type":"nobody.knows.v1"}',
        b'{"type":"business_insight.v1","title":"no text","origin":"x"}',
    ]
    for body in [*broken, json.dumps(good).encode()]:
        asyncio.run(publish(stack, subject, body))
    assert signal(admin, identity)["body"]["fact"]["title"] == "Good"
    for reason in ("malformed", "nobody.knows.v1", "`text`"):
        letter = next(one for one in dead_letters(stack, reason) if identity in one["subject"])
        assert letter["text"] == "not json" or json.dumps(letter["body"], separators=(",", ":")).encode() in broken
    wrong = json.dumps({**good, "type": "security_alert.v1"}).encode()
    asyncio.run(publish(stack, subject, wrong))
    assert any(identity in one["subject"] for one in dead_letters(stack, "is for artemis"))


def test_a_publisher_may_do_nothing_else(stack: Stack) -> None:
    async def attempt() -> list[str]:
        settings = stack.settings.nats
        errors: list[str] = []
        refused = asyncio.Event()

        async def note(error: Exception) -> None:
            errors.append(str(error).lower())
            if len(errors) == len(forbidden) + 1:
                refused.set()

        client = await nats.connect(
            settings.url, user="publisher", password=settings.publisher_password.reveal(), error_cb=note
        )
        for subject in forbidden:
            await client.publish(subject, b"{}")
        await client.subscribe("sophia.log.>")
        await asyncio.wait_for(refused.wait(), 10)
        await client.close()
        return errors

    forbidden = (
        "sophia.in.1.signal.x",
        "sophia.log.1.signal.x",
        "dlq.sophia.inbox.x",
        "$JS.API.STREAM.DELETE.SOPHIA_LOG",
    )
    assert all("permissions violation" in error for error in asyncio.run(attempt()))


def test_the_exported_contracts_are_current() -> None:
    assert stale(Path(ROOT)) == []
