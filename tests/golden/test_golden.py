"""Golden histories: everything that any version of this code ever recorded can be read, folded and proved, for ever."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st
from msgspec import inspect

from actors.roster import ACTORS
from contracts import subjects, upcasting
from contracts.catalogue import EVENTS, decode_event, tag
from contracts.domains import Domain
from contracts.envelope import Record, Stored, from_headers, to_headers
from contracts.stored import StoredDecoder
from contracts.subjects import ActorRef
from runtime import snapshots
from runtime.actor import AnyActor
from runtime.chain import broken_at
from runtime.live import KERNEL_TYPES, fold
from runtime.snapshots import Live
from tests.golden.freeze import FOLDER, MANIFEST, FrozenHistory, digests

KINDS: dict[str, AnyActor] = {actor.kind: actor for actors in ACTORS.values() for actor in actors}
HISTORIES = {
    path.stem: msgspec.json.decode(path.read_bytes(), type=FrozenHistory)
    for path in sorted((FOLDER / "histories").glob("*.json"))
}
SINGLE = {path.stem: path.read_bytes() for path in sorted((FOLDER / "events").glob("*.json"))}
BODIES = {
    **SINGLE,
    **{f"{name} {one.sequence}": one.body.encode() for name, frozen in HISTORIES.items() for one in frozen.records},
}
REF = ActorRef(Domain.SOPHIA, "conversation", "c1")


def stored(frozen: FrozenHistory) -> list[Stored]:
    return [
        Stored(subjects.log(REF), one.sequence, Record(from_headers(one.headers), one.body.encode()))
        for one in frozen.records
    ]


def folded(actor: AnyActor, records: Sequence[Stored]) -> Live:
    live = Live(REF, 1, actor.initial)
    fold(actor, live, records)
    return live


def what(live: Live) -> tuple[object, ...]:
    buckets = live.handled.buckets()
    return live.state, live.sequence, live.hash, live.fresh, buckets, live.subject, live.partition


def test_no_frozen_file_was_edited_or_lost() -> None:
    assert digests() == json.loads(MANIFEST.read_text()), (
        "a frozen file changed: put it back; if one was added: python -m tests.golden.freeze"
    )


def test_every_event_type_and_every_kind_is_frozen() -> None:
    frozen = {json.loads(body)["type"] for body in BODIES.values()}
    today = {upcasting.current(one) for one in frozen}
    assert {tag(kind) for kind in EVENTS} <= today, "add a sample and run python -m tests.golden.freeze"
    assert set(upcasting.UPCASTERS) <= frozen, "an old shape without a frozen sample"
    assert set(KINDS) == {frozen.kind for frozen in HISTORIES.values()}


def test_every_field_of_every_event_is_frozen_with_something_in_it() -> None:
    """However deep it is: what may be left out is said by one sample at least."""
    said: set[tuple[type, str]] = set()
    for body in BODIES.values():
        _add_said(decode_event(json.loads(body)["type"], body), said)
    fields: dict[type, set[str]] = {}
    for kind in EVENTS:
        _add_fields(inspect.type_info(kind), fields)
    missing = {
        f"{kind.__name__}.{name}" for kind, names in fields.items() for name in names if (kind, name) not in said
    }
    assert missing == set(), "add a sample that says them and run python -m tests.golden.freeze"


def _add_said(value: object, said: set[tuple[type, str]]) -> None:
    """The fields of it, and of all in it, that are not as they are when nothing is said."""
    if isinstance(value, msgspec.Struct):
        for field in msgspec.structs.fields(value):
            held = getattr(value, field.name)
            made = field.default_factory
            default = field.default if made is msgspec.NODEFAULT else made()
            if held is not msgspec.UNSET and (default is msgspec.NODEFAULT or held != default):
                said.add((type(value), field.name))
            _add_said(held, said)
    elif isinstance(value, dict | tuple | list):
        for one in value.values() if isinstance(value, dict) else value:
            _add_said(one, said)


def _add_fields(info: inspect.Type, fields: dict[type, set[str]]) -> None:
    """Of every struct that a value of this type may have in it."""
    match info:
        case inspect.StructType() if info.cls not in fields:
            fields[info.cls] = {field.name for field in info.fields}
            inner = [field.type for field in info.fields]
        case inspect.UnionType():
            inner = list(info.types)
        case inspect.TupleType():
            inner = list(info.item_types)
        case inspect.ListType() | inspect.VarTupleType() | inspect.SetType() | inspect.FrozenSetType():
            inner = [info.item_type]
        case inspect.DictType():
            inner = [info.key_type, info.value_type]
        case _:
            inner = []
    for one in inner:
        _add_fields(one, fields)


def _kept(frozen: Any, today: Any) -> Any:
    """What today's form holds of a frozen one: fields that were added since are left out, however deep they are."""
    if isinstance(frozen, dict) and isinstance(today, dict):
        return {name: _kept(value, today.get(name)) for name, value in frozen.items() if name in today}
    if isinstance(frozen, list) and isinstance(today, list) and len(frozen) == len(today):
        return [_kept(*pair) for pair in zip(frozen, today, strict=True)]
    return today


