"""Approving: around one effect that people must agree to. It runs as they saw it, or it does not run."""

import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import msgspec
from msgspec import Struct

from contracts import subjects
from contracts.approval import (
    APPROVAL,
    ARGUMENTS_BYTES_MAX,
    Action,
    ApprovalRule,
    Policy,
    RequestApproval,
    UseApproval,
    Verdict,
    VoidApproval,
    WithdrawApproval,
)
from contracts.domains import Domain
from contracts.envelope import Message, Record
from contracts.ids import derived_id
from contracts.kernel import EffectRecorded
from contracts.subjects import ActorRef
from runtime.asking import address
from runtime.errors import OutcomeError, UnapprovedError
from runtime.run import Run, raw
from runtime.telemetry import SPAN_EFFECT

S = TypeVar("S", bound=Struct)
GRACE_S = 30.0
"""How much longer than the approval its effect waits: that its time is over is for the approval to say, while it can."""

DUE, ASKED, CLAIMED = "approval due", "approval", "approval claim"
"""The three effects that come before what is approved."""

_DIFFERS = "what was to run is not what was approved"


def policy_for(
    tool: str, operators: Sequence[ApprovalRule], asked: ApprovalRule | None, *, flagged: bool = False
) -> Policy | None:
    """Under which policy a tool runs; None: it needs no approval. `flagged`: the tool itself wants one.

    Who may decide is the operator's to say, in the first rule of his that names the tool; then a request can only ask for more:
    a larger quorum, less time, no delegation. Where only the request wants it, it says all.
    """
    demanded = next((rule.policy for rule in operators if rule.names(tool)), Policy() if flagged else None)
    wanted = asked.policy if asked is not None and asked.names(tool) else None
    if demanded is None or wanted is None:
        return demanded or wanted
    return msgspec.structs.replace(
        demanded,
        quorum=max(demanded.quorum, wanted.quorum),
        expires_s=min(demanded.expires_s, wanted.expires_s),
        self_approval=demanded.self_approval and wanted.self_approval,
        delegation=demanded.delegation and wanted.delegation,
    )


def approval_s(operators: Sequence[ApprovalRule], asked: ApprovalRule | None) -> int:
    """How long one of these rules may keep another domain from answering."""
    return max((rule.expires_s for rule in (*operators, asked) if rule is not None), default=0)


def gate(run: Run, name: str, arguments: object, policy: Policy | None) -> "Gate | None":
    """What stands before the effect that begins next; None: nothing. A run that has begun goes on as its journal says."""
    before = run.next_recorded()
    if before == name or (policy is None and before != DUE):
        return None
    return Gate(run, name, arguments, policy or Policy())


