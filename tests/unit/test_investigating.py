"""A model that calls tools: what it may call and read, what becomes of what it finds, and when it comes to an end."""

import asyncio
import hashlib
import importlib
import json
from typing import Any

import jsonschema
import msgspec
import pytest
from msgspec.structs import replace

from actors import investigating
from actors.conversation import conversation
from actors.roster import TOOLS
from contracts import subjects
from contracts.chat import ChatMessage, ChatReply, ChatRequest, ToolCall
from contracts.conversation import Answered, Ask
from contracts.domains import Clearance, Domain
from contracts.model import NOTHING_USED, Allowance, Prompt, Reply, Usage
from contracts.retrieval import Entry, Hit, Query
from contracts.subjects import ActorRef
from contracts.users import Permission
from runtime.errors import OutcomeError
from runtime.model_ports import Call
from runtime.tool_schema import parameters
from tests.kernel_world import CountingModel, OneHit, World

QUESTION = "Which customers leave us?"
SESSION = ActorRef(Domain.SOPHIA, "conversation", "sophia-1")
TABLE = b"customer,contract,churn\n" + b"".join(
    f"c{number},{'monthly' if number % 2 else 'yearly'},{'yes' if number % 4 == 1 else 'no'}\n".encode()
    for number in range(80)
)
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
    """Keeps the prompts it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.prompts: list[Prompt] = []

    async def complete(self, prompt: Prompt, call: Call) -> Reply:
        self.prompts.append(prompt)
        return await super().complete(prompt, call)


class Asked(msgspec.Struct):
    """What came of a question: its last event, the prompt of the answer, and the names of the effects."""

    ended: dict[str, Any]
    prompts: list[Prompt]
    effects: list[str]


@pytest.fixture(scope="module", autouse=True)
def preloaded() -> None:
    """What the zygote does of itself, so that the world does not wait for it."""
    for tool in TOOLS[Domain.SOPHIA].values():
        for name in tool.limits.preload:
            importlib.import_module(name)


def asked(model: Scripted, grants: tuple[Permission, ...] | None = WRITE, budget: Allowance | None = None) -> Asked:
    async def body() -> Asked:
        listening = Listening()
        world = World(conversation, model=listening, retrieval=Shelf(Clearance.PUBLIC))
        world.outside = replace(world.outside, caller="scripted", chats=model, tools=TOOLS[Domain.SOPHIA])
        await world.outside.blobs.put(TABLE)
        await world.outside.blobs.put(b"secret")
        async with world:
            ask = Ask(
                turn="t1",
                by="ann",
                text=QUESTION,
                context_type="business",
                collaborate=False,
                grants=grants,
                budget=budget,
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


def test_what_tools_say_is_findings_and_what_is_searched_is_evidence() -> None:
    model = Scripted(
        [
            call("search_knowledge", query="customers", media_type="text/csv"),
            call("client_analysis", table=KNOWN, question="") + call("market_research", question=QUESTION),
        ]
    )
    came = asked(model)
    assert came.effects[:6] == [
        "search",
        "caller",
        "converse",
        "search",
        "converse",
        "tool client_analysis",
    ]
    assert came.effects[6:8] == ["tool market_research", "converse"]
    assert len(set(model.keys)) == len(model.keys) == 3
    assert f'"file":"{KNOWN}"' in model.told[0]
    assert "20 of 80" in came.prompts[0].findings[0]
    assert [one.id for one in came.prompts[0].evidence] == ["note", "customers"]
    answered = msgspec.convert(came.ended, Answered)
    assert answered.label == Clearance.CONFIDENTIAL
    assert {one.id for one in answered.evidence} == {"note", "customers"}


def test_a_model_names_only_files_that_its_asker_may_find() -> None:
    hidden = f'{{"table": "\\u00{ord(SECRET[0]):x}{SECRET[1:]}", "question": ""}}'
    assert json.loads(hidden)["table"] == SECRET
    model = Scripted(
        [
            call("client_analysis", table=KNOWN, question=""),  # not found yet
            call("client_analysis", table=SECRET, question=""),
            [("client_analysis", hidden)],
            call("market_research", question=f"What stands in {SECRET.upper()}?"),
            call("search_knowledge", query="the board's file", media_type="text/csv"),
        ]
    )
    came = asked(model)
    assert ["there is no stored file" in told for told in model.told] == [True, True, True, True, False]
    assert SECRET not in model.told[4]
    assert not [name for name in came.effects if name.startswith("tool ")]


def test_faults_go_back_to_the_model_and_are_counted() -> None:
    model = Scripted(
        [
            call("client_analysis", tabel=1),
            [("client_analysis", "no JSON")],
            call("code_analysis", archive="x"),
            call("search_knowledge", text="customers"),
            call("client_analysis", table="x", question="") * 9,
            *[call("nothing")] * 12,
        ]
    )
    came = asked(model)
    faults = ["missing required field `table`", "are a JSON object", "there is no tool 'code_analysis'", "do not fit"]
    assert [fault in told for fault, told in zip(faults, model.told[:4], strict=True)] == [True] * 4
    assert ["no blob 'x'" in told for told in model.told[4:13]] == [True] * 8 + [False]
    assert len(model.requests) == 6  # the sixth fault ends it
    assert came.prompts


def test_tools_are_those_the_asker_may_use() -> None:
    model = Scripted([call("client_analysis", table=KNOWN, question="")])
    came = asked(model, grants=("artemis:read",))
    assert [one.name for one in model.requests[0].tools] == ["search_knowledge"]
    assert "tool client_analysis" not in came.effects
    before = Scripted([])
    asked(before, grants=None)  # as runs of before there were grants
    assert "client_analysis" in [one.name for one in before.requests[0].tools]


def test_it_ends_after_so_many_steps() -> None:
    model = Scripted([call("search_knowledge", query="more", media_type="")] * 50)
    asked(model)
    assert len(model.requests) == investigating.STEPS_MAX


def test_the_budget_holds() -> None:
    model = Scripted([call("search_knowledge", query="more", media_type="")] * 50, usage=Usage(40, 10))
    came = asked(model, budget=Allowance(tokens=120))
    assert (len(model.requests), came.ended["code"]) == (3, "budget")


def test_where_the_model_cannot_call_tools_the_team_works_by_itself() -> None:
    came = asked(Broken([]))
    assert "tool client_analysis" in came.effects
    assert "20 of 80" in came.prompts[0].findings[0]


@pytest.mark.parametrize(
    "tool", [tool for tools in TOOLS.values() for tool in tools.values()], ids=lambda one: one.name
)
def test_each_tool_has_a_schema_that_models_can_keep_to(tool: Any) -> None:
    schema = parameters(tool)
    jsonschema.Draft202012Validator.check_schema(schema)
    left = [schema, *schema.get("$defs", {}).values()]
    for part in (one for one in left if "properties" in one):
        assert part["additionalProperties"] is False
        assert part["required"] == list(part["properties"])
    assert '"default"' not in json.dumps(schema)
    assert len(tool.description) > 20
