"""Good clients: they send every command with an Idempotency-Key and repeat it until they are told how it ended."""

import asyncio
import random
import time
from typing import Any

import httpx
import msgspec
from msgspec import Struct

from chaos.journal import NOTHING, Clock, Journal, Kind, Told
from contracts.ids import keyed_id
from gateway.execution import IDEMPOTENCY_KEY

ATTEMPT_S_MAX = 20.0
CONNECT_S_MAX = 3.0
WAIT_S = 8
RETRY_S_MIN = 0.1
RETRY_S_MAX = 2.0
TRIES_MAX = 200
LATER = frozenset({NOTHING, 429, 500, 503, 504})
"""Answers after which the same is asked for again."""

ASYNC = "respond-async"
PATIENT = f"wait={WAIT_S}"
FOLLOW_UPS_MAX = 12
"""How often somebody who was told 202 asks again with the same key."""

QUESTIONS = (
    "Which customers are at risk of leaving, and why?",
    "What does the customer portal cost us, and is a rebuild feasible?",
    "How do our prices compare with the market?",
    "Where does the import system spend its time?",
    "Which security findings matter for revenue?",
    "What would the migration of the billing platform need?",
)
ABOUT = ("renewals", "the portal", "pricing", "hiring", "the billing platform", "competitors", "support", "partners")


class Command(Struct, frozen=True):
    """One thing to be done, once, however often it is asked for."""

    kind: Kind
    method: str
    path: str
    key: str
    sent: Any = None


class Caller:
    """One person over HTTP. Every attempt is journaled with its answer."""

    def __init__(self, name: str, http: httpx.AsyncClient, journal: Journal, clock: Clock) -> None:
        self.name = name
        self.clock = clock
        self._http = http
        self._journal = journal
        self._keys = 0

    def command(self, kind: Kind, method: str, path: str, sent: Any = None) -> Command:
        self._keys += 1
        return Command(kind, method, path, f"{self.name}-{self._keys}", sent)

    async def ask_for(self, command: Command, prefer: str = PATIENT) -> Told | None:
        """Its first answer that is no "later"; None when time was up before."""
        for attempt in range(1, TRIES_MAX + 1):
            told = self._journal.note(await self._attempt(command, attempt, prefer))
            if told.status not in LATER:
                return told
            if self.clock.over:
                return None
            await asyncio.sleep(min(RETRY_S_MAX, RETRY_S_MIN * 2 ** min(attempt, 10)))
        return None

    async def follow(self, command: Command, told: Told | None) -> Told | None:
        """Of what was only accepted so far: the end, asked for with the same key."""
        for _ in range(FOLLOW_UPS_MAX):
            if told is None or told.status != 202 or self.clock.over:
                break
            told = await self.ask_for(command)
        return told

    async def _attempt(self, command: Command, attempt: int, prefer: str) -> Told:
        status, body, note, after = NOTHING, None, "", time.time()
        headers = {IDEMPOTENCY_KEY: command.key, "Prefer": prefer}
        try:
            async with asyncio.timeout(ATTEMPT_S_MAX):
                content = msgspec.json.encode(command.sent) if command.sent is not None else None
                response = await self._http.request(command.method, command.path, content=content, headers=headers)
            status = response.status_code
            body = msgspec.json.decode(response.content) if response.content else None
        except (httpx.HTTPError, TimeoutError, msgspec.DecodeError) as error:
            status, note = NOTHING, type(error).__name__
        return Told(
            id=keyed_id(self.name, command.method, command.path, command.key),
            kind=command.kind,
            client=self.name,
            path=command.path,
            attempt=attempt,
            status=status,
            after=after,
            at=time.time(),
            sent=command.sent,
            body=body,
            note=note,
        )


