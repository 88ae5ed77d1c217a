"""What is frozen of approvals."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from actors.system.approval import approval
from contracts.analysis import AnalysisStarted
from contracts.approval import (
    DECIDE,
    Action,
    ApprovalRule,
    Decider,
    DelegateApproval,
    DenyApproval,
    ExpireApproval,
    GrantApproval,
    Policy,
    RequestApproval,
    RevokeApproval,
    UseApproval,
    VoidApproval,
    WithdrawApproval,
)
from contracts.collaboration import Request, Requested
from contracts.conversation import Asked
from contracts.domains import Clearance, Domain
from contracts.envelope import Event, Message
from runtime.actor import AnyActor

START = datetime(2026, 11, 29, 22, 30, tzinfo=UTC)
ASKED = RequestApproval(
    id="01999999-0000-7000-8000-00000000000a",
    action=Action(
        name="tool client_analysis",
        arguments=msgspec.Raw(b'{"table":"0f","question":"Who \\"leaves\\"?","limits":[1,2.5]}'),
        policy=Policy(quorum=2, approvers=("bob",), roles=("approver",), expires_s=3_600),
        domain=Domain.SOPHIA,
        actor="conversation/sophia-1",
        principal="Zoë",
        causation="01999999-0000-7000-8000-000000000001",
        correlation="01999999-0000-7000-8000-000000000002",
        effect=4,
    ),
    expires=START + timedelta(hours=1),
    label=Clearance.RESTRICTED,
    waiter="sophia/conversation/sophia-1/01999999-0000-7000-8000-000000000001/7/2/ab/approval",
)
DIGEST = ASKED.action.digest
DECIDER = Decider(roles=("approver",), permissions=(DECIDE,), clearance=Clearance.TOP_SECRET, at=START)
OUTSIDER = Decider(roles=("sophia_user",), permissions=(), clearance=Clearance.TOP_SECRET, at=START)
RULE = ApprovalRule(tools=("client_analysis",), quorum=2, approvers=("bob", "cleo"), delegation=False)
REQUEST = Request(request_type="technical_feasibility_analysis", question="Is a portal feasible?")

HISTORIES: dict[str, tuple[AnyActor, Domain, Sequence[Message | Event]]] = {
    "approval.used": (
        approval,
        Domain.SYSTEM,
        [
            GrantApproval(by="bob", digest=DIGEST, decider=DECIDER),
            ASKED,
            ASKED,
            GrantApproval(by="bob", digest="0" * 64, decider=DECIDER),
            DelegateApproval(by="bob", to="eve", until=START + timedelta(minutes=5), decider=DECIDER),
            GrantApproval(by="eve", digest=DIGEST, decider=OUTSIDER),
            RevokeApproval(by="eve", decider=OUTSIDER),
            GrantApproval(by="eve", digest=DIGEST, decider=OUTSIDER),
            GrantApproval(by="cleo", digest=DIGEST, decider=DECIDER),
            UseApproval(digest=DIGEST, at=START, waiter=f"{ASKED.waiter} claim"),
            VoidApproval(running="1" * 64, reason="the arguments differ"),
        ],
    ),
    "approval.denied": (
        approval,
        Domain.SYSTEM,
        [ASKED, DenyApproval(by="bob", reason='too "broad"\n漢字', decider=DECIDER), ExpireApproval()],
    ),
    "approval.expired": (approval, Domain.SYSTEM, [ASKED, ExpireApproval()]),
    "approval.withdrawn": (approval, Domain.SYSTEM, [ASKED, WithdrawApproval(by="Zoë", reason="not wanted")]),
}

EVENTS: dict[str, Event | bytes] = {
    "conversation.asked.v1.approval": Asked(turn="t1", by="Zoë", text="Why?", approval=RULE),
    "collaboration.requested.v1.approval": Requested(asker=Domain.SOPHIA, request=REQUEST, approval=RULE),
    "analysis.started.v1.approval": AnalysisStarted(by="Zoë", subject="Portal", question="Shall we?", approval=RULE),
}
