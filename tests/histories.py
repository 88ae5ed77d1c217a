"""Histories for tests of read models: what actors of every kind might have recorded, in memory, always the same for a seed."""

import random
from datetime import UTC, datetime, timedelta

import msgspec

from adapters.memory import MemoryBroker, MemoryLog
from contracts import subjects
from contracts.analysis import (
    PHASES,
    AnalysisCompleted,
    AnalysisConcludedInPart,
    AnalysisFailed,
    AnalysisLeftInPart,
    AnalysisStarted,
    PhaseCompleted,
    PhaseMissing,
    PhaseResult,
)
from contracts.catalogue import tag
from contracts.collaboration import Concluded, Missing, Outcome, Request, Requested
from contracts.conversation import Answered, AnsweredInPart, Asked, Failed, LeftInPart, SessionEnded, SessionStarted
from contracts.domains import Clearance, Domain
from contracts.envelope import Envelope, Event, Record
from contracts.ids import keyed_id
from contracts.kernel import EffectRecorded
from contracts.knowledge import Knowledge, KnowledgeAdded, KnowledgeDeleted, KnowledgeExpired, KnowledgeUpdated, outline
from contracts.model import Evidence
from contracts.subjects import ActorRef
from contracts.users import UserCreated

START = datetime(2026, 1, 1, tzinfo=UTC)
LEVELS = tuple(Clearance)
OWNERS = ("ada", "ben", "cleo")
MISSING = (Missing(domain=Domain.ARTEMIS, request_type="feasibility", why="it is away"),)


