"""Collaboration: one domain asks another for a named request type; the outcome is always typed."""

from datetime import datetime
from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from contracts.approval import ApprovalRule
from contracts.comparison import Comparison
from contracts.domains import Clearance, Domain
from contracts.envelope import Event, Message
from contracts.feasibility import Feasibility
from contracts.grounds import Grounds
from contracts.model import Allowance, Citation, Evidence, Usage
from contracts.sources import Source
from contracts.strategic import StrategicContext
from contracts.users import Grants

COLLABORATION = "collaboration"
"""The kind of the actors that other domains' reactions wait for."""

Status = Literal["completed", "failed", "refused", "unknown_request_type", "expired"]


class Request(Struct, frozen=True, kw_only=True):
    """What is asked: a registered request type, the question, its context as named texts, and until when.

    `needs_ceo_context` asks the handler to take the CEO's strategic context in; the CEO's own takes in the strategic summary, and
    is as confidential as what that quotes. Priority is 1 to 5, 5 most urgent. `sources`: stored files that the question is about;
    left out of the encoding where there are none, for journals are compared by it.
    """

    request_type: str
    question: str
    context: dict[str, str] = {}
    evidence: tuple[Evidence, ...] = ()
    priority: int = 3
    deadline: datetime | None = None
    needs_ceo_context: bool = False
    sources: tuple[Source, ...] | UnsetType = UNSET


class Missing(Struct, frozen=True, kw_only=True):
    """What an answer goes without so far: who was asked for what, and why there is nothing of it yet."""

    domain: Domain
    request_type: str
    why: str


class Outcome(Struct, frozen=True, kw_only=True):
    """How a collaboration ended. On `completed`: named sections, evidence, confidence 0 to 1, model, label; else `reason`.

    `usage` is what was spent on models, however it ended; `citations` are places in the sections that rest on its `evidence`.
    `comparisons`: what is asked beside what the strategy says; `strategic`: the answer with the CEO's context, where that was
    wanted; `grounds`: what the confidence was computed from. `missing` is what it goes without.
    """

    status: Status
    sections: dict[str, str] = {}
    evidence: tuple[Evidence, ...] = ()
    confidence: float = 0.0
    model: str = ""
    label: Clearance = Clearance.PUBLIC
    reason: str = ""
    usage: Usage = Usage()
    citations: tuple[Citation, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    missing: tuple[Missing, ...] = ()
    grounds: Grounds | None = None
    strategic: StrategicContext | None = None
    feasibility: Feasibility | None = None


class InTime(Struct, frozen=True, kw_only=True):
    """Whether a domain answered as long as it is waited for; if not, why, and the outcome as far as it goes, if it has one."""

    answered: bool = False
    why: str = ""
    outcome: Outcome | None = None


class Collaborate(Message, frozen=True, kw_only=True, tag="collaboration.request.v1"):
    """`budget` is what is left of the asking run's: what may be spent on models to answer; `grants` are the asking run's.

    So is `approval`: which tools people must agree to.
    `partly_to`: where an outcome that waits for a domain goes as far as it goes; the whole one follows as the answer.
    """

    asker: Domain
    request: Request
    budget: Allowance | None = None
    approval: ApprovalRule | None = None
    grants: Grants = None
    partly_to: str | None = None


class Conclude(Message, frozen=True, kw_only=True, tag="collaboration.conclude.v1"):
    """The handling reaction's conclusion, sent to the collaboration itself."""

    outcome: Outcome


class ConcludeInPart(Message, frozen=True, kw_only=True, tag="collaboration.conclude_in_part.v1"):
    """The handling reaction's conclusion as far as it goes: it waits for what is missing."""

    outcome: Outcome


class Requested(Event, frozen=True, kw_only=True, tag="collaboration.requested.v1"):
    """`strict`: the context has only the names that its type knows. Domains tell each other more, people do not know what."""

    asker: Domain
    request: Request
    budget: Allowance | None = None
    partly_to: str | None = None
    flow: int = 1
    approval: ApprovalRule | None = None
    grants: Grants = None
    strict: bool = False

    @property
    def label(self) -> Clearance:
        labels = [item.label for item in self.request.evidence]
        labels += [one.label for one in self.request.sources or ()]
        return max(labels, default=Clearance.PUBLIC)


class ConcludedInPart(Event, frozen=True, kw_only=True, tag="collaboration.concluded_in_part.v1"):
    """What there is of the outcome; `outcome.missing` is waited for."""

    outcome: Outcome

    @property
    def label(self) -> Clearance:
        return self.outcome.label


class Concluded(Event, frozen=True, kw_only=True, tag="collaboration.concluded.v1"):
    outcome: Outcome

    @property
    def label(self) -> Clearance:
        return self.outcome.label
