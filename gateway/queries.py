"""What each reading route answers: only what the asker may see, whoever asked for it to be made."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar, get_args
from uuid import UUID

from msgspec import UNSET
from msgspec.structs import replace

from contracts.analysis import AnalysisStarted
from contracts.conversation import Asked
from contracts.curating import (
    KnowledgeHit,
    KnowledgeHits,
    KnowledgeItem,
    KnowledgeLines,
    KnowledgeQuery,
    SearchKnowledge,
)
from contracts.domains import Clearance, Domain, Partition
from contracts.http import (
    Analyses,
    AnalysesQuery,
    Analysis,
    CancelRun,
    Check,
    Credentials,
    DetailedHealth,
    File,
    Health,
    Me,
    MessagesQuery,
    ModelUsage,
    Run,
    RunUsage,
    Session,
    Sessions,
    SessionsQuery,
    Token,
    Trace,
    Turn,
    Turns,
)
from contracts.knowledge import CANDIDATES_MAX, Rank, best_first
from contracts.model import Allowance, Usage
from contracts.raw_chat import ChatAsked
from contracts.retrieval import Hit, Query
from contracts.subjects import ActorRef, actor_ref
from gateway import untaken
from gateway.approvers import USER, user_of
from gateway.commands import READ, Incoming, budget_spent, event_of, having, may_read, require_partition
from gateway.conversing import ANALYSIS, session_ref
from gateway.events import visible
from gateway.identity import PERMISSIONS, TOKEN_LIFETIME_S, Principal
from gateway.problems import NotFoundError, UnauthenticatedError, ValidationProblemError
from gateway.services import CheckFunction, Services
from gateway.standing import Standing, standing

UNDER_WAY = frozenset({"pending", "partial", "running"})

T = TypeVar("T", Turn, Analysis)


# Who asks ------------------------------------------------------------------------------------------------------------


async def token(incoming: Incoming[Credentials]) -> Token:
    """A token for a right password. The wrong one, and an unknown user, take as long and are told the same."""
    services, given = incoming.services, incoming.body
    user = await user_of(services, given.username)
    if not await services.passwords.verify(user.password_hash if user else None, given.password) or user is None:
        raise UnauthenticatedError("the username or the password is wrong")
    principal = Principal(username=user.username, roles=user.roles, clearance=user.clearance)
    return Token(access_token=services.tokens.issue(principal, services.clock()), expires_in=TOKEN_LIFETIME_S)


async def me(incoming: Incoming[None]) -> Me:
    principal = incoming.principal
    held = tuple(permission for permission in PERMISSIONS if permission in principal.permissions)
    return Me(username=principal.username, roles=principal.roles, permissions=held, clearance=principal.clearance)


# Sessions and analyses -----------------------------------------------------------------------------------------------


async def sessions(incoming: Incoming[SessionsQuery]) -> Sessions:
    principal, query = incoming.principal, incoming.body
    wanted = [Domain(query.domain)] if query.domain else list(READ)
    for domain in wanted if query.domain else ():
        principal.require(READ[domain])
    domains = [domain for domain in wanted if principal.may(READ[domain])]
    return await incoming.services.reads.sessions(
        query, owner=_owner(principal), domains=domains, clearance=principal.clearance
    )


async def session(incoming: Incoming[None] | Incoming[MessagesQuery]) -> Session:
    """One session: his own (an administrator: any), else NotFoundError."""
    principal = incoming.principal
    actor = session_ref(incoming.path["session"])
    principal.require(READ[actor.domain])
    found = await incoming.services.reads.session(actor.id, clearance=principal.clearance)
    if found is None or not principal.owns(found.owner):
        raise NotFoundError("session")
    return found


async def turns(incoming: Incoming[MessagesQuery]) -> Turns:
    principal = incoming.principal
    try:
        found = await session(incoming)
    except NotFoundError:
        if (turn := await untaken.turn(incoming, session_ref(incoming.path["session"]))) is None:
            raise
        return Turns(turns=(turn,))
    page = await incoming.services.reads.turns(found.id, incoming.body, clearance=principal.clearance)
    now = await standing(incoming.services, principal, ((turn.by, turn.correlation_id) for turn in page.turns))
    seen = [turn for turn in page.turns if _may_see(principal, now, turn)]
    return replace(page, turns=await _waiting(incoming, seen))


async def _waiting(incoming: Incoming[Any], seen: Sequence[T]) -> tuple[T, ...]:
    """Those under way with the approvals that they wait for people to decide."""
    runs = [one.correlation_id for one in seen if one.status in UNDER_WAY and one.correlation_id]
    if not runs:
        return tuple(seen)
    awaited = await incoming.services.reads.awaited(runs, clearance=incoming.principal.clearance)
    return tuple(replace(one, approvals=awaited.get(one.correlation_id or "", ())) for one in seen)


def _may_see(principal: Principal, now: Standing, one: Turn | Analysis) -> bool:
    return now.label(one.by, one.correlation_id, Clearance.PUBLIC) <= principal.clearance


async def analyses(incoming: Incoming[AnalysesQuery]) -> Analyses:
    principal = incoming.principal
    reads = incoming.services.reads
    page = await reads.analyses(incoming.body, by=_owner(principal), clearance=principal.clearance)
    now = await standing(incoming.services, principal, ((one.by, one.correlation_id) for one in page.analyses))
    seen = [one for one in page.analyses if _may_see(principal, now, one)]
    return replace(page, analyses=await _waiting(incoming, seen))


async def analysis(incoming: Incoming[None]) -> Analysis:
    principal = incoming.principal
    identity = _token(incoming.path["analysis"], "analysis")
    found = await incoming.services.reads.analysis(identity, clearance=principal.clearance)
    if found is None and (asked := await untaken.analysis(incoming, ActorRef(Domain.SOPHIA, ANALYSIS, identity))):
        return asked
    if found is None or not principal.owns(found.by):
        raise NotFoundError("analysis")
    now = await standing(incoming.services, principal, [(found.by, found.correlation_id)])
    if not _may_see(principal, now, found):
        raise NotFoundError("analysis")
    [shown] = await _waiting(incoming, [found])
    return shown


def _owner(principal: Principal) -> str | None:
    """Whose things a list holds: one's own; an administrator sees everybody's."""
    return None if principal.may("system:admin") else principal.username


# Knowledge -----------------------------------------------------------------------------------------------------------


async def knowledge_item(incoming: Incoming[None]) -> KnowledgeItem:
    identity = _token(incoming.path["item"], "knowledge item")
    now, clearance = incoming.services.clock(), incoming.principal.clearance
    found = await incoming.services.reads.knowledge([identity], clearance=clearance, now=now)
    if not found or not may_read(incoming.principal, found[0].knowledge.partition):
        raise NotFoundError("knowledge item")
    return found[0]


async def knowledge_items(incoming: Incoming[KnowledgeQuery]) -> KnowledgeLines:
    principal, query = incoming.principal, incoming.body
    if query.partition:
        require_partition(principal, query.partition)
    wanted: tuple[Partition, ...] = (query.partition,) if query.partition else get_args(Partition)
    return await incoming.services.reads.knowledge_lines(
        query,
        partitions=[partition for partition in wanted if may_read(principal, partition)],
        clearance=principal.clearance,
        now=incoming.services.clock(),
    )


async def search_knowledge(incoming: Incoming[SearchKnowledge]) -> KnowledgeHits:
    """Twenty candidates by meaning and words, the best of them by strategic priority, then relevance (mission C2)."""
    wanted, now = incoming.body, incoming.services.clock()
    clearance = min(incoming.principal.clearance, wanted.confidentiality_max or incoming.principal.clearance)
    for partition in wanted.partitions:
        require_partition(incoming.principal, partition)
    hits = await incoming.services.retrieval.search(
        Query(
            partitions=having(wanted.partitions, wanted.fields or {}, "$.fields"),
            text=wanted.query,
            clearance=clearance,
            now=now,
            limit=max(CANDIDATES_MAX, wanted.limit),
            category=wanted.category,
            priority_min=wanted.priority_min,
            tags=wanted.tags or UNSET,
            updated_from=wanted.updated_from or UNSET,
            updated_to=wanted.updated_to or UNSET,
            fields=wanted.fields or UNSET,
        )
    )
    best = {hit.entry.id: hit for hit in sorted(hits, key=lambda hit: hit.relevance)}
    items = await incoming.services.reads.knowledge(list(best), clearance=clearance, now=now)
    found = [
        _hit(item, best[item.id])
        for item in items
        if _is_wanted(item, wanted)
        and item.knowledge.confidentiality <= clearance
        and may_read(incoming.principal, item.knowledge.partition)
    ]
    ordered = best_first(found, lambda hit: Rank(hit.knowledge.strategic_priority, hit.relevance, hit.id))
    return KnowledgeHits(hits=tuple(ordered[: wanted.limit]))


def _is_wanted(item: KnowledgeItem, wanted: SearchKnowledge) -> bool:
    """Whether the filters hold for the item as it is now: the index may be a moment behind."""
    said = item.knowledge
    return (
        said.strategic_priority >= wanted.priority_min
        and wanted.category in (None, said.category)
        and set(wanted.tags) <= set(said.tags)
        and (wanted.fields or {}).items() <= (said.fields or {}).items()
        and (wanted.updated_from is None or item.updated >= wanted.updated_from)
        and (wanted.updated_to is None or item.updated <= wanted.updated_to)
    )


def _hit(item: KnowledgeItem, hit: Hit) -> KnowledgeHit:
    """What matched is shown while the text is the one that was searched."""
    same = item.knowledge.content == hit.entry.text
    return KnowledgeHit(
        id=item.id,
        score=hit.score,
        relevance=hit.relevance,
        partition=hit.partition,
        knowledge=item.knowledge,
        passage=hit.passage if same else None,
        highlights=hit.highlights if same else (),
    )


async def store_file(incoming: Incoming[bytes]) -> File:
    """Keep the bytes under their SHA-256; the same bytes again change nothing."""
    if not incoming.body:
        raise ValidationProblemError("$", "the file is empty", status=400)
    digest = await incoming.services.blobs.put(incoming.body)
    return File(digest=digest, size_bytes=len(incoming.body), media_type=incoming.media_type)


# What happened -------------------------------------------------------------------------------------------------------


async def run(incoming: Incoming[None] | Incoming[CancelRun]) -> Run:
    """The visible events of a run. Raises NotFoundError when there is none, be it that it never was or is not his to see."""
    correlation = str(_uuid(incoming.path["correlation"]))
    events = await incoming.services.reads.run(correlation, clearance=incoming.principal.clearance)
    seen = await visible(incoming, events)
    if not seen:
        raise NotFoundError("run")
    return Run(correlation_id=correlation, events=seen)


async def usage(incoming: Incoming[None]) -> RunUsage:
    """What a run that the asker may see has spent on models. Raises NotFoundError as `run` does."""
    found = await run(incoming)
    spent = await incoming.services.reads.spent(found.correlation_id, clearance=incoming.principal.clearance)
    total = ModelUsage(
        calls=sum(one.calls for one in spent.values()),
        input_tokens=sum(one.input_tokens for one in spent.values()),
        output_tokens=sum(one.output_tokens for one in spent.values()),
        cost=round(sum(one.cost for one in spent.values()), 6),
        estimated=any(one.estimated for one in spent.values()),
    )
    used = Usage(total.input_tokens, total.output_tokens, round(total.cost * 1_000_000))
    return RunUsage(
        correlation_id=found.correlation_id,
        total=total,
        by_domain={domain.value: one for domain, one in spent.items()},
        budget=budget_spent(await _budget(incoming.services, found), used),
    )


async def _budget(services: Services, found: Run) -> Allowance | None:
    """What the run may spend, as the event says that began it."""
    for view in found.events:
        if view.causation == found.correlation_id and view.lane == "log":
            stored = await services.log.at(view.domain, view.sequence)
            event = event_of(stored) if stored else None
            if isinstance(event, Asked | ChatAsked | AnalysisStarted):
                return event.budget
    return None


async def trace(incoming: Incoming[None]) -> Trace:
    """The spans of a run that the asker may see from end to end: a span does not say how confidential it is."""
    await run(incoming)
    identity = _uuid(incoming.path["correlation"])
    label = await incoming.services.reads.label_of_run(str(identity))
    if label is None or label > incoming.principal.clearance:
        raise NotFoundError("run")
    spans = await incoming.services.spans.trace(identity.hex)
    return Trace(correlation_id=str(identity), trace_id=identity.hex, spans=tuple(spans))


async def health(_incoming: Incoming[None]) -> Health:
    return Health()


async def detailed_health(incoming: Incoming[None]) -> DetailedHealth:
    return await checked(incoming.services.checks, incoming.services.settings.check_timeout_s)


async def checked(named: Mapping[str, CheckFunction], timeout_s: float) -> DetailedHealth:
    """What every check says now, each within `timeout_s`."""
    checks = await asyncio.gather(*(_checked(name, check, timeout_s) for name, check in named.items()))
    well = sum(check.ok for check in checks)
    status: Literal["ok", "degraded", "down"] = "ok" if well == len(checks) else "degraded" if well else "down"
    return DetailedHealth(status=status, score=round(100 * well / len(checks)) if checks else 100, checks=tuple(checks))


async def _checked(name: str, check: CheckFunction, timeout_s: float) -> Check:
    started = time.perf_counter()
    ok, detail = True, ""
    try:
        async with asyncio.timeout(timeout_s):
            detail = await check()
    except TimeoutError:
        ok, detail = False, f"no answer within {timeout_s:g} s"
    except Exception as error:  # noqa: BLE001 - whatever a dependency raises is what this reports
        ok, detail = False, f"{type(error).__name__}: {error}"[:300]
    return Check(name=name, ok=ok, milliseconds=round((time.perf_counter() - started) * 1000, 1), detail=detail)


async def metrics(incoming: Incoming[None]) -> bytes:
    return await incoming.services.metrics()


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise NotFoundError("run") from error


def _token(text: str, what: str) -> str:
    try:
        return actor_ref(Domain.SYSTEM, USER, text).id
    except ValueError as error:
        raise NotFoundError(what) from error
