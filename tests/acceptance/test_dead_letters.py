"""Dead letters of a running stack, through the command line and HTTP: looked at, redriven, dropped."""

import asyncio
import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from typing import Any

import httpx

from adapters.jetstream import connect
from adapters.jetstream_letters import JetStreamLetters
from contracts import subjects
from contracts.domains import Clearance, Domain
from contracts.ids import new_id
from contracts.kernel import DeadLetter
from tests.acceptance.test_publishers import dead_letters, publish, signal
from tests.stack import ROOT, Stack, ok


def dlq(stack: Stack, *words: str, status: tuple[int, ...] = (0,)) -> str:
    command = [sys.executable, "-m", "deploy", "dlq", *words, "--data", str(stack.folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)  # noqa: S603
    assert done.returncode in status, done.stderr
    return done.stdout


def insight(title: str) -> dict[str, Any]:
    return {"type": "business_insight.v1", "title": title, "text": "Seen by a test.", "origin": "test"}


def test_poison_comes_back_until_it_is_dropped(stack: Stack, admin: httpx.Client) -> None:
    identity = f"poison-{new_id()}"
    wrong = {**insight("Poison"), "type": "security_alert.v1"}
    asyncio.run(publish(stack, f"sophia.pub.signal.{identity}", json.dumps(wrong).encode()))
    while not (found := [one for one in dead_letters(stack, "is for artemis") if one["actor"] == identity]):
        pass
    id_ = found[0]["id"]
    shown = dlq(stack, "show", id_)
    assert "is for artemis" in shown
    assert identity in shown
    assert ok(admin.get(f"/v1/dead-letters/{id_}"))["body"] == wrong
    said = dlq(stack, "redrive", id_, "--yes", status=(0, 1))  # 1: it is back before the command ends
    assert "redriven" in said or "returned" in said
    while (back := ok(admin.get(f"/v1/dead-letters/{id_}")))["burials"] < 2:
        pass
    assert back["history"][0]["by"].startswith("operator ")
    assert ok(admin.post(f"/v1/dead-letters/{id_}/redrive"))["outcome"] in ("redriven", "returned")
    while (back := ok(admin.get(f"/v1/dead-letters/{id_}")))["burials"] < 3:
        pass
    assert ok(admin.delete(f"/v1/dead-letters/{id_}"))["outcome"] == "dropped"
    assert id_ not in [one["id"] for one in ok(admin.get("/v1/dead-letters"))["letters"]]
    assert "ended" in dlq(stack, "show", id_)


def test_a_letter_whose_cause_was_repaired_acts_once(stack: Stack, admin: httpx.Client) -> None:
    identity = f"repaired-{new_id()}"
    actor = subjects.actor_ref(Domain.SOPHIA, "signal", identity)
    letter = DeadLetter(  # as an earlier version, that could not read this fact, would have left it
        id=new_id(),
        subject=subjects.Address("pub", actor).subject,
        sequence=1,
        reason="an earlier version could not read it",
        attempts=1,
        time=datetime.now(UTC).isoformat(),
        time_ns=time.time_ns(),
        type="business_insight.v1",
        label=Clearance.INTERNAL,
        body=json.dumps(insight("Repaired")).encode(),
    )

    async def put() -> None:
        nats = stack.settings.nats
        broker = await connect(nats.url, user=nats.user or None, password=nats.password.reveal() or None)
        try:
            await JetStreamLetters(broker).put(letter)
        finally:
            await broker.stop()

    asyncio.run(put())
    wanted = {"domain": "sophia", "reason": "an earlier version"}
    outcomes = ok(admin.post("/v1/dead-letters/redrive", json=wanted))["letters"]
    assert [one["outcome"] for one in outcomes if one["id"] == letter.id] == ["redriven"]
    assert "already: redriven by" in dlq(stack, "redrive", letter.id, "--yes")
    assert signal(admin, identity)["body"]["fact"]["title"] == "Repaired"
    asyncio.run(put())  # As after a crash before it was ended: what was handled acts no second time.
    ok(admin.post("/v1/dead-letters/redrive", json=wanted))
    after = ok(admin.post(f"/v1/events/sophia/signal/{identity}-after", json=insight("After")))
    assert after["type"] == "signal.recorded.v1"
    assert signal(admin, identity)["type"] == "signal.recorded.v1"