def http_client(url: str, token: str) -> httpx.AsyncClient:
    """A client for one person, to be used as a context manager."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    timeout = httpx.Timeout(ATTEMPT_S_MAX, connect=CONNECT_S_MAX)
    return httpx.AsyncClient(base_url=url, headers=headers, timeout=timeout)


async def asker(caller: Caller, dice: random.Random) -> None:
    """Questions to both domains, alone and in sessions, and a comprehensive analysis now and then."""
    while not caller.clock.stopping:
        choice = dice.random()
        if choice < 0.4:
            await _single(caller, dice)
        elif choice < 0.9:
            await _session(caller, dice)
        else:
            await _analysis(caller, dice)
        await asyncio.sleep(dice.uniform(0.05, 0.4))


async def _single(caller: Caller, dice: random.Random) -> None:
    command = caller.command("ask", "POST", f"/v1/{dice.choice(('sophia', 'artemis'))}/ask", _question(dice))
    told = await caller.ask_for(command, dice.choice((PATIENT, PATIENT, ASYNC)))
    if dice.random() < 0.7:  # The others rely on what they were promised.
        await caller.follow(command, told)


async def _session(caller: Caller, dice: random.Random) -> None:
    sent = {"domain": dice.choice(("sophia", "artemis")), "title": f"About {dice.choice(ABOUT)}"}
    begin = caller.command("session", "POST", "/v1/sessions", sent)
    begun = await caller.follow(begin, await caller.ask_for(begin))
    if begun is None or begun.status != 201:
        return
    path = f"/v1/sessions/{begun.body['id']}"
    for _ in range(dice.randint(1, 3)):
        command = caller.command("ask", "POST", f"{path}/messages", _question(dice))
        told = await caller.follow(command, await caller.ask_for(command, dice.choice((PATIENT, ASYNC))))
        if told is None or told.status == 202 or caller.clock.stopping:
            return  # A session takes one question at a time.
    if dice.random() < 0.6:
        end = caller.command("end_session", "DELETE", path)
        await caller.follow(end, await caller.ask_for(end))


async def _analysis(caller: Caller, dice: random.Random) -> None:
    about = dice.choice(ABOUT)
    sent = {"subject": f"Chaos and {about}", "question": f"Should we change {about} ({dice.getrandbits(32):08x})?"}
    command = caller.command("analysis", "POST", "/v1/analyses", sent)
    told = await caller.ask_for(command, ASYNC)
    if dice.random() < 0.6:
        await caller.follow(command, told)


def _question(dice: random.Random) -> dict[str, Any]:
    question = f"{dice.choice(QUESTIONS)} (case {dice.getrandbits(32):08x})"
    return {"question": question, "collaborate": dice.choice((None, True, False)), "priority": dice.randint(1, 5)}


async def curator(caller: Caller, dice: random.Random) -> None:
    """Knowledge items and facts: added, replaced, deleted, each by one hand, so that what is right is known."""
    items: list[str] = []
    while not caller.clock.stopping:
        choice = dice.random()
        if choice < 0.4 or not items:
            add = caller.command("add", "POST", "/v1/knowledge", _knowledge(dice))
            added = await caller.follow(add, await caller.ask_for(add))
            if added is not None and added.status == 201:
                items.append(added.body["id"])
        elif choice < 0.8:
            item = dice.choice(items)
            kind: Kind = "update" if choice < 0.6 else "delete"
            sent = _knowledge(dice) if kind == "update" else None
            change = caller.command(kind, "PUT" if sent else "DELETE", f"/v1/knowledge/{item}", sent)
            told = await caller.follow(change, await caller.ask_for(change))
            if kind == "delete" or told is None or told.status == 202:
                items.remove(item)
        else:
            path = f"/v1/events/ceo/signal/alert-{dice.randint(1, 5)}"
            fact = caller.command("fact", "POST", path, _alert(dice))
            await caller.follow(fact, await caller.ask_for(fact))
        await asyncio.sleep(dice.uniform(0.05, 0.4))


def _knowledge(dice: random.Random) -> dict[str, Any]:
    about, mark = dice.choice(ABOUT), f"{dice.getrandbits(48):012x}"
    return {
        "title": f"Note {mark} on {about}",
        "content": f"In case {mark}, {about} changed by {dice.randint(1, 99)} per cent in week {dice.randint(1, 52)}.",
        "category": "operational_metrics",
        "confidentiality": "internal",
        "strategic_priority": dice.randint(1, 10),
    }


def _alert(dice: random.Random) -> dict[str, Any]:
    mark = f"{dice.getrandbits(48):012x}"
    text = f"Alert {mark}: {dice.choice(ABOUT)} needs a decision in {dice.randint(1, 30)} days."
    return {
        "type": "strategic_alert.v1",
        "title": f"Alert {mark}",
        "text": text,
        "origin": "chaos",
        "alert_priority": dice.randint(1, 10),
    }
