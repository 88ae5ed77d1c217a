"""Bad clients: they send as fast as they are answered, whatever the answer is, and never repeat anything."""

import asyncio
import random
import time
from collections import Counter
from typing import Any

import msgspec
from msgspec import Struct

from chaos.journal import NOTHING, Clock, Journal, Kind, Told
from contracts.ids import keyed_id

ANSWER_S_MAX = 30.0
RECONNECT_S = 0.2
REFUSED = (429, 503)
SAMPLES_MAX = 100_000
HEAD_BYTES_MAX = 16 << 10


class Answer(Struct, frozen=True):
    """What of an HTTP answer is looked at."""

    status: int
    retry_after: bool
    body: bytes


class Tally:
    """Counts of answers by status, how many refusals said when to come again, and a fair sample of refusals' seconds."""

    def __init__(self, seed: int) -> None:
        self.statuses: Counter[int] = Counter()
        self.refused = 0
        self.retry_after = 0
        self.refusal_s: list[float] = []
        self._dice = random.Random(seed)

    def note(self, answer: Answer, seconds: float) -> None:
        self.statuses[answer.status] += 1
        if answer.status not in REFUSED:
            return
        self.refused += 1
        self.retry_after += answer.retry_after
        if len(self.refusal_s) < SAMPLES_MAX:
            self.refusal_s.append(seconds)
        elif (place := self._dice.randrange(self.refused)) < SAMPLES_MAX:  # Vitter's algorithm R, 1985.
            self.refusal_s[place] = seconds


class Wire:
    """One HTTP/1.1 connection, kept open: a fraction of a library's cost, so that the load does not need the whole machine."""

    def __init__(self, address: tuple[str, int], token: str) -> None:
        self._address = address
        self._head = f"Host: diarchy\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, key: str, body: bytes) -> Answer:
        """Status NOTHING where the connection could not be made or broke."""
        head = f"POST {path} HTTP/1.1\r\n{self._head}Prefer: respond-async\r\nIdempotency-Key: {key}\r\n"
        try:
            async with asyncio.timeout(ANSWER_S_MAX):
                if self._streams is None:
                    self._streams = await asyncio.open_connection(*self._address, limit=HEAD_BYTES_MAX)
                reader, writer = self._streams
                writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
                return await _answer(reader)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            await self.close()
            return Answer(NOTHING, retry_after=False, body=b"")

    async def close(self) -> None:
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].close()


async def _answer(reader: asyncio.StreamReader) -> Answer:
    """Raises ValueError for what is no answer with a length."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Answer(int(first.split()[1]), retry_after="retry-after" in headers, body=body)


async def flooder(name: str, wire: Wire, tally: Tally, journal: Journal, clock: Clock) -> None:
    """Send until it is time to stop. What was accepted is journaled; of refusals there are too many."""
    dice = random.Random(name)
    number = 0
    while not clock.stopping:
        number += 1
        kind, path, sent = _wanted(dice)
        key, began, after = f"{name}-{number}", time.perf_counter(), time.time()
        answer = await wire.post(path, key, msgspec.json.encode(sent))
        tally.note(answer, time.perf_counter() - began)
        if answer.status == NOTHING:
            await asyncio.sleep(RECONNECT_S)
        if answer.status in REFUSED or answer.status == NOTHING:
            continue
        journal.note(
            Told(
                id=keyed_id(name.partition("/")[0], "POST", path, key),
                kind=kind,
                client=name,
                path=path,
                attempt=1,
                status=answer.status,
                after=after,
                at=time.time(),
                sent=sent,
                body=msgspec.json.decode(answer.body) if answer.body else None,
            )
        )
    await wire.close()


def _wanted(dice: random.Random) -> tuple[Kind, str, dict[str, Any]]:
    """Mostly facts, some knowledge, a few questions."""
    choice, mark = dice.random(), f"{dice.getrandbits(64):016x}"
    if choice < 0.1:
        return "ask", "/v1/sophia/ask", {"question": f"Who is at risk in case {mark}?", "collaborate": False}
    if choice < 0.3:
        knowledge = {
            "title": f"Note {mark}",
            "content": f"Case {mark} went up by {dice.randint(1, 99)} per cent.",
            "category": "operational_metrics",
            "confidentiality": "internal",
        }
        return "add", "/v1/knowledge", knowledge
    fact = {"type": "market_research.v1", "title": f"Reading {mark}", "text": f"Case {mark} moved.", "origin": "flood"}
    return "fact", f"/v1/events/sophia/signal/flood-{mark[:4]}", fact
