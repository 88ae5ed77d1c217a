"""Old events: their shapes are upcast where bytes become events, and stricter rules for what comes in do not touch them."""

from typing import Annotated, Any, assert_never

import msgspec
import pytest
from msgspec import Meta, Struct

from contracts import upcasting
from contracts.catalogue import decode_event, tag
from contracts.conversation import Failed
from contracts.domains import Clearance
from contracts.envelope import Event, Message
from contracts.facts import MarketResearch, SignalRecorded
from contracts.knowledge import Knowledge, KnowledgeAdded
from contracts.stored import StoredDecoder
from contracts.upcasting import Upcaster
from runtime.actor import Actor, Recorded
from runtime.effects import Effects

OLD, NEWER, TODAY = "meter.read.v1", "meter.read.v2", "meter.read.v3"


class Read(Event, frozen=True, kw_only=True, tag=TODAY):
    """Today's shape: version 1 had `value` in litres, version 2 `litres`."""

    millilitres: int
    meter: str


class Report(Message, frozen=True, kw_only=True, tag="meter.report.v1"): ...


def decide(_state: int, message: Report) -> list[Read]:
    raise NotImplementedError(message)


def evolve(state: int, event: Read) -> int:
    match event:
        case Read():
            return state + event.millilitres
        case _:
            assert_never(event)


async def react(recorded: Recorded[Read], effects: Effects) -> None:
    raise NotImplementedError(recorded, effects)


@pytest.fixture
def upcasters(monkeypatch: pytest.MonkeyPatch) -> None:
    def to_litres(fields: dict[str, Any]) -> dict[str, Any]:
        return {"litres": fields["value"], "meter": fields.get("meter", "main")}

    def to_millilitres(fields: dict[str, Any]) -> dict[str, Any]:
        return {"millilitres": fields["litres"] * 1_000, "meter": fields["meter"]}

    monkeypatch.setitem(upcasting.UPCASTERS, OLD, Upcaster(NEWER, to_litres))
    monkeypatch.setitem(upcasting.UPCASTERS, NEWER, Upcaster(TODAY, to_millilitres))


@pytest.mark.usefixtures("upcasters")
def test_every_version_becomes_today_s_event() -> None:
    meter = Actor("meter", 0, decide, evolve, react)
    bodies = (
        b'{"type":"meter.read.v1","value":3}',
        b'{"type":"meter.read.v2","litres":3,"meter":"main"}',
        b'{"type":"meter.read.v3","millilitres":3000,"meter":"main"}',
    )
    assert [meter.decode_event(body) for body in bodies] == [Read(millilitres=3_000, meter="main")] * 3
    assert upcasting.current(OLD) == TODAY
    assert meter.reacts_to == {OLD, NEWER, TODAY}


@pytest.mark.usefixtures("upcasters")
@pytest.mark.parametrize(
    "body",
    [
        b'{"type":"meter.read.v1"}',
        b'{"type":"meter.read.v1","value":"x"}',
        b'{"type":"meter.read.v2","litres":"3","meter":1}',
        b'{"type":"unknown.v1"}',
        b'{"type":["meter.read.v1"]}',
        b'{"value":1}',
        b"[]",
        b"3",
    ],
)
def test_what_never_was_an_event_is_no_event(body: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        Actor("meter", 0, decide, evolve, react).decode_event(body)


def test_the_catalogue_upcasts_by_the_stored_name(monkeypatch: pytest.MonkeyPatch) -> None:
    step = Upcaster(tag(Failed), lambda fields: {"turn": fields["turn"], "reason": fields["why"]})
    monkeypatch.setitem(upcasting.UPCASTERS, "conversation.failed.v0", step)
    body = b'{"type":"conversation.failed.v0","turn":"t1","why":"late"}'
    assert decode_event("conversation.failed.v0", body) == Failed(turn="t1", reason="late")
    assert upcasting.with_old_tags([tag(Failed)]) == {tag(Failed), "conversation.failed.v0"}
    with pytest.raises(KeyError):
        decode_event("conversation.failed.v9", body)


def test_what_was_taken_before_titles_had_to_say_something_is_read() -> None:
    blank = Knowledge(
        title=" ", content="\n", category="risk_management", confidentiality=Clearance.PUBLIC, tags=(" ", "b")
    )
    added = KnowledgeAdded(by="ann", knowledge=blank)
    assert decode_event(tag(KnowledgeAdded), msgspec.json.encode(added)) == added
    recorded = SignalRecorded(fact=MarketResearch(title=" ", text=" ", origin="o", confidentiality=Clearance.INTERNAL))
    assert decode_event(tag(SignalRecorded), msgspec.json.encode(recorded)) == recorded
    with pytest.raises(msgspec.ValidationError, match="reason"):
        decode_event(tag(Failed), b'{"type":"conversation.failed.v1","turn":"t"}')


class Leaf(Struct, frozen=True, forbid_unknown_fields=True):
    name: Annotated[str, Meta(min_length=2)]


class Tree(Struct, frozen=True, tag="tree"):
    leaves: tuple[Leaf, ...] = ()
    pair: tuple[Leaf, int] | None = None
    by_name: dict[str, Annotated[list[Leaf], Meta(max_length=1)]] = {}
    unordered: frozenset[Annotated[int, Meta(ge=5)]] = frozenset()
    other: Leaf | None = None


def test_constraints_anywhere_in_a_type_do_not_count_for_what_is_stored() -> None:
    tree = Tree(
        leaves=(Leaf("a"), Leaf("bb")),
        pair=(Leaf("c"), 1),
        by_name={"x": [Leaf("d"), Leaf("e")]},
        unordered=frozenset({1, 9}),
        other=Leaf(""),
    )
    decoder: StoredDecoder[Tree] = StoredDecoder(Tree)
    assert decoder.decode(msgspec.json.encode(tree)) == tree
    for wrong in (
        b'{"type":"bush"}',
        b'{"type":"tree","other":{"name":"x","more":1}}',
        b'{"type":"tree","leaves":[1]}',
    ):
        with pytest.raises(msgspec.ValidationError):
            decoder.decode(wrong)
