"""What agents remember of the asker: his own memories, and nobody else's, an administrator's least of all."""

from datetime import datetime
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from contracts import subjects
from contracts.domains import Clearance, Domain
from contracts.ids import derived_id
from contracts.memory import (
    ChangeMemory,
    ForgetMemory,
    Forgotten,
    Memories,
    MemoriesQuery,
    MemoryView,
    Remember,
    Remembered,
    Revised,
    ReviseMemory,
    SearchMemories,
    TeachMemory,
    memories_of,
)
from contracts.partitions import FieldValue
from contracts.retrieval import Query
from contracts.subjects import ActorRef
from gateway.commands import EXPIRES_YEAR_MAX, READ, WRITE, Incoming, event_of, label_of
from gateway.execution import Command, Ended
from gateway.heads import before_run
from gateway.identity import Principal
from gateway.problems import NotFoundError, ValidationProblemError
from gateway.services import Services

WHAT = "memory"


class _Held(Struct, frozen=True):
    """A memory as its log has it. What this request caused is behind `after`."""

    said: Remembered | Revised
    label: Clearance
    updated: datetime
    after: int


async def memories(incoming: Incoming[MemoriesQuery]) -> Memories:
    """The asker's own, of the agents that he may read."""
    principal, query = incoming.principal, incoming.body
    if query.agent:
        principal.require(READ[Domain(query.agent)])
    agents = [agent for agent in READ if query.agent in (None, agent.value) and principal.may(READ[agent])]
    return await incoming.services.reads.memories(
        query, owner=principal.username, agents=agents, clearance=principal.clearance, now=incoming.services.clock()
    )


async def search_memories(incoming: Incoming[SearchMemories]) -> Memories:
    """What the agent remembers that is nearest to the query, best first."""
    principal, wanted = incoming.principal, incoming.body
    agent = Domain(wanted.agent)
    principal.require(READ[agent])
    fields: dict[str, FieldValue] = {"agent": agent.value, **({"kind": wanted.kind} if wanted.kind else {})}
    hits = await incoming.services.retrieval.search(
        Query(
            partitions=("agent_memories",),
            text=wanted.query,
            clearance=principal.clearance,
            now=incoming.services.clock(),
            limit=wanted.limit,
            source=f"{agent.value}:{principal.username}",
            fields=fields,
        )
    )
    found = []
    for hit in hits:
        held = await _held(incoming.services, memories_of(agent, principal.username), hit.entry.id, principal)
        if held is not None:
            found.append(_view(agent, held, score=round(hit.score, 4)))
    return Memories(memories=tuple(found))


async def teach(incoming: Incoming[TeachMemory]) -> Command:
    principal, body = incoming.principal, incoming.body
    agent = Domain(body.agent)
    principal.require(WRITE[agent])
    now = incoming.services.clock()
    if body.expires is not None and not (now < body.expires and body.expires.year < EXPIRES_YEAR_MAX):
        raise ValidationProblemError("$.expires", f"must lie ahead, before the year {EXPIRES_YEAR_MAX}")
    identity = derived_id(incoming.id, WHAT)
    return Command(
        actor=memories_of(agent, principal.username),
        message=Remember(
            id=identity,
            owner=principal.username,
            kind=body.kind,
            title=body.title,
            text=body.text,
            at=now,
            expires=body.expires,
        ),
        label=label_of(principal, body.confidentiality),
        status_path=f"/v1/memories?agent={agent.value}",
    )


async def revise(incoming: Incoming[ChangeMemory]) -> Command:
    actor, identity, held = await _mine(incoming)
    return Command(
        actor=actor,
        message=ReviseMemory(id=identity, title=incoming.body.title, text=incoming.body.text),
        label=max(held.label, label_of(incoming.principal, incoming.body.confidentiality)),
        status_path=f"/v1/memories?agent={actor.domain.value}",
        after=held.after,
    )


async def forget(incoming: Incoming[None]) -> Command:
    actor, identity, held = await _mine(incoming)
    return Command(
        actor=actor,
        message=ForgetMemory(id=identity),
        label=held.label,
        status_path=f"/v1/runs/{incoming.id}",
        after=held.after,
    )


async def memory_reply(incoming: Incoming[Any], command: Command, ended: Ended) -> MemoryView:
    """The memory as it stands. Raises NotFoundError where it was forgotten since."""
    event = event_of(ended.ending)
    identity = event.id if isinstance(event, Remembered | Revised) else incoming.path.get("memory", "")
    held = await _held(incoming.services, command.actor, identity, incoming.principal)
    if held is None:
        raise NotFoundError(WHAT)
    return _view(command.actor.domain, held)


async def _mine(incoming: Incoming[Any]) -> tuple[ActorRef, str, _Held]:
    """The memory that the path names. Raises NotFoundError, also for one above the asker's clearance."""
    principal = incoming.principal
    agent = next((one for one in READ if one.value == incoming.path["agent"]), None)
    if agent is None:
        raise NotFoundError("agent")
    principal.require(WRITE[agent])
    actor, identity = memories_of(agent, principal.username), incoming.path["memory"]
    held = await _held(incoming.services, actor, identity, principal, run=incoming.id)
    if held is None:
        raise NotFoundError(WHAT)
    return actor, identity, held


async def _held(
    services: Services, actor: ActorRef, identity: str, principal: Principal, run: str | None = None
) -> _Held | None:
    """What is there and may be read; what `run` itself has forgotten is as it was before."""
    records = await services.log.read(subjects.log(actor))
    held: _Held | None = None
    for stored in records:
        envelope = stored.record.envelope
        event = event_of(stored)
        if isinstance(event, Remembered | Revised) and event.id == identity:
            label = max(envelope.label, held.label) if held else envelope.label
            held = _Held(event, label, envelope.time, after=0)
        elif isinstance(event, Forgotten) and event.id == identity and envelope.correlation != run:
            held = None
    if held is None or held.label > principal.clearance:
        return None
    if held.said.expires is not None and held.said.expires <= services.clock():
        return None
    after = before_run(records, run) if run is not None else 0
    return _Held(held.said, held.label, held.updated, after)


def _view(agent: Domain, held: _Held, score: float | UnsetType = UNSET) -> MemoryView:
    said = held.said
    return MemoryView(
        id=said.id,
        agent=agent,
        kind=said.kind,
        title=said.title,
        text=said.text,
        label=held.label,
        updated=held.updated,
        expires=said.expires,
        session=said.session,
        score=score,
    )
