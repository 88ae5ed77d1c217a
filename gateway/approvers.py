"""Those whom a question names to approve its tools: whether they are users here, and cleared for what they would have to see."""

from collections.abc import Sequence

import msgspec

from contracts import subjects
from contracts.approval import ApprovalRule
from contracts.catalogue import tag
from contracts.domains import Clearance, Domain
from contracts.subjects import ActorRef, actor_ref
from contracts.users import UserCreated
from gateway.problems import ValidationProblemError
from gateway.services import Services

USER = "user"


async def user_of(services: Services, username: str) -> UserCreated | None:
    try:
        actor = actor_ref(Domain.SYSTEM, USER, username)
    except ValueError:
        actor = ActorRef(Domain.SYSTEM, USER, "-")  # Nobody's: an impossible name takes as long as an unknown one.
    for stored in await services.log.read(subjects.log(actor)):
        if stored.record.envelope.type == tag(UserCreated):
            return msgspec.json.decode(stored.record.body, type=UserCreated)
    return None


async def strangers(services: Services, rule: ApprovalRule | None, label: Clearance) -> tuple[str, ...]:
    """A note about each approver who is no user here: people come with tokens alone, too, so he may exist.

    Raises ValidationProblemError naming a user who is not cleared for the run: it would wait for who may not see it.
    """
    notes: list[str] = []
    for name in _named(rule):
        user = await user_of(services, name)
        if user is None:
            notes.append(f"approver {name} is no user here: only a token in that name can grant")
        elif user.clearance < label:
            told = f"{name} is not cleared for what is {label.value}: he would not see what he is to approve"
            raise ValidationProblemError("$.approval.approvers", told)
    return tuple(notes)


def _named(rule: ApprovalRule | None) -> Sequence[str]:
    return () if rule is None else tuple(dict.fromkeys(rule.approvers))
