"""A knowledge item over time: what its source, its readers and its timer make of it."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from actors.ceo.knowledge_item import State, knowledge_item
from contracts import subjects
from contracts.catalogue import decode_event
from contracts.domains import Clearance, Domain
from contracts.knowledge import (
    AddKnowledge,
    DeclassifyKnowledge,
    DeleteKnowledge,
    ExpireKnowledge,
    Imported,
    ImportKnowledge,
    Knowledge,
    KnowledgeAdded,
    KnowledgeDeclassified,
    KnowledgeDeleted,
    KnowledgeExpired,
    KnowledgeUpdated,
    UpdateKnowledge,
    digest,
    outline,
)
from contracts.subjects import ActorRef
from runtime.errors import Rejected
from runtime.testing import given
from tests.kernel_world import World

SOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
LATER = SOON + timedelta(days=30)
FIRST = Knowledge(title="t", content="first", category="risk_management", confidentiality=Clearance.CONFIDENTIAL)
SECOND = msgspec.structs.replace(FIRST, content="second")
BY_HAND = msgspec.structs.replace(FIRST, content="first, corrected")
PASSING = msgspec.structs.replace(FIRST, expires=SOON)


def at(knowledge: Knowledge) -> Imported:
    return Imported(collection="handbook", key="a.md", digest=digest(knowledge))


def importing(knowledge: Knowledge, clearance: Clearance = Clearance.TOP_SECRET) -> ImportKnowledge:
    return ImportKnowledge(by="ann", clearance=clearance, knowledge=knowledge, imported=at(knowledge))


def updating(knowledge: Knowledge) -> UpdateKnowledge:
    return UpdateKnowledge(by="bob", clearance=Clearance.TOP_SECRET, knowledge=knowledge)


DELETE = DeleteKnowledge(by="bob", clearance=Clearance.TOP_SECRET)


def updated(by: str, knowledge: Knowledge, before: Knowledge, imported: Imported | None = None) -> KnowledgeUpdated:
    return KnowledgeUpdated(
        by=by,
        knowledge=knowledge,
        previous_partition=before.partition,
        previous=outline(before),
        imported=imported,
    )


def test_an_item_that_tells_the_same_follows_the_source_as_it_is_and_no_second_one() -> None:
    sorted_by_hand = msgspec.structs.replace(FIRST, category="human_resources", strategic_priority=9)
    state = given(knowledge_item, KnowledgeAdded(by="ann", knowledge=sorted_by_hand))
    state = state.when(importing(FIRST)).then(updated("ann", sorted_by_hand, sorted_by_hand, at(FIRST)))
    state.when(importing(FIRST)).then()
    state.when(importing(SECOND)).then(updated("ann", SECOND, sorted_by_hand, at(SECOND)))
    other = msgspec.structs.replace(at(SECOND), key="b.md")
    state.when(msgspec.structs.replace(importing(SECOND), imported=other)).rejects("follows a.md in handbook")


def test_a_source_makes_the_item_and_what_it_says_later_updates_it() -> None:
    added = KnowledgeAdded(by="ann", knowledge=FIRST, imported=at(FIRST))
    state = given(knowledge_item).when(importing(FIRST)).then(added)
    state.when(importing(FIRST)).then()
    state.when(importing(SECOND)).then(updated("ann", SECOND, FIRST, at(SECOND))).when(importing(FIRST)).then(
        updated("ann", FIRST, SECOND, at(FIRST))
    )


def test_a_correction_by_hand_stays_until_the_source_changes() -> None:
    state = given(knowledge_item).when(importing(FIRST)).after
    corrected = state.when(updating(BY_HAND)).then(updated("bob", BY_HAND, FIRST))
    corrected.when(importing(FIRST)).then()
    corrected.when(importing(SECOND)).then(updated("ann", SECOND, BY_HAND, at(SECOND)))


def test_a_deleted_item_comes_back_with_its_source_and_an_expired_one_only_if_that_changed() -> None:
    deleted = (
        given(knowledge_item)
        .when(importing(FIRST), DELETE)
        .then(KnowledgeDeleted(by="bob", partition="ceo_knowledge", previous=outline(FIRST)))
    )
    deleted.when(importing(FIRST)).then(KnowledgeAdded(by="ann", knowledge=FIRST, imported=at(FIRST)))
    expired = given(knowledge_item).when(importing(PASSING), ExpireKnowledge(expires=SOON)).after
    expired.when(importing(PASSING)).then()
    expired.when(importing(SECOND)).then(KnowledgeAdded(by="ann", knowledge=SECOND, imported=at(SECOND)))


def test_an_import_does_not_reach_an_item_that_was_raised_above_the_importer() -> None:
    secret = msgspec.structs.replace(FIRST, confidentiality=Clearance.TOP_SECRET)
    state = given(knowledge_item).when(importing(FIRST), updating(secret)).after
    state.when(importing(FIRST, Clearance.CONFIDENTIAL)).rejects("no such")
    state.when(importing(SECOND, Clearance.CONFIDENTIAL)).rejects("no such")


def test_an_import_raises_an_item_but_never_lowers_it_not_even_one_that_was_deleted() -> None:
    secret = msgspec.structs.replace(FIRST, confidentiality=Clearance.TOP_SECRET)
    kept = msgspec.structs.replace(SECOND, confidentiality=Clearance.TOP_SECRET)
    raised = given(knowledge_item).when(importing(FIRST), updating(secret)).after
    raised.when(importing(SECOND)).then(updated("ann", kept, secret, at(SECOND)))
    deleted = raised.when(DELETE).after
    deleted.when(importing(SECOND)).then(KnowledgeAdded(by="ann", knowledge=kept, imported=at(SECOND)))
    deleted.when(importing(SECOND, Clearance.CONFIDENTIAL)).rejects("no such")


def test_an_item_expires_when_it_says_so_and_not_when_it_said_so_before() -> None:
    expired = KnowledgeExpired(partition="ceo_knowledge", previous=outline(PASSING))
    state = given(knowledge_item).when(AddKnowledge(by="ann", knowledge=PASSING)).after
    ended = state.when(ExpireKnowledge(expires=SOON)).then(expired)
    ended.when(ExpireKnowledge(expires=SOON)).then()
    ended.when(updating(FIRST)).rejects("no such")
    ended.when(DELETE).rejects("no such")
    ended.when(AddKnowledge(by="ann", knowledge=FIRST)).then()
    for changed in (FIRST, msgspec.structs.replace(FIRST, expires=LATER)):
        state.when(updating(changed), ExpireKnowledge(expires=SOON)).then()
    state.when(DELETE, ExpireKnowledge(expires=SOON)).then()


def test_the_same_moment_in_another_zone_is_the_same() -> None:
    elsewhere = msgspec.structs.replace(PASSING, expires=SOON.astimezone(timezone(timedelta(hours=5, minutes=30))))
    assert digest(elsewhere) == digest(PASSING) != digest(FIRST)
    given(knowledge_item, KnowledgeAdded(by="ann", knowledge=elsewhere)).when(ExpireKnowledge(expires=SOON)).then(
        KnowledgeExpired(partition="ceo_knowledge", previous=outline(elsewhere))
    )


SAID = st.builds(
    Knowledge,
    title=st.just("t"),
    content=st.sampled_from(["a", "b"]),
    category=st.just("risk_management"),
    confidentiality=st.sampled_from([Clearance.INTERNAL, Clearance.RESTRICTED]),
    expires=st.sampled_from([None, SOON, LATER]),
)
CLEARED = st.sampled_from([Clearance.INTERNAL, Clearance.TOP_SECRET])
MESSAGES = st.one_of(
    SAID.map(lambda said: AddKnowledge(by="ann", knowledge=said)),
    st.builds(importing, SAID, CLEARED),
    st.builds(UpdateKnowledge, by=st.just("bob"), clearance=CLEARED, knowledge=SAID),
    st.builds(
        DeclassifyKnowledge,
        by=st.just("bob"),
        clearance=CLEARED,
        confidentiality=st.sampled_from(Clearance),
        reason=st.just("announced"),
    ),
    st.builds(DeleteKnowledge, by=st.just("bob"), clearance=CLEARED),
    st.sampled_from([SOON, LATER]).map(lambda moment: ExpireKnowledge(expires=moment)),
)


@for_all(st.lists(MESSAGES, max_size=25))
def test_whatever_comes_in_any_order(messages: list[Any]) -> None:
    """Nobody changes what is above him, only its own moment ends an item, only a declassification lowers it, also when it had
    ended, and each event says what was there before."""
    state, level = State(), Clearance.PUBLIC
    for message in messages:
        before = state.knowledge
        try:
            events = knowledge_item.decide(state, message)
        except Rejected:
            wanted = message.knowledge.confidentiality if isinstance(message, UpdateKnowledge) else level
            raised = isinstance(message, DeclassifyKnowledge) and message.confidentiality > level
            assert before is None or level > message.clearance or wanted < level or raised
            continue
        assert len(events) <= 1
        for event in events:
            state = knowledge_item.evolve(state, event)
            lowered = isinstance(event, KnowledgeDeclassified)
            assert event.label < level if lowered else event.label >= level
            level = event.label
            match event:
                case KnowledgeAdded():
                    assert before is None
                case KnowledgeDeclassified(previous=was, knowledge=knowledge):
                    assert before is not None
                    assert (before.confidentiality, before) == (
                        was,
                        msgspec.structs.replace(knowledge, confidentiality=was),
                    )
                    assert was <= message.clearance
                case KnowledgeUpdated(previous=previous) | KnowledgeDeleted(previous=previous):
                    assert before is not None
                    assert previous == outline(before)
                    assert before.confidentiality <= message.clearance
                case KnowledgeExpired():
                    assert before is not None
                    assert before.expires == message.expires
                case _:
                    pytest.fail(f"an event of another kind: {event}")
        if isinstance(message, ImportKnowledge) and state.knowledge is not None:
            assert state.imported == message.imported
        try:
            assert not knowledge_item.decide(state, message)
        except Rejected:
            assert state.knowledge is None or state.knowledge.confidentiality > message.clearance


ITEM = ActorRef(Domain.CEO, "knowledge_item", "0199a8f0-0000-7000-8000-000000000001")


def test_a_year_passes_and_the_item_ends_at_its_moment_only() -> None:
    """On a clock of its own: just before the moment nothing, then the end; beyond the horizon no timer."""

    async def body() -> None:
        async with World(knowledge_item) as world:
            passed = timedelta()
            world.timers._clock = lambda: datetime.now(UTC) + passed
            expires = datetime.now(UTC) + timedelta(days=365)
            year = msgspec.structs.replace(FIRST, expires=expires)
            await world.send(AddKnowledge(by="ann", knowledge=year), ITEM)
            added = (await world.events(ITEM, at_least=1))[0]
            while len(await world.log.read(subjects.run(ITEM, added.record.envelope.id))) < 2:
                await world.broker.logs[Domain.CEO].change(0.05)
            passed = timedelta(days=364)
            world.timers.fire()
            assert [one.when for one in await world.timers.list(Domain.CEO)] == [expires]
            passed = timedelta(days=365)
            world.timers.fire()
            ended = (await world.events(ITEM, at_least=2))[1].record
            assert ended.envelope.label is Clearance.CONFIDENTIAL
            assert decode_event(ended.envelope.type, ended.body) == KnowledgeExpired(
                partition="ceo_knowledge", previous=outline(year)
            )
            other = ActorRef(Domain.CEO, "knowledge_item", "0199a8f0-0000-7000-8000-000000000002")
            never = msgspec.structs.replace(FIRST, expires=datetime(8_000, 1, 1, tzinfo=UTC))
            await world.send(AddKnowledge(by="ann", knowledge=never), other)
            await world.send(updating(SECOND), other)
            updated_ = (await world.events(other, at_least=2))[1]
            while not await world.log.read(subjects.run(other, updated_.record.envelope.id)):
                await world.broker.logs[Domain.CEO].change(0.05)
            assert await world.timers.list(Domain.CEO) == []

    asyncio.run(asyncio.wait_for(body(), 20))


def test_fields_that_its_partition_does_not_have_are_refused_whoever_sends_them() -> None:
    wrong = msgspec.structs.replace(FIRST, fields={"client": "Acme"})
    state = given(knowledge_item)
    for message in (AddKnowledge(by="ann", knowledge=wrong), importing(wrong)):
        state.when(message).rejects("ceo_knowledge has owner, quarter")
    right = msgspec.structs.replace(FIRST, fields={"owner": "Ann"})
    state = state.when(AddKnowledge(by="ann", knowledge=right)).then(KnowledgeAdded(by="ann", knowledge=right))
    state.when(updating(wrong)).rejects("ceo_knowledge has owner, quarter")
    plain = state.when(updating(FIRST)).then(updated("bob", FIRST, right))
    plain.when(updating(msgspec.structs.replace(FIRST, fields={}))).then()


def test_without_fields_an_item_is_written_as_before_there_were_any() -> None:
    assert b"fields" not in msgspec.json.encode(FIRST)
    assert digest(msgspec.structs.replace(FIRST, fields={"owner": "Ann"})) != digest(FIRST)