@pytest.mark.parametrize("name", BODIES)
def test_every_frozen_event_can_be_read_and_loses_nothing(name: str) -> None:
    fields = json.loads(BODIES[name])
    event = decode_event(fields["type"], BODIES[name])
    again = json.loads(msgspec.json.encode(event))
    if fields["type"] not in upcasting.UPCASTERS:
        assert _kept(fields, again) == fields
    assert StoredDecoder(type(event)).decode(msgspec.json.encode(event)) == event


@pytest.mark.parametrize("name", HISTORIES)
def test_every_frozen_history_is_proved_and_folds_to_its_state(name: str) -> None:
    frozen = HISTORIES[name]
    records, actor = stored(frozen), KINDS[frozen.kind]
    assert broken_at(records) is None
    assert [to_headers(one.record.envelope) for one in records] == [one.headers for one in frozen.records]
    live = folded(actor, records)
    decoder: StoredDecoder[object] = StoredDecoder(type(actor.initial))
    assert live.state == decoder.decode(bytes(frozen.state))
    assert all(one.headers["Diarchy-Causation"] in live.handled for one in frozen.records)


@pytest.mark.parametrize("name", HISTORIES)
def test_a_snapshot_at_any_point_and_the_rest_is_the_whole(name: str) -> None:
    frozen = HISTORIES[name]
    records, actor = stored(frozen), KINDS[frozen.kind]
    whole = folded(actor, records)
    for cut in range(len(records) + 1):
        part = folded(actor, records[:cut])
        again = snapshots.unpack(actor, REF, snapshots.pack(part))
        assert what(again) == what(part)
        snapshot = snapshots.seal_snapshot(actor, snapshots.pack(part))
        opened = snapshots.open_snapshot(actor, REF, snapshot)
        assert opened is not None
        fold(actor, opened, records[cut:])
        opened.fresh = whole.fresh
        assert what(opened) == what(whole)


@pytest.mark.parametrize("kind", KINDS)
def test_any_events_of_a_kind_survive_a_snapshot(kind: str) -> None:
    actor = KINDS[kind]
    events = [
        actor.decode_event(one.body.encode())
        for frozen in HISTORIES.values()
        for one in frozen.records
        if frozen.kind == kind and one.headers["Diarchy-Type"] not in KERNEL_TYPES
    ]

    @settings(max_examples=60, deadline=None)
    @for_all(st.lists(st.sampled_from(events), max_size=12), st.lists(st.uuids().map(str), max_size=90))
    def body(chosen: list[object], ids: list[str]) -> None:
        live = Live(REF, 1, actor.initial)
        for event in chosen:
            live.state = actor.evolve(live.state, event)
        for one in ids:
            live.handled.add(one)
        again = snapshots.unpack(actor, REF, snapshots.pack(live))
        assert what(again) == what(live)
        assert all(one in again.handled for one in ids)

    body()
