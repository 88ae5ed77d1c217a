"""What stands for the actors' thinking where the gateway is tested."""

import asyncio
from datetime import timedelta

from msgspec import Struct
from msgspec.structs import replace

from actors import conversation as conversations
from contracts.analysis import (
    PHASES,
    AnalysisStarted,
    ConcludeAnalysisInPart,
    FailAnalysis,
    FinishAnalysis,
    Phase,
    PhaseMissing,
    PhaseResult,
    RecordPhase,
)
from contracts.chat import ChatMessage, ChatReply, ChatRequest, Delta, ToolCall, ToolCallPart
from contracts.collaboration import Missing
from contracts.conversation import Answer, Answered, AnswerInPart, Ask, Asked, EndSession, Fail, StartSession
from contracts.domains import Clearance, Domain
from contracts.model import Evidence, Prompt, Section, Usage
from runtime.actor import Recorded
from runtime.effects import Effects
from runtime.errors import OutcomeError, UnavailableError
from runtime.model_ports import Call, OnDelta
from runtime.ports import Tool


class Scripted:
    """A ChatCompletions that echoes; a chat whose last message begins with one of these words behaves as it says."""

    models = ("echo",)

    def __init__(self) -> None:
        self.asked: list[ChatRequest] = []
        self.keys: list[str] = []
        self.half = asyncio.Event()
        self.release = asyncio.Event()

    async def chat(self, request: ChatRequest, call: Call) -> ChatReply:
        self.asked.append(request)
        self.keys.append(call.key)
        tell = call.on_delta or (lambda _delta: None)
        said = request.messages[-1]
        if request.tools and said.role != "tool":
            return self._called(request, tell)
        text = f"echo: {said.content}"
        begun, rest = text[: len(text) // 2], text[len(text) // 2 :]
        if said.content.startswith("refuse"):
            raise OutcomeError("it would not", code="refused" if "nonsense" in said.content else None)
        tell(Delta(text=begun))
        self.half.set()
        if said.content.startswith("wait"):
            await self.release.wait()
        if said.content.startswith(("again", "otherwise")) and len(self.asked) == 1:
            await self.release.wait()
            raise UnavailableError("echo", "it died")
        if said.content.startswith("otherwise"):
            begun, rest = "", "quite another answer"
        tell(Delta(text=rest))
        message = ChatMessage(role="assistant", content=begun + rest)
        return ChatReply(message=message, finish_reason="stop", model="echo-1", usage=Usage(3, 4))

    def _called(self, request: ChatRequest, tell: OnDelta) -> ChatReply:
        call = ToolCall(id="call_1", name=request.tools[0].name, arguments='{"city": "Oslo"}')
        tell(Delta(tool_call=ToolCallPart(index=0, id=call.id, name=call.name)))
        for piece in ('{"city": ', '"Oslo"}'):
            tell(Delta(tool_call=ToolCallPart(index=0, arguments=piece)))
        message = ChatMessage(role="assistant", tool_calls=(call,))
        return ChatReply(message=message, finish_reason="tool_calls", model="echo-1", usage=Usage(5, 6))


class Measure(Struct, frozen=True):
    text: str


class Measured(Struct, frozen=True):
    characters: int


def _measure(given: Measure, _blobs: object) -> Measured:
    return Measured(characters=len(given.text))


MEASURE = Tool(
    name="measure",
    description="How long a text is",
    arguments=Measure,
    result=Measured,
    run=_measure,
    permission="sophia:read",
)


async def _measured(asked: Asked, effects: Effects) -> str:
    """What is answered to: the question, but where that begins with `measure` what the tool says of it."""
    if not asked.text.startswith("measure"):
        return asked.text
    effects.grant(asked.grants)
    effects.require(asked.approval)
    try:
        return f"{(await effects.tool('measure', Measure(text=asked.text), Measured)).characters} characters"
    except OutcomeError as error:
        return str(error)


class Agents:
    """What stands for thinking: echoes; a question that begins with a word of these behaves as it says."""

    def __init__(self) -> None:
        self.release = asyncio.Event()
        self.asked = 0
        self.broken = True

    def decide(
        self, state: conversations.State, message: StartSession | Ask | AnswerInPart | Answer | Fail | EndSession
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
        if text.startswith(("pay", "overspend")):
            effects.allow(recorded.event.budget if text.startswith("pay") else None)
            try:
                for number in range(2):
                    await effects.chat(Prompt(role="r", question=f"{number}", sections=(Section("a", "any"),)))
            except OutcomeError as error:
                await effects.tell(Fail(turn=turn, reason=str(error), code=error.code))
                return
        text = await _measured(recorded.event, effects)
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
            usage=effects.spent if effects.spent.tokens else None,
        )
        if text.startswith("part"):
            missing = Missing(domain=Domain.ARTEMIS, request_type="technical_feasibility_analysis", why="it is away")
            part = replace(answered, content=f"so far: {text}")
            await effects.tell(AnswerInPart(turn=turn, answer=part, missing=(missing,)))
            await self.release.wait()
        if text.startswith("part for ever"):
            await effects.tell(Fail(turn=turn, reason="artemis: it did not come back"))
            return
        await effects.tell(Answer(turn=turn, answer=answered))

    async def analyse(self, recorded: Recorded[AnalysisStarted], effects: Effects) -> None:
        subject, label = recorded.event.subject, recorded.envelope.label
        if subject.startswith("part"):
            away = PhaseMissing(phase="business_analysis", domain=Domain.ARTEMIS, request_type="x", why="it is away")
            so_far = (_phase("recommendations", f"so far: {subject}", label),)
            await effects.tell(ConcludeAnalysisInPart(results=so_far, missing=(away,)))
            await self.release.wait()
        if subject.startswith("part for ever"):
            await effects.tell(FailAnalysis(reason="artemis: it did not come back"))
            return
        for phase in PHASES:
            await effects.tell(RecordPhase(result=_phase(phase, subject, label)))
        await effects.tell(FinishAnalysis())


def _phase(phase: Phase, text: str, label: Clearance) -> PhaseResult:
    return PhaseResult(
        phase=phase,
        domain=Domain.SOPHIA,
        sections={"text": text, "recommendations": text},
        confidence=0.5,
        evidence=(),
        model="echo",
        label=label,
    )