class History:
    """Appends records to a memory log. Ids and choices follow from the seed."""

    def __init__(self, seed: int = 0, log: MemoryLog | None = None) -> None:
        self.log = log or MemoryLog(MemoryBroker())
        self.random = random.Random(seed)  # noqa: S311 - a test's choices
        self.number = 0

    async def add(
        self,
        actor: ActorRef,
        event: Event | bytes,
        *,
        label: Clearance = Clearance.PUBLIC,
        correlation: str | None = None,
        reaction: str | None = None,
        type_name: str | None = None,
    ) -> int:
        """Append one record; its sequence."""
        self.number += 1
        number = self.number
        correlation = correlation or keyed_id("correlation", str(number))
        envelope = Envelope(
            id=keyed_id("event", str(number)),
            type=type_name or (tag(type(event)) if isinstance(event, Event) else "unknown.v1"),
            time=START + timedelta(milliseconds=number),
            correlation=correlation,
            causation=keyed_id("cause", str(number)),
            principal=self.random.choice(OWNERS),
            source=actor.domain,
            label=label,
            clearance=label,
            traceparent=f"00-{correlation.replace('-', '')}-{number:016x}-01",
        )
        subject = subjects.run(actor, reaction) if reaction else subjects.log(actor)
        body = msgspec.json.encode(event) if isinstance(event, Event) else event
        stored = await self.log.read(subject)
        expected = stored[-1].sequence if stored else 0
        return await self.log.append(subject, [Record(envelope, body)], expected=expected)

    async def some(self, steps: int) -> None:
        """Append about that many records of many kinds, well-formed and not."""
        kinds = (
            self._conversation,
            self._collaboration,
            self._analysis,
            self._knowledge,
            self._user,
            self._journal,
            self._odd,
        )
        for _ in range(steps):
            await self.random.choices(kinds, weights=(6, 3, 3, 4, 1, 4, 1))[0]()

    async def _conversation(self) -> None:
        choose = self.random.choice
        domain = choose((Domain.SOPHIA, Domain.ARTEMIS))
        actor = ActorRef(domain, "conversation", f"c{self.random.randrange(8)}")
        turn = f"t{self.random.randrange(6)}"
        label = choose(LEVELS)
        event = choose(
            (
                SessionStarted(owner=choose(OWNERS), title="nul \0 and \\u0000", context_type="business"),
                Asked(turn=turn, by=choose(OWNERS), text="Why? “…” \0"),
                answered(turn, choose(LEVELS)),
                AnsweredInPart(turn=turn, answer=answered(turn, choose(LEVELS)), missing=MISSING),
                LeftInPart(turn=turn, reason="no model"),
                Failed(turn=turn, reason="no model"),
                SessionEnded(by="ada"),
            )
        )
        await self.add(actor, event, label=label)

    async def _collaboration(self) -> None:
        actor = ActorRef(Domain.ARTEMIS, "collaboration", f"k{self.random.randrange(5)}")
        request = Request(request_type="feasibility", question="Can we?", priority=self.random.randint(1, 5))
        outcome = Outcome(status="completed", confidence=0.1 + 0.2, label=self.random.choice(LEVELS), model="m")
        event = self.random.choice((Requested(asker=Domain.SOPHIA, request=request), Concluded(outcome=outcome)))
        await self.add(actor, event, label=self.random.choice(LEVELS))

    async def _analysis(self) -> None:
        actor = ActorRef(Domain.SOPHIA, "analysis", f"a{self.random.randrange(4)}")
        label = self.random.choice(LEVELS)
        event = self.random.choice(
            (
                AnalysisStarted(by=self.random.choice(OWNERS), subject="s", question="q"),
                PhaseCompleted(result=phase(self.random.choice(PHASES), label), label=label),
                AnalysisCompleted(
                    executive_summary="x",
                    recommendations="y",
                    confidence=0.7,
                    confidence_by_domain={"sophia": 0.7},
                    label=label,
                ),
                AnalysisFailed(reason="expired"),
                self._analysed_in_part(label),
                AnalysisLeftInPart(reason="expired"),
            )
        )
        await self.add(actor, event, label=label)

    def _analysed_in_part(self, label: Clearance) -> AnalysisConcludedInPart:
        away = self.random.choice(PHASES)
        return AnalysisConcludedInPart(
            results=(phase(self.random.choice(PHASES), label),),
            missing=(PhaseMissing(phase=away, domain=Domain.ARTEMIS, request_type="feasibility", why="it is away"),),
            executive_summary="so far",
            recommendations="",
            confidence=0.1 + 0.2,
            confidence_by_domain={"ceo": 0.3},
            label=label,
        )

    async def _knowledge(self) -> None:
        actor = ActorRef(Domain.CEO, "knowledge_item", f"i{self.random.randrange(9)}")
        knowledge = item(self.random.choice(LEVELS), self.random.randint(1, 10))
        event = self.random.choice(
            (
                KnowledgeAdded(by="ada", knowledge=knowledge),
                KnowledgeUpdated(by="ben", knowledge=knowledge, previous_partition="ceo_knowledge"),
                KnowledgeDeleted(by="ada", partition="ceo_knowledge"),
                KnowledgeExpired(partition="ceo_knowledge", previous=outline(knowledge)),
            )
        )
        await self.add(actor, event, label=knowledge.confidentiality)

    async def _user(self) -> None:
        name = self.random.choice(OWNERS)
        event = UserCreated(
            username=name, password_hash="$argon2id$secret", roles=("admin",), clearance=Clearance.INTERNAL
        )
        await self.add(ActorRef(Domain.SYSTEM, "user", name), event, label=Clearance.RESTRICTED)

    async def _journal(self) -> None:
        actor = ActorRef(Domain.EMBEDDING, "worker", f"w{self.random.randrange(3)}")
        event = self.random.choice(
            (
                EffectRecorded(effect=1, name="chat", arguments="0" * 64, result=msgspec.Raw(b'{"a": [1, "\\u0000"]}')),
                EffectRecorded(effect=2, name="now", arguments="1" * 64, result=msgspec.Raw(b"1"), error="late"),
            )
        )
        reaction = keyed_id("reaction", str(self.random.randrange(50)))
        await self.add(actor, event, label=self.random.choice(LEVELS), reaction=reaction)

    async def _odd(self) -> None:
        actor = ActorRef(Domain.SOPHIA, "conversation", "c1")
        kind = self.random.choice(("unknown.v1", tag(Asked), tag(EffectRecorded)))
        await self.add(actor, self.random.choice((b"", b'{"turn":', b"\xff\x00 no text", b"[]")), type_name=kind)


def answered(turn: str, label: Clearance) -> Answered:
    return Answered(
        question="Why?",
        turn=turn,
        content="Because of \0.",
        team="client_analysis",
        confidence=0.1 + 0.7,
        evidence=(Evidence(id="e1", title="t\0", text="x", label=label, score=0.3),),
        collaboration_needed=True,
        collaborators=(Domain.ARTEMIS,),
        contributions=(),
        model="extractive",
        label=label,
    )


def phase(name: str, label: Clearance) -> PhaseResult:
    known = next(one for one in PHASES if one == name)
    return PhaseResult(
        phase=known, domain=Domain.SOPHIA, sections={"a": "b"}, confidence=0.5, evidence=(), model="m", label=label
    )


def item(confidentiality: Clearance, priority: int = 5, expires: datetime | None = None) -> Knowledge:
    return Knowledge(
        title="T",
        content="C",
        category="risk_management",
        confidentiality=confidentiality,
        strategic_priority=priority,
        tags=("a", 'b"{},'),
        expires=expires,
    )
