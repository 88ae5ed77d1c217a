"""A world whose tool needs an approval, and the people who give it."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from actors.system.approval import approval
from adapters.memory_timers import MemoryTimers
from contracts import subjects
from contracts.approval import (
    ApprovalRequested,
    ApprovalRule,
    GrantApproval,
)
from contracts.catalogue import decode_event
from contracts.domains import Domain
from contracts.envelope import Event, Stored
from contracts.subjects import ActorRef
from runtime.actor import Actor, AnyActor, Recorded
from runtime.effects import Effects
from runtime.errors import OutcomeError
from runtime.ports import Tool
from tests.approvals import decider
from tests.kernel_world import COUNTER, LIMITS, Added, Note, Sum, World, decide, evolve

QUICKLY_PARKED = replace(LIMITS, park_after_s=0.01)
EVERY = ApprovalRule(quorum=1)


def run(body: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(body(), 20))


class Loose(Struct, frozen=True):
    """Arguments that somebody may still change."""

    notes: list[str]


class Doubling:
    """The tool `double` that remembers what it was run with."""

    def __init__(self, arguments: type[Struct] = Sum, *, flagged: bool = False) -> None:
        self.runs: list[int] = []
        self.tool = Tool(
            name="double",
            description="Twice as much",
            arguments=arguments,
            result=Sum,
            run=self._run,
            permission="sophia:read",
            approval=flagged,
        )

    def _run(self, arguments: Struct, _blobs: object) -> Struct:
        total = arguments.total if isinstance(arguments, Sum) else 0
        self.runs.append(total)
        return Sum(total=2 * total)


def acting(arguments: Callable[[], Sum], rule: ApprovalRule | None = EVERY) -> AnyActor:
    """An actor whose reaction runs the tool with what `arguments` says each time it is run."""

    async def react(recorded: Recorded[Added], effects: Effects) -> None:
        assert recorded.actor == COUNTER
        effects.grant(("sophia:read",))
        effects.require(rule)
        try:
            doubled = await effects.tool("double", arguments(), Sum)
        except OutcomeError as error:
            await effects.tell(Note(text=str(error)))
        else:
            await effects.tell(Note(text=f"{doubled.total}"))

    return Actor("counter", Sum(), decide, evolve, react)


class Acting(World):
    """A world with approvals whose clock can be put forward."""

    def __init__(self, actor: AnyActor, doubling: Doubling, operators: tuple[ApprovalRule, ...] = ()) -> None:
        super().__init__(actor, approval, limits=QUICKLY_PARKED)
        self.ahead = timedelta()
        self.timers = MemoryTimers(self.broker, clock=self.now)
        self.outside = replace(
            self.outside,
            tools={"double": doubling.tool},
            approvals=operators,
            clock=self.now,
            timers=self.timers,
        )

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    async def __aenter__(self) -> "Acting":
        await self.start(Domain.CEO, Domain.SYSTEM)
        return self

    async def asked(self) -> tuple[ActorRef, ApprovalRequested]:
        """The one approval that was asked for, once its expiry is set, and its waiter parked."""
        system = self.broker.logs[Domain.SYSTEM]
        while not (found := [one for one in await self._approvals() if isinstance(one[1], ApprovalRequested)]):
            await system.change(0.01)
        [(ref, event)] = found
        assert isinstance(event, ApprovalRequested)
        while len(self.timers._timers) < 2 or any(worker.reactor._running for worker in self.workers):
            await system.change(0.01)
        return ref, event

    async def _approvals(self) -> list[tuple[ActorRef, Event]]:
        return [
            (subjects.parse(one.subject).actor, decode_event(one.headers["Diarchy-Type"], one.body))
            for one in self.broker.logs[Domain.SYSTEM].messages
            if one.lane == "log"
        ]

    async def said(self) -> str:
        """What the reaction told at its end."""
        events = await self.events(at_least=2)
        return str(msgspec.json.decode(events[1].record.body)["text"])

    async def history(self, ref: ActorRef, at_least: int) -> list[Stored]:
        return await self.events(ref, at_least=at_least)

    async def grant(self, ref: ActorRef, digest: str, by: str = "bob") -> None:
        await self.send(GrantApproval(by=by, digest=digest, decider=decider(at=self.now())), ref, principal=by)


def types(records: list[Stored]) -> list[str]:
    return [one.record.envelope.type.removeprefix("approval.").removesuffix(".v1") for one in records]