class Gate:
    """Asks for the approval of the effect that begins right after it, before any await; waits; and looks once more at the end.

    The journal keeps neither of the three under their arguments: a run that comes to other ones finds what was approved, sees the
    difference, and voids it.
    """

    def __init__(self, run: Run, name: str, arguments: object, policy: Policy) -> None:
        self._run = run
        self._due = run.begin(DUE, None)
        self._asked = run.begin(ASKED, None)
        self._claimed = run.begin(CLAIMED, None)
        self._policy = policy
        self._id = derived_id(run.cause.id, ASKED, self._asked[0])
        self._ref = ActorRef(Domain.SYSTEM, APPROVAL, self._id)
        self._action = self._acting(name, arguments)

    def _acting(self, name: str, arguments: object) -> Action:
        cause = self._run.cause
        return Action(
            name=name,
            arguments=msgspec.Raw(msgspec.json.encode(arguments, order="deterministic")),
            policy=self._policy,
            domain=self._run.actor.domain,
            actor=f"{self._run.actor.kind}/{self._run.actor.id}",
            principal=cause.principal,
            causation=cause.id,
            correlation=cause.correlation,
            effect=self._claimed[0] + 1,
        )

    async def passed(self) -> None:
        """Return when people have agreed and the approval is spent on this effect.

        Raises UnapprovedError when it may not run, OutcomeError when the run was stopped.
        """
        run, action = self._run, self._action
        if len(memoryview(action.arguments)) > ARGUMENTS_BYTES_MAX:
            raise UnapprovedError(
                f"{action.name} needs an approval, and nobody can read so much: its arguments have more than "
                f"{ARGUMENTS_BYTES_MAX} bytes"
            )
        expires = await run.perform_begun(self._due, DUE, datetime, self._expiry)
        request = RequestApproval(
            id=self._id, action=action, expires=expires, label=run.label, waiter=self._waiter(self._asked, ASKED)
        )
        try:
            verdict = await self._verdict(self._asked, ASKED, request, expires)
            if verdict.status != "granted":
                raise UnapprovedError(_said(action.name, verdict))
            now = run.outside.clock()
            use = UseApproval(digest=action.digest, at=now, waiter=self._waiter(self._claimed, CLAIMED))
            verdict = await self._verdict(self._claimed, CLAIMED, use, expires)
        except UnapprovedError:
            raise
        except OutcomeError as stopped:
            await self._post(WithdrawApproval(by=run.cause.principal, reason=str(stopped)), "withdrawn")
            raise
        if verdict.status != "used":
            raise UnapprovedError(_said(action.name, verdict))

    async def confirm(self, name: str, arguments: S) -> S:
        """Right before it runs: what is handed over to run, made of the very bytes that were looked at.

        Raises UnapprovedError, and the approval is void, when that is not what was approved.
        """
        approved = self._run.journaled(self._claimed[0], Verdict).digest
        running = self._acting(name, arguments)
        if not hmac.compare_digest(approved, running.digest):
            await self._post(VoidApproval(running=running.digest, reason=_DIFFERS), "voided")
            raise UnapprovedError(f"{name} did not run: {_DIFFERS} ({self._id})")
        return msgspec.json.decode(running.arguments, type=type(arguments))

    async def _expiry(self, _: str) -> datetime:
        return self._run.outside.clock() + timedelta(seconds=self._policy.expires_s)

    async def _verdict(self, begun: tuple[int, str], name: str, message: Message, expires: datetime) -> Verdict:
        """What the approval answers, or that it is over when it does not in time."""
        run, (number, digest) = self._run, begun
        if number not in run.journal.entries:
            attributes: dict[str, str | int | float | bool] = {"effect": name, "number": number, "approval": self._id}
            with (
                run.waiting.doing(),
                run.outside.telemetry.span(f"{SPAN_EFFECT} {name}", parent=run.traceparent, attributes=attributes),
            ):
                if run.stopped() is None:
                    await self._post(message, name)
                over = Verdict(approval=self._id, status="expired", digest=self._action.digest)
                until = expires + timedelta(seconds=GRACE_S)
                until = min(until, run.cause.deadline or until)
                otherwise = EffectRecorded(effect=number, name=name, arguments=digest, result=raw(over))
                await run.until_recorded(until, otherwise, run.traceparent)
        return run.recorded(number, name, digest, Verdict)

    def _waiter(self, begun: tuple[int, str], name: str) -> str:
        return address(self._run, *begun, name)

    async def _post(self, message: Message, part: str) -> None:
        """To the approval, under an id that follows from the run: a repeat is harmless."""
        run = self._run
        identity = derived_id(run.cause.id, part, self._asked[0])
        envelope = run.envelope(message, Domain.SYSTEM, identity, run.traceparent)
        await run.outside.queue.publish(subjects.inbox(self._ref), Record(envelope, msgspec.json.encode(message)))


def _said(name: str, verdict: Verdict) -> str:
    why = f" ({verdict.reason})" if verdict.reason else ""
    return f"{name} did not run: its approval {verdict.approval} is {verdict.status}{why}"
