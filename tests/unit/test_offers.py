"""What a model that calls tools may write to any of them: choices, and no material; and what is given to them besides."""

import asyncio
import importlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from time import time
from typing import Any

import jsonschema
import msgspec
import pytest
from msgspec import Struct
from msgspec.structs import replace

from actors.artemis.offers import CodeChoices, PerformanceChoices, SystemMonitoringChoices
from actors.artemis.tools.analysers.advisories import OSV
from actors.artemis.tools.code_analysis import CodeAnalysisArguments
from actors.artemis.tools.earlier import Upload
from actors.artemis.tools.performance_analysis import PerformanceAnalysisArguments
from actors.artemis.tools.security import SecurityArguments
from actors.offers import Given, Known, steered
from actors.roster import TOOLS
from actors.sophia.tools.market_research import MarketResearchArguments
from actors.team import Findings
from actors.teams import OFFERS
from adapters.measurement_store import MemoryMeasurements
from adapters.span_store import MemorySpanStore
from contracts.domains import Clearance, Domain
from contracts.measurements import Measurement
from contracts.retrieval import Entry, Hit, Query
from contracts.trace import SpanRecord
from contracts.users import Permission
from runtime.actor import Actor, Recorded
from runtime.effects import Effects
from runtime.errors import OutcomeError
from runtime.tool_schema import parameters
from tests.kernel_world import Add, Added, Note, OneHit, Sum, World, decide, evolve


@pytest.mark.parametrize(
    "tool", [tool for tools in TOOLS.values() for tool in tools.values()], ids=lambda one: one.name
)
def test_each_tool_has_a_schema_that_models_can_keep_to(tool: Any) -> None:
    for schema in (parameters(tool.arguments), parameters(OFFERS[tool.name].choices)):
        jsonschema.Draft202012Validator.check_schema(schema)
        left = [schema, *schema.get("$defs", {}).values()]
        for part in (one for one in left if "properties" in one):
            assert part["additionalProperties"] is False
            assert part["required"] == list(part["properties"])
        assert '"default"' not in json.dumps(schema)
    assert len(tool.description) > 20


STEERING = {("client_analysis", "question"), ("market_research", "question"), ("business_insight", "question")}
"""All the free text that a model may write to a tool: it orders and selects. `test_investigating` shows that."""


def test_what_a_model_may_write_to_any_tool_is_a_choice_and_no_material() -> None:
    names = {name for tools in TOOLS.values() for name in tools}
    assert set(OFFERS) == names
    free = {
        (name, field) for name, one in OFFERS.items() for field in free_texts(msgspec.inspect.type_info(one.choices))
    }
    assert free == STEERING
    assert all(one.choices.__struct_config__.forbid_unknown_fields for one in OFFERS.values())


def test_material_would_be_noticed_among_what_a_model_may_write() -> None:
    found = set(free_texts(msgspec.inspect.type_info(MarketResearchArguments)))
    assert {"question", "notes", "sources.title", "sources.text", "sources.place", "evidence.text"} <= found


_FILES = {"^[0-9a-f]{64}$", "^([0-9a-f]{64})?$"}
"""The patterns of digests."""


def free_texts(kind: Any, path: str = "") -> Iterator[str]:
    """Where in a type any text may stand; a type that this does not know counts as such."""
    match kind:
        case msgspec.inspect.Metadata(type=inner):
            yield from free_texts(inner, path)
        case msgspec.inspect.StructType(fields=fields):
            for field in fields:
                yield from free_texts(field.type, f"{path}.{field.name}".lstrip("."))
        case msgspec.inspect.VarTupleType(item_type=item) | msgspec.inspect.ListType(item_type=item):
            yield from free_texts(item, path)
        case msgspec.inspect.UnionType(types=types):
            for one in types:
                yield from free_texts(one, path)
        case msgspec.inspect.StrType(pattern=pattern) if pattern in _FILES:
            pass
        case (
            msgspec.inspect.IntType()
            | msgspec.inspect.FloatType()
            | msgspec.inspect.BoolType()
            | msgspec.inspect.NoneType()
            | msgspec.inspect.DateType()
            | msgspec.inspect.DateTimeType()
            | msgspec.inspect.EnumType()
            | msgspec.inspect.LiteralType()
        ):
            pass
        case _:
            yield path


def test_only_words_that_are_there_steer() -> None:
    material = ("The market for retention grows by 4 percent.", "Rivals are Beta and Gamma.")
    assert steered("Does Beta, or Zyx, grow 400 percent?", "Who competes?", material) == "Beta, grow percent?"
    assert steered("Zyx 999", "Who competes?", material) == "Who competes?"
    assert steered("", "Who competes?", ()) == "Who competes?"
    assert steered("who competes in Rome", "Who competes?", ()) == "competes"


