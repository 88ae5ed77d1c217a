"""An item is raised: what others' answers rest on is as confidential by now at every exit; who asked has been told."""

import asyncio
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from contracts.domains import Clearance
from contracts.envelope import CORRELATION_HEADER, PRINCIPAL_HEADER
from contracts.kernel import DeadLetter
from tests.taint.world import Reader, World

SECRET = "zebra"
ANN = Reader("ann", "cross_domain_user", Clearance.INTERNAL)
BEN = Reader("ben", "admin", Clearance.INTERNAL)
ROOT = Reader("root", "admin", Clearance.TOP_SECRET)
ITEM = {
    "title": "The harbour programme",
    "content": f"The harbour programme needs a {SECRET}.",
    "category": "risk_management",
    "confidentiality": "internal",
    "strategic_priority": 9,
    "partition": "ceo_knowledge",
}
QUESTION = "What does the harbour programme need?"


class Asked:
    """What ann was told of the item before it was raised, and where it can be read."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.exits: dict[str, str] = {}

    async def ask(self) -> None:
        await self._got(ROOT, "POST", "/v1/knowledge", ITEM)
        turn = await self._got(ANN, "POST", "/v1/sophia/ask", {"question": QUESTION, "confidentiality": "public"})
        run = turn["correlation_id"]
        analysis = await self._got(ANN, "POST", "/v1/analyses", {"subject": "harbour", "question": QUESTION})
        chat = {"model": "sophia", "messages": [{"role": "user", "content": QUESTION}]}
        completion = await self._got(ANN, "POST", "/v1/chat/completions", chat)
        self.exits = {
            "events": f"/v1/events?correlation={run}&limit=200",
            "journals": f"/v1/events?correlation={run}&limit=200&lane=run",
            "run": f"/v1/runs/{run}",
            "trace": f"/v1/traces/{run}",
            "usage": f"/v1/runs/{run}/usage",
            "turns": f"/v1/sessions/{turn['session']}/messages",
            "analyses": "/v1/analyses",
            "analysis": f"/v1/analyses/{analysis['id']}",
            "completion": f"/v1/chat/completions/{completion['id']}",
        }
        self.letter = DeadLetter(
            id="letter",
            subject="sophia.in.1.conversation.c1",
            sequence=1,
            reason=f"no {SECRET}",
            attempts=1,
            time="2026-01-01T00:00:00+00:00",
            label=Clearance.INTERNAL,
            headers={CORRELATION_HEADER: run, PRINCIPAL_HEADER: "ann"},
        )
        await self.world.broker.letters.put(self.letter)

    async def raise_it(self) -> None:
        [item] = (await self._got(ROOT, "POST", "/v1/knowledge/search", {"query": QUESTION}))["hits"]
        await self._got(ROOT, "PUT", f"/v1/knowledge/{item['id']}", {**ITEM, "confidentiality": "restricted"})

    async def read(self, reader: Reader) -> dict[str, bytes]:
        return {name: (await self.world.ask(reader, "GET", path)).body for name, path in self.exits.items()}

    async def _got(self, reader: Reader, method: str, path: str, body: object) -> Any:
        response = await self.world.ask(reader, method, path, body)
        assert response.status < 300, response
        return response.json()


SAYING = ("events", "journals", "turns", "analyses", "analysis", "completion")


def test_others_runs_are_as_confidential_as_what_they_rest_on_is_now() -> None:
    async def scenario() -> None:
        async with World() as world:
            asked = Asked(world)
            await asked.ask()
            before = await asked.read(BEN)
            own = await asked.read(ANN)
            assert [name for name in SAYING if SECRET.encode() not in before[name]] == []
            await asked.raise_it()
            withheld = await asked.read(BEN)
            assert [name for name, body in withheld.items() if SECRET.encode() in body or body == before[name]] == []
            assert [name for name in ("run", "trace", "usage", "analysis") if b"404" not in withheld[name]] == []
            told = await asked.read(ANN)
            assert {name: told[name] for name in SAYING} == {name: own[name] for name in SAYING}
            cleared = await asked.read(ROOT)
            assert [name for name in SAYING if SECRET.encode() not in cleared[name]] == []
            shown = msgspec.json.decode(cleared["journals"])["events"]
            assert {event["label"] for event in shown} == {"restricted"}

    asyncio.run(scenario())


@pytest.mark.parametrize("down", [False, True])
def test_so_are_dead_letters_and_while_nobody_can_say_they_are_withheld(down: bool) -> None:
    async def scenario() -> None:
        async with World() as world:
            asked = Asked(world)
            await asked.ask()
            paths = ("/v1/dead-letters", "/v1/dead-letters/letter", f"/v1/dead-letters?reason={SECRET}")
            before = [(await world.ask(BEN, "GET", path)).body for path in paths]
            assert all(f"no {SECRET}".encode() in body for body in before)
            await world.broker.letters.put(replace(asked.letter, id="outside", headers={}))
            if down:
                world.folded.down = True
            else:
                await asked.raise_it()
            after = [(await world.ask(BEN, "GET", path)).body for path in paths]
            assert [body.count(f"no {SECRET}".encode()) for body in after] == [1, 0, 1]
            assert b'"withheld":true' in after[1]

    asyncio.run(scenario())
