"""Effects: everything a reaction does outside, journaled before its result is used.

Effects are numbered in the order they are begun: await them one after the other, or begin several at once with
`asyncio.gather` over effects only.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TypeVar, cast

import msgspec
from msgspec import Struct

from contracts.approval import ApprovalRule
from contracts.chat import ChatReply, ChatRequest, Delta, Written
from contracts.collaboration import COLLABORATION, Collaborate, InTime, Outcome, Request
from contracts.domains import Clearance, Domain, Partition
from contracts.envelope import Message, Record
from contracts.ids import derived_id, new_id
from contracts.kernel import EffectRecorded
from contracts.model import Allowance, Prompt, Reply, Usage
from contracts.retrieval import Entry
from contracts.subjects import ActorRef
from runtime.approving import approval_s, gate, policy_for
from runtime.asking import ASK, Requesting, dependency, expired, resolution, send
from runtime.errors import AllowanceError, ForbiddenToolError, OpenCircuitError, OutcomeError
from runtime.model_ports import Call
from runtime.ports import Tool
from runtime.reading import Reads
from runtime.run import Run, encoded, raw
from runtime.schedule import When
from runtime.telemetry import SPAN_EFFECT
from runtime.writing import Writing

T = TypeVar("T")


class Effects(Reads):
    """What a reaction may do. What it may read is said in `Reads`.

    Every effect raises OutcomeError once the run was cancelled or its deadline has passed; `tell`, `index` and `remove` still
    work.
    """

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._budget: Allowance | None = None
        self._approval: ApprovalRule | None = None

    @property
    def asked_at(self) -> datetime:
        """When what is reacted to was recorded: the same whenever the reaction runs."""
        return self._cause.time

    @property
    def spent(self) -> Usage:
        """What models have cost so far, in this reaction and in those of the domains that it asked."""
        return self._run.spent

    def allow(self, budget: Allowance | None) -> None:
        """Spend no more than this on models from here on, what was `spent` before counted; None: as much as it takes.

        It holds for calls one after the other; those that are begun at once each may use what is left then.
        """
        self._budget = budget

    def may(self, tool: Tool) -> bool:
        """Whether the asker may have the tool run."""
        return self._permits(tool.permission)

    def require(self, approval: ApprovalRule | None) -> None:
        """From here on people must agree to the tools that it names, here and in the domains that are asked."""
        self._approval = approval

    @property
    def tools(self) -> tuple[Tool, ...]:
        """The domain's tools that the asker may have run."""
        return tuple(tool for tool in self._outside.tools.values() if self.may(tool))

    async def caller(self) -> str:
        """The model that calls tools, for `converse`; empty: there is none."""
        return await self._run.perform("caller", None, str, lambda _: _soon(self._outside.caller))

    async def now(self) -> datetime:
        return await self._run.perform("now", None, datetime, lambda _: _soon(self._outside.clock()))

    async def new_id(self) -> str:
        return await self._run.perform("new_id", None, str, lambda _: _soon(new_id()))

    async def index(self, partition: Partition, entry: Entry) -> None:
        """Make an entry findable; one with the same id is replaced."""
        await self._run.perform(
            "index",
            [partition, entry],
            type(None),
            lambda _: self._outside.retrieval.index(partition, [entry], version=self._run.sequence),
            lambda _: entry.label,
            "retrieval",
        )

    async def remove(self, partition: Partition, entry: str) -> None:
        """Forget an entry."""
        await self._run.perform(
            "remove",
            [partition, entry],
            type(None),
            lambda _: self._outside.retrieval.remove(partition, [entry], version=self._run.sequence),
            guard="retrieval",
        )

    async def chat(self, prompt: Prompt) -> Reply:
        """The model's answer; the prompt is kept as the blob its digest names. Raises OutcomeError for an unusable answer.

        While the model writes, what it writes is announced (`contracts.chat.Written`).
        """
        label = max((item.label for item in prompt.evidence), default=Clearance.PUBLIC)
        begun = self._run.begin("chat", prompt)

        left = self._left()

        async def complete(key: str) -> Reply:
            async with self._calling("chat", prompt, begun[0], label) as writing:
                return await self._outside.model.complete(prompt, Call(key, writing, left))

        return await self._run.perform_begun(begun, "chat", Reply, complete, lambda _: label)

    async def converse(self, request: ChatRequest, *, label: Clearance = Clearance.PUBLIC) -> ChatReply:
        """What a model says in a chat of the caller's; `label` is that of all the request holds. Else as `chat`."""
        begun = self._run.begin("converse", request)
        left = self._left()

        async def converse(key: str) -> ChatReply:
            async with self._calling("converse", request, begun[0], label) as writing:
                return await self._outside.chats.chat(request, Call(key, writing, left))

        return await self._run.perform_begun(begun, "converse", ChatReply, converse, lambda _: label)

    def _left(self) -> Allowance | None:
        return None if self._budget is None else self._budget.less(self.spent)

    @asynccontextmanager
    async def _calling(self, name: str, arguments: Struct, number: int, label: Clearance) -> AsyncIterator[Writing]:
        """Around one call of a model: what it is asked is kept, what it writes announced, it ends in time and in the budget."""
        left = self._left()
        if left is not None and left.used_up:
            raise AllowanceError(self._overspent("nothing is left of it"))
        await self._outside.blobs.put(encoded(name, arguments))
        first = Written(
            run=self._cause.correlation,
            reaction=self._cause.id,
            effect=number,
            attempt=new_id(),
            number=0,
            label=max(self._run.label, label),
            delta=Delta(),
        )
        async with Writing(self._outside.announce, self._run.actor.domain, first) as writing:
            try:
                async with asyncio.timeout(self._outside.limits.model_s_max):
                    yield writing
            except AllowanceError as error:
                raise AllowanceError(self._overspent(str(error)), error.usage) from error

    def _overspent(self, why: str) -> str:
        budget, spent = self._budget or Allowance(), self.spent
        tokens = "" if budget.tokens is None else f"{budget.tokens} tokens, of which {spent.tokens} were used"
        cost = (
            ""
            if budget.cost_micros is None
            else f"{budget.cost_micros / 1e6:g}, of which {spent.cost_micros / 1e6:g} was spent"
        )
        return f"the run stops at its budget of {' and '.join(filter(None, (tokens, cost)))}: {why}"

    async def tool(self, name: str, arguments: Struct, returns: type[T]) -> T:
        """The result of a registered tool, run in a process of its own that gets the blobs `arguments` name and nothing else.

        Where it needs people's approval the run waits for that, for days if need be, at no cost. Raises OutcomeError when its
        input is unusable or it takes more than its limits, UnapprovedError when it may not run as it would.
        """
        tool, effect = self._outside.tools[name], f"tool {name}"
        policy = (
            policy_for(name, self._outside.approvals, self._approval, flagged=tool.approval) if self.may(tool) else None
        )
        approval = gate(self._run, effect, arguments, policy)
        begun = self._run.begin(effect, arguments)
        if approval is not None:
            await approval.passed()

        async def run(_: str) -> T:
            outside, handed = self._outside, arguments
            if not self.may(tool):
                raise ForbiddenToolError(
                    f"the tool {name} needs the permission {tool.permission}, which the asker lacks"
                )
            if not isinstance(handed, tool.arguments):
                raise OutcomeError(f"{name} takes {tool.arguments.__name__}, not {type(handed).__name__}")
            if approval is not None:
                handed = await approval.confirm(effect, handed)
            s_max = min(tool.limits.s_max, outside.limits.tool_s_max)
            return cast("T", await outside.tool_runner.run(tool, handed, outside.blobs.get, s_max))

        return await self._run.perform_begun(begun, effect, returns, run)

    async def ask(self, domain: Domain, request: Request) -> Outcome:
        """Ask another domain and wait for its typed outcome, however long; past `request.deadline` it is `expired`.

        The request carries what is left of the budget, and what the outcome says was used counts as spent. A domain that let
        several requests expire in a row is not asked for a while: then the outcome is `failed`.
        """
        run = self._run
        number, digest = run.begin(ASK, [domain, request])
        if number not in run.journal.entries:
            with (
                run.waiting.doing(),
                self._outside.telemetry.span(
                    f"{SPAN_EFFECT} ask",
                    parent=run.traceparent,
                    attributes={"effect": ASK, "number": number, "domain": domain.value},
                ) as span,
            ):
                try:
                    self._outside.guards.admit(dependency(domain))
                except OpenCircuitError as error:
                    closed = Outcome(status="failed", reason=str(error))
                    entry = EffectRecorded(effect=number, name=ASK, arguments=digest, result=raw(closed))
                    await run.record(entry, span.traceparent)
                else:
                    await self._asked((number, digest), domain, request, span.traceparent)
        outcome = run.recorded(number, ASK, digest, Outcome)
        run.label = max(run.label, outcome.label)
        run.spent += outcome.usage
        return outcome

    def asking(self, domain: Domain, request: Request) -> Requesting:
        """Ask another domain patiently: for as long as a person should wait, and then on, however long. Await `within` next."""
        return Requesting(self._run, domain, self._collaborate(request))

    def _collaborate(self, request: Request) -> Collaborate:
        return Collaborate(
            asker=self._run.actor.domain,
            request=request,
            budget=self._left(),
            approval=self._approval,
            grants=self._grants,
        )

    async def _asked(self, begun: tuple[int, str], domain: Domain, request: Request, traceparent: str | None) -> None:
        """Send the request and return when its outcome stands in the journal; an expired one is the domain's failure."""
        run, guards, named = self._run, self._outside.guards, dependency(domain)
        message = self._collaborate(request)
        number, digest = begun
        target = ActorRef(domain, COLLABORATION, derived_id(self._cause.id, ASK, number))
        try:
            await send(run, target, message, begun, traceparent)
            patience_s = approval_s(self._outside.approvals, self._approval)
            latest = self._cause.time + timedelta(seconds=self._outside.limits.ask_s_max + patience_s)
            until = min(request.deadline or latest, latest)
            await run.until_recorded(until, expired(domain, until, number, digest), run.traceparent)
            in_vain = run.recorded(number, ASK, digest, Outcome).status == "expired"
        except BaseException:
            guards.released(named)
            raise
        (guards.failed if in_vain else guards.succeeded)(named)

    async def sleep(self, duration: timedelta) -> None:
        """Wait, for milliseconds or for weeks: a long wait survives restarts and costs no memory."""
        run = self._run
        due = run.begin("due", duration)
        number, digest = run.begin("sleep", duration)  # Before the first await: what is begun beside it comes behind.
        until = await run.perform_begun(due, "due", datetime, lambda _: _soon(self._outside.clock() + duration))
        if number not in run.journal.entries:
            with run.waiting.doing():
                over = EffectRecorded(effect=number, name="sleep", arguments=digest, result=raw(None))
                await run.until_recorded(until, over, run.traceparent)
        run.recorded(number, "sleep", digest, type(None))

    async def schedule(self, name: str, message: Message, when: When, to: ActorRef | None = None) -> None:
        """Send a message later, once or again and again, under a name of this actor's (default: to itself).

        The same name replaces what it stood for. Raises OutcomeError for a time or name that cannot be.
        """
        run, target = self._run, to or self._run.actor

        async def set_(key: str) -> None:
            envelope = run.envelope(
                message, target.domain, derived_id(self._cause.id, "schedule", key), run.traceparent
            )
            await self._outside.timers.set(target, name, Record(envelope, msgspec.json.encode(message)), when)

        await run.perform("schedule", [name, message, when, str(target)], type(None), set_)

    async def unschedule(self, name: str, to: ActorRef | None = None) -> None:
        """Take back what `schedule` set; a name that stands for nothing is no error."""
        target = to or self._run.actor
        await self._run.perform(
            "unschedule", [name, str(target)], type(None), lambda _: self._outside.timers.cancel(target, name)
        )

    async def tell(self, message: Message, to: ActorRef | None = None) -> None:
        """Send a message to an actor (default: the one that reacts). Its id follows from the reaction: a repeat is harmless."""
        await self._run.send(message, to or self._run.actor)

    async def reply(self, outcome: Outcome) -> None:
        """Answer the effect that waits for this reaction's cause, if any does."""
        if self._cause.reply_to:
            await self.answer(self._cause.reply_to, outcome)

    async def answer(self, waiter: str, result: Struct) -> None:
        """Answer the effect that waits under this name."""
        await self.tell(*resolution(waiter, result))

    async def reply_in_part(self, to: str | None, outcome: Outcome, why: str) -> None:
        """Tell whoever waits for this reaction's outcome what there is of it, if he said where to."""
        if to:
            await self.tell(*resolution(to, InTime(why=why, outcome=outcome)))


async def _soon(value: T) -> T:
    return value
