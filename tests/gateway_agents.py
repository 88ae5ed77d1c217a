"""What stands for the actors' thinking where the gateway is tested."""

import asyncio
from datetime import timedelta

from actors import conversation as conversations
from contracts.analysis import PHASES, AnalysisStarted, FinishAnalysis, PhaseResult, RecordPhase
from contracts.conversation import Answer, Answered, Ask, Asked, EndSession, Fail, StartSession
from contracts.domains import Clearance, Domain
from contracts.model import Evidence, Prompt, Section
from runtime.actor import Recorded
from runtime.effects import Effects
from runtime.errors import OutcomeError


class Agents:
    """What stands for thinking: echoes; a question that begins with a word of these behaves as it says."""

    def __init__(self) -> None:
        self.release = asyncio.Event()
        self.asked = 0
        self.broken = True

    def decide(
        self, state: conversations.State, message: StartSession | Ask | Answer | Fail | EndSession
    ) -> list[conversations.Recordable]:
        """A question that begins with `poison` is what a bug of ours cannot handle until `broken` is set to False."""
        if isinstance(message, Ask) and message.text.startswith("poison") and self.broken:
            raise RuntimeError("a bug")
        return conversations.decide(state, message)

    async def converse(self, recorded: Recorded[Asked], effects: Effects) -> None:
        self.asked += 1
        turn, text = recorded.event.turn, recorded.event.text
        if text.startswith("slow"):
            await self.release.wait()
        if text.startswith("think"):
            try:
                await effects.sleep(timedelta(days=1))
            except OutcomeError as error:
                await effects.tell(Fail(turn=turn, reason=str(error)))
                return
        if text.startswith("pay"):
            effects.allow(recorded.event.budget)
            try:
                for number in range(2):
                    await effects.chat(Prompt(role="r", question=f"{number}", sections=(Section("a", "any"),)))
            except OutcomeError as error:
                await effects.tell(Fail(turn=turn, reason=str(error)))
                return
        if text.startswith("fail"):
            await effects.tell(Fail(turn=turn, reason="the model refused"))
            return
        label = Clearance.TOP_SECRET if text.startswith("leak") else recorded.envelope.label
        answered = Answered(
            question="Why?",
            turn=turn,
            content=f"echo: {text}",
            team="business_insight",
            confidence=0.5,
            evidence=(Evidence(id="e", title="t", text="x", label=label, score=0.5),),
            collaboration_needed=False,
            collaborators=(),
            contributions=(),
            model="echo",
            label=label,
        )
        await effects.tell(Answer(turn=turn, answer=answered))

    async def analyse(self, recorded: Recorded[AnalysisStarted], effects: Effects) -> None:
        for phase in PHASES:
            result = PhaseResult(
                phase=phase,
                domain=Domain.SOPHIA,
                sections={"text": recorded.event.subject},
                confidence=0.5,
                evidence=(),
                model="echo",
                label=recorded.envelope.label,
            )
            await effects.tell(RecordPhase(result=result))
        await effects.tell(FinishAnalysis())