@pytest.fixture(scope="module", autouse=True)
def _loaded() -> None:
    """The libraries of statistics, which take seconds to load, and a test waits for five."""
    for one in TOOLS[Domain.ARTEMIS].values():
        for name in one.limits.preload:
            importlib.import_module(name)


class Advisories(OneHit):
    """Has a database of advisories, and nothing else."""

    async def search(self, query: Query) -> list[Hit]:
        if query.media_type != OSV:
            return []
        entry = Entry(id="osv", title="Advisories", text="", label=self.label, attachment="a" * 64, media_type=OSV)
        return [Hit(entry=entry, partition="artemis_technical", score=0.5)]


def offered(
    choices: dict[str, Struct], grants: tuple[Permission, ...], question: str, *hits: Hit
) -> tuple[dict[str, Given], dict[str, str]]:
    """What is given to the tools for these choices, and what they say of it, or why they do not run."""
    all_given, told = dict[str, Given](), dict[str, str]()

    async def react(recorded: Recorded[Added], effects: Effects) -> None:  # noqa: ARG001 - the form of all
        effects.grant(grants)
        known = Known(question=question, hits=hits, web=(), computed={})
        for name, chosen in choices.items():
            try:
                all_given[name] = given = await OFFERS[name].give(chosen, known, effects)
                told[name] = " ".join((await effects.tool(name, given.arguments, Findings)).findings)
            except OutcomeError as error:
                told[name] = str(error)
        await effects.tell(Note(text="done"))

    async def body() -> None:
        world = World(Actor("counter", Sum(), decide, evolve, react), retrieval=Advisories(Clearance.INTERNAL))
        measured, spans, now_ms = MemoryMeasurements(), MemorySpanStore(), round(time() * 1_000)
        await measured.keep(Measurement(source="host", at_ms=now_ms - 60_000, figures={"load 1": 0.5}))
        span = SpanRecord(
            trace_id="0" * 32,
            span_id="0" * 16,
            name="handle",
            service="ceo",
            start_ns=(now_ms - 60_000) * 1_000_000,
            end_ns=(now_ms - 59_000) * 1_000_000,
        )
        await spans.store([span])
        world.outside = replace(world.outside, tools=TOOLS[Domain.ARTEMIS], measurements=measured, spans=spans)
        async with world:
            await world.send(Add(amount=1))
            await world.events(at_least=2)

    asyncio.run(asyncio.wait_for(body(), 60))
    return all_given, told


CHOSEN = {"system_monitoring": SystemMonitoringChoices(), "performance_analysis": PerformanceChoices()}


def test_our_own_figures_are_given_to_whom_they_may_be() -> None:
    monitoring: tuple[Permission, ...] = ("artemis:read", "system:monitor")
    _, told = offered(CHOSEN, monitoring, "What was slow in the last hour?")
    assert "1 spans of 1 runs ended in the last hour" in told["performance_analysis"]
    assert "The machine at" in told["system_monitoring"]
    _, refused = offered(CHOSEN, ("artemis:read",), "What was slow in the last hour?")
    assert all("lacks the permission system:monitor" in one for one in refused.values())


def test_stored_code_is_scanned_with_the_stored_advisories() -> None:
    chosen = CodeChoices(archive="b" * 64)
    given, _ = offered({"code_analysis": chosen, "security": chosen}, ("artemis:read",), "?")
    assert given["code_analysis"].arguments == CodeAnalysisArguments(archive="b" * 64)
    assert given["security"].arguments == SecurityArguments(archive="b" * 64, advisories="a" * 64)
    assert [hit.entry.id for hit in given["security"].hits] == ["osv"]


def test_profiles_are_compared_by_what_is_known_of_them() -> None:
    entries = [
        Entry(id=name, title=f"Profile {name}", text="", label=Clearance.PUBLIC, attachment=digest * 64, updated=day)
        for name, digest, day in (
            ("new", "b", datetime(2026, 2, 1, tzinfo=UTC)),
            ("old", "c", datetime(2026, 1, 1, tzinfo=UTC)),
        )
    ]
    hits = [Hit(entry=one, partition="artemis_technical", score=0.5) for one in entries]
    chosen = PerformanceChoices(profiles=("b" * 64, "c" * 64))
    given, _ = offered({"performance_analysis": chosen}, ("artemis:read",), "What got slower?", *hits)
    assert given["performance_analysis"].arguments == PerformanceAnalysisArguments(
        question="What got slower?",
        profiles=chosen.profiles,
        uploads=tuple(Upload(title=one.title, imported=one.updated) for one in entries),
    )
