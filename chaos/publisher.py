"""A program outside that publishes facts to the broker and, now and then, something that nobody can understand."""

import asyncio
import contextlib
import random
import time

import msgspec
import nats
import nats.errors
from msgspec import Struct
from nats.aio.client import Client

from chaos.journal import NOTHING, Clock, Journal, Kind, Told
from contracts import subjects
from contracts.domains import Domain
from contracts.facts import SIGNAL
from contracts.ids import keyed_id
from contracts.subjects import ActorRef, Address
from deploy.settings import Settings

PUBLISH_S_MAX = 3.0
RETRY_S = 0.3
POISON_SHARE = 0.04
MESSAGE_ID = "Nats-Msg-Id"
TYPES = {Domain.SOPHIA: "market_research.v1", Domain.ARTEMIS: "system_monitoring.v1"}


class _Ack(Struct):
    stream: str = ""
    seq: int = 0
    duplicate: bool = False
    error: dict[str, object] | None = None


async def publisher(settings: Settings, name: str, journal: Journal, clock: Clock, dice: random.Random) -> None:
    """Publish until it is time to stop, each fact until it is acknowledged, with the same id."""
    client = await nats.connect(
        settings.nats.servers,
        user="publisher",
        password=settings.nats.publisher_password.reveal(),
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.2,
        ping_interval=5,
        error_cb=_ignored,
    )
    try:
        while not clock.stopping:
            domain = dice.choice(list(TYPES))
            poison = dice.random() < POISON_SHARE
            actor = ActorRef(domain, SIGNAL, f"{name}-{dice.randint(1, 20)}")
            mark = f"{dice.getrandbits(64):016x}"
            body = _poison(dice) if poison else _fact(domain, mark, dice)
            await _publish(
                client, journal, clock, _Outgoing(name, "poison" if poison else "published", actor, mark, body)
            )
            await asyncio.sleep(dice.uniform(0.05, 0.3))
    finally:
        with contextlib.suppress(nats.errors.Error, OSError):
            await client.close()


class _Outgoing(Struct, frozen=True):
    client: str
    kind: Kind
    actor: ActorRef
    mark: str
    body: bytes


async def _publish(client: Client, journal: Journal, clock: Clock, outgoing: _Outgoing) -> None:
    subject = subjects.publisher(outgoing.actor)
    stored = Address("pub", outgoing.actor).subject
    attempt = 0
    while not clock.over:
        attempt += 1
        status, ack, note, after = NOTHING, _Ack(), "", time.time()
        try:
            reply = await client.request(
                subject, outgoing.body, timeout=PUBLISH_S_MAX, headers={MESSAGE_ID: outgoing.mark}
            )
            ack = msgspec.json.decode(reply.data, type=_Ack)
            status = 503 if ack.error else 200
        except (nats.errors.Error, TimeoutError, OSError, msgspec.DecodeError) as error:
            note = type(error).__name__
        journal.note(
            Told(
                id=keyed_id(stored, outgoing.mark),
                kind=outgoing.kind,
                client=outgoing.client,
                path=stored,
                attempt=attempt,
                status=status,
                after=after,
                at=time.time(),
                sent=outgoing.body.decode(errors="replace"),
                body=msgspec.to_builtins(ack),
                note=note,
            )
        )
        if status == 200:
            return
        await asyncio.sleep(RETRY_S)


def _fact(domain: Domain, mark: str, dice: random.Random) -> bytes:
    text = f"Reading {mark} shows a change of {dice.randint(1, 99)} per cent since week {dice.randint(1, 52)}."
    return msgspec.json.encode({"type": TYPES[domain], "title": f"Reading {mark}", "text": text, "origin": "chaos"})


def _poison(dice: random.Random) -> bytes:
    """Not JSON, not a fact, a fact that lacks something, a fact for somebody else."""
    strategic = {"type": "strategic_alert.v1", "title": "t", "text": "t", "origin": "chaos", "alert_priority": 1}
    return dice.choice(
        (
            b"\xff not JSON",
            b'{"type": "nobody.knows.v1"}',
            b'{"type": "market_research.v1", "title": "No text"}',
            msgspec.json.encode(strategic),
        )
    )


async def _ignored(error: Exception) -> None:
    """Lost connections are what this is about: the journal has what came of each publish."""
