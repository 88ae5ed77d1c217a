"""A question to a team whose model is scripted to call tools, over the real kernel in memory: what came of it."""

import asyncio
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from actors.conversation import conversation
from actors.roster import TOOLS
from contracts import subjects
from contracts.business import RecordKind
from contracts.chat import ChatMessage, ChatReply, ChatRequest, ToolCall
from contracts.conversation import Ask, Team
from contracts.domains import Clearance, Domain
from contracts.model import NOTHING_USED, Allowance, Prompt, Reply, Usage
from contracts.records import AnyRecord, DealRecord
from contracts.retrieval import Entry, Hit, Query
from contracts.sources import Source
from contracts.subjects import ActorRef
from contracts.users import Permission
from runtime.errors import OutcomeError
from runtime.model_ports import Call
from runtime.outside import NoEmbeddings
from runtime.vector_ports import Embeddings
from tests.kernel_world import CountingModel, OneHit, World

QUESTION = "Which customers leave us?"
SESSION = ActorRef(Domain.SOPHIA, "conversation", "sophia-1")
TABLE = b"customer,contract,churn\n" + b"".join(
    f"c{number},{'monthly' if number % 2 else 'yearly'},{'yes' if number % 4 == 1 else 'no'}\n".encode()
    for number in range(80)
)
HANDED = b"".join(TABLE.splitlines(keepends=True)[:41])
KNOWN = hashlib.sha256(TABLE).hexdigest()
SECRET = hashlib.sha256(b"secret").hexdigest()
Script = list[list[tuple[str, str]]]
WRITE: tuple[Permission, ...] = ("sophia:read", "sophia:write")


def entry(name: str, label: Clearance, **fields: Any) -> Entry:
    return Entry(id=name, title=name.capitalize(), text=f"The {name} of the company.", label=label, **fields)


SHELF = (
    entry("note", Clearance.PUBLIC),
    entry("customers", Clearance.CONFIDENTIAL, attachment=KNOWN, media_type="text/csv"),
    entry("board", Clearance.TOP_SECRET, attachment=SECRET, media_type="text/csv"),
)


class Shelf(OneHit):
    """Finds what the reader is cleared for, of the wanted kind."""

    async def search(self, query: Query) -> list[Hit]:
        return [
            Hit(entry=one, partition=query.partitions[0], score=0.9)
            for one in SHELF
            if one.label <= query.clearance and query.media_type == one.media_type
        ]


class Scripted:
    """A model that calls what the script says, then stops; what it was told is kept."""

    models = ("scripted",)

    def __init__(self, script: Script, usage: Usage = NOTHING_USED) -> None:
        self.script = script
        self.usage = usage
        self.requests: list[ChatRequest] = []
        self.keys: list[str] = []

    async def chat(self, request: ChatRequest, call: Call) -> ChatReply:
        self.requests.append(request)
        self.keys.append(call.key)
        step = sum(one.role == "assistant" for one in request.messages)
        calls = tuple(
            ToolCall(id=f"{step}-{number}", name=name, arguments=arguments)
            for number, (name, arguments) in enumerate(self.script[step] if step < len(self.script) else ())
        )
        message = ChatMessage(role="assistant", content="" if calls else "Enough.", tool_calls=calls)
        return ChatReply(
            message=message, finish_reason="tool_calls" if calls else "stop", model="scripted", usage=self.usage
        )

    @property
    def told(self) -> list[str]:
        """What came back of each call, in order."""
        return [one.content for one in self.requests[-1].messages if one.role == "tool"]


class Broken(Scripted):
    async def chat(self, request: ChatRequest, call: Call) -> ChatReply:
        await super().chat(request, call)
        raise OutcomeError("it does not know tools")


class Listening(CountingModel):
    """Keeps the prompts it was given; answers with what it is to say, if anything."""

    def __init__(self, says: str = "") -> None:
        super().__init__()
        self.says = says
        self.prompts: list[Prompt] = []

    async def complete(self, prompt: Prompt, call: Call) -> Reply:
        self.prompts.append(prompt)
        reply = await super().complete(prompt, call)
        return replace(reply, sections={"summary": self.says}) if self.says else reply


class Asked(msgspec.Struct):
    """What came of a question: its last event, the prompt of the answer, and the names of the effects."""

    ended: dict[str, Any]
    prompts: list[Prompt]
    effects: list[str]


DAY_ONE = datetime(2026, 1, 1, tzinfo=UTC)


def deal(number: int, label: Clearance = Clearance.CONFIDENTIAL) -> DealRecord:
    """One in three is open still, one in three is won."""
    outcomes: tuple[Literal["won", "lost"] | None, ...] = (None, "won", "lost")
    return DealRecord(
        id=f"D-{number}",
        label=label,
        value=1_000.0,
        currency="EUR",
        stage="offer",
        opened=DAY_ONE,
        closed=DAY_ONE + timedelta(days=30 + number) if outcomes[number % 3] else None,
        outcome=outcomes[number % 3],
    )


class Deals:
    """What facts tell of: 120 deals, and one that only few may know of."""

    async def records(self, kind: RecordKind, *, clearance: Clearance) -> tuple[tuple[AnyRecord, ...], int]:
        known = (*(deal(number) for number in range(120)), deal(999, Clearance.TOP_SECRET))
        return tuple(one for one in known if kind == "deal" and one.label <= clearance), 0


def asked(
    model: Scripted | None,
    grants: tuple[Permission, ...] | None = WRITE,
    budget: Allowance | None = None,
    *,
    text: str = QUESTION,
    team: Team | None = None,
    embeddings: Embeddings | None = None,
    sources: tuple[Source, ...] = (),
    says: str = "",
) -> Asked:
    async def body() -> Asked:
        listening = Listening(says)
        world = World(conversation, model=listening, retrieval=Shelf(Clearance.PUBLIC), records=Deals())
        calling = {"caller": "scripted", "chats": model} if model else {}
        world.outside = replace(world.outside, tools=TOOLS[Domain.SOPHIA], **calling)
        world.outside = replace(world.outside, embeddings=embeddings or NoEmbeddings())
        await world.outside.blobs.put(TABLE)
        await world.outside.blobs.put(b"secret")
        await world.outside.blobs.put(HANDED)
        async with world:
            ask = Ask(
                turn="t1",
                by="ann",
                text=text,
                team=team,
                context_type="business",
                collaborate=False,
                grants=grants,
                budget=budget,
                sources=sources,
            )
            identity = await world.send(ask, SESSION)
            found = await world.events(SESSION, at_least=3)
            journal = await world.log.read(subjects.run(SESSION, found[1].record.envelope.id))
            assert identity
        names = [json.loads(one.record.body)["name"] for one in journal]
        return Asked(json.loads(found[2].record.body), listening.prompts, names)

    return asyncio.run(asyncio.wait_for(body(), 30))


def call(name: str, **arguments: object) -> list[tuple[str, str]]:
    return [(name, json.dumps(arguments))]
