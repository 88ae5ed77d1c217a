"""What readers are told: never anything above their clearance, never a record twice or not at all, never without a bound."""

import asyncio
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from contracts.catalogue import tag
from contracts.conversation import Asked, SessionStarted
from contracts.domains import Clearance, Domain
from contracts.envelope import Event
from contracts.ids import keyed_id
from contracts.kernel import Unchanged
from contracts.knowledge import (
    Imported,
    Knowledge,
    KnowledgeAdded,
    KnowledgeDeleted,
    KnowledgeExpired,
    KnowledgeUpdated,
    outline,
)
from contracts.subjects import ActorRef
from projections import analyses, collaborations, knowledge, messages, runs, sessions, users
from projections.strategic import CATEGORY_ITEMS_MAX, Outlook, knowledge_epoch, strategic_items
from runtime.errors import InvalidError
from runtime.read_models import Db
from tests.histories import OWNERS, START, History, answered, item
from tests.projecting import read_models

TOP = Clearance.TOP_SECRET
OUTLOOK = Outlook(
    categories=("risk_management",),
    partitions=("ceo_knowledge",),
    since=START - timedelta(days=1),
    until=START + timedelta(days=30),
    now=START,
)
SOPHIA = Domain.SOPHIA


async def everything(db: Db, clearance: Clearance) -> list[tuple[str, Clearance]]:
    """What every query tells this reader: which thing, and how confidential it is."""
    told: list[tuple[str, Clearance]] = []
    listed = (await sessions.list_sessions(db, clearance=clearance, limit=200)).items
    told += [(f"session {one.domain}/{one.id}", one.label) for one in listed]
    for number in range(8):
        session = await sessions.get_session(db, f"c{number}", clearance=clearance, domain=SOPHIA)
        told += [(f"one session {session.id}", session.label)] if session else []
        for turn in (await messages.list_turns(db, f"c{number}", clearance=clearance, limit=200)).items:
            told.append((f"turn {turn.domain}/{turn.session}/{turn.turn}", turn.label))
        got = await analyses.get_analysis(db, f"a{number}", clearance=clearance)
        told += [(f"one analysis {got.id}", got.label)] if got else []
        asked = await collaborations.get_collaboration(db, f"k{number}", clearance=clearance)
        told += [(f"one collaboration {asked.id}", asked.label)] if asked else []
        known = await knowledge.get_item(db, f"i{number}", clearance=clearance, now=START)
        told += [(f"one item {known.id}", max(known.label, known.confidentiality))] if known else []
    told += [(f"analysis {one.id}", one.label) for one in (await analyses.list_analyses(db, clearance=clearance)).items]
    told += [
        (f"collaboration {one.id}", one.label)
        for one in (
            await collaborations.list_collaborations(
                db, collaborations.CollaborationFilter(now=START), clearance=clearance, limit=200
            )
        ).items
    ]
    items = (await knowledge.list_items(db, clearance=clearance, now=START)).items
    told += [(f"item {one.id}", max(one.label, one.confidentiality)) for one in items]
    told += [(f"outlook {one.id}", one.label) for one in await strategic_items(db, OUTLOOK, clearance=clearance)]
    present = await present_labels(db)
    found = await runs.list_events(db, runs.EventFilter(), clearance=clearance, limit=1_000)
    told += [(f"event {one.domain}/{one.sequence}", effective(one, present)) for one in found.records]
    correlations = [record.correlation for record in found.records]
    for by in {record.principal for record in found.records}:
        indexed = {
            one.correlation
            for one in found.records
            if (one.principal, one.kind) == (by, runs.KNOWLEDGE_ITEM)
            and (one.effect == runs.INDEX_EFFECT or one.type == tag(Unchanged))
        }
        assert set(await runs.indexed(db, correlations, by=by, clearance=clearance)) == indexed
    for record in found.records:
        run = await runs.get_run(db, record.correlation, clearance=clearance)
        assert run is not None
        assert clearance < TOP or await runs.label_of_run(db, record.correlation) == run.label
        told += [(f"run {one.id}", effective(one, present)) for one in run.records] if run else []
    return told


async def present_labels(db: Db) -> dict[str, Clearance]:
    """How confidential each knowledge item is now: as its last event says."""
    wanted = runs.EventFilter(kind=runs.KNOWLEDGE_ITEM, lane="log")
    found = await runs.list_events(db, wanted, clearance=TOP, limit=1_000)
    return {record.actor: record.label for record in sorted(found.records, key=lambda record: record.sequence)}


def effective(record: runs.RunRecord, present: dict[str, Clearance]) -> Clearance:
    """A record tells as much as it was labelled with, and one about a knowledge item as much as that is labelled with now."""
    is_item = record.kind == runs.KNOWLEDGE_ITEM
    return max(record.label, present.get(record.actor, TOP)) if is_item else record.label


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_no_query_tells_anything_above_the_clearance_and_every_one_tells_all_below(seed: int) -> None:
    async def scenario() -> None:
        history = History(seed)
        await history.some(120)
        async with read_models(history.log) as (db, _):
            cleared = await everything(db, TOP)
            assert len(cleared) > 120
            for clearance in Clearance:
                told = await everything(db, clearance)
                wanted = [one for one in cleared if one[1] <= clearance]
                # A turn id may exist in two domains: alone it is looked up by its session's and its own id only.
                assert {one for one in told if not one[0].startswith("one turn")} == {
                    one for one in wanted if not one[0].startswith("one turn")
                }
                assert all(label <= clearance for _, label in told)

    asyncio.run(scenario())


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**32), limit=st.integers(1, 9), clearance=st.sampled_from(Clearance))
def test_pages_of_events_tell_each_record_once_also_those_that_come_meanwhile(
    seed: int, limit: int, clearance: Clearance
) -> None:
    async def scenario() -> None:
        history = History(seed)
        await history.some(30)
        async with read_models(history.log) as (db, reached):
            seen: list[tuple[Domain, int]] = []
            items: set[tuple[Domain, int]] = set()
            cursor: str | None = None
            for turn in range(200):
                page = await runs.list_events(db, runs.EventFilter(), clearance=clearance, limit=limit, cursor=cursor)
                assert len(page.records) <= limit
                seen += [(record.domain, record.sequence) for record in page.records]
                items |= {(one.domain, one.sequence) for one in page.records if one.kind == runs.KNOWLEDGE_ITEM}
                cursor = page.next
                if turn < 3:
                    await history.some(10)
                    await reached.all_of(history.log)
                elif not page.records:
                    break
            whole = await runs.list_events(db, runs.EventFilter(), clearance=clearance, limit=1_000)
            assert len(seen) == len(set(seen))
            last = {(record.domain, record.sequence) for record in whole.records}
            items |= {(one.domain, one.sequence) for one in whole.records if one.kind == runs.KNOWLEDGE_ITEM}
            assert last - items <= set(seen)  # An item may have been lowered since he passed it by,
            assert set(seen) - last <= items  # or raised above him.
            assert [record.time for record in whole.records] == sorted(record.time for record in whole.records)

    asyncio.run(scenario())


def test_events_are_filtered_and_a_stream_can_begin_at_the_end() -> None:
    async def scenario() -> None:
        history = History(1)
        await history.some(300)
        async with read_models(history.log) as (db, reached):
            end = await runs.end_of_events(db)
            assert (await runs.list_events(db, runs.EventFilter(), clearance=TOP, cursor=end)).records == ()
            every = (await runs.list_events(db, runs.EventFilter(), clearance=TOP, limit=1_000)).records
            some = every[40]
            middle, later = every[100].time, every[200].time
            for wanted, holds in (
                (runs.EventFilter(domain=SOPHIA), lambda one: one.domain is SOPHIA),
                (
                    runs.EventFilter(kind="analysis", actor="a1"),
                    lambda one: (one.kind, one.actor) == ("analysis", "a1"),
                ),
                (runs.EventFilter(type=some.type), lambda one: one.type == some.type),
                (runs.EventFilter(correlation=some.correlation), lambda one: one.correlation == some.correlation),
                (runs.EventFilter(lane="run"), lambda one: one.lane == "run"),
                (runs.EventFilter(since=middle, until=later), lambda one: middle <= one.time <= later),
            ):
                page = await runs.list_events(db, wanted, clearance=TOP, limit=1_000)
                assert [one.id for one in page.records] == [one.id for one in every if holds(one)]
                assert page.records
            new = ActorRef(SOPHIA, "conversation", "new")
            await history.add(new, SessionStarted(owner="ada", title="t", context_type="business"))
            await reached.all_of(history.log)
            page = await runs.list_events(db, runs.EventFilter(), clearance=TOP, cursor=end, bodies=True)
            assert [(one.actor, '"owner":"ada"' in one.body) for one in page.records] == [("new", True)]

    asyncio.run(scenario())


def test_a_run_is_told_in_order_with_its_effects_and_without_password_hashes() -> None:
    async def scenario() -> None:
        history = History(8)
        await history.some(400)
        async with read_models(history.log) as (db, _):
            page = await runs.list_events(db, runs.EventFilter(kind="user"), clearance=TOP, bodies=True)
            assert page.records
            assert not any("argon2id" in one.body for one in page.records)
            user = await users.get_user(db, "ada")
            assert user is not None
            assert user.password_hash.startswith("$argon2id$")
            assert await users.get_user(db, "nobody") is None
            effects = (await runs.list_events(db, runs.EventFilter(type="runtime.effect.v1"), clearance=TOP)).records
            assert {one.effect for one in effects} >= {"chat", "now", ""}  # "" where the body cannot be read
            run = await runs.get_run(db, effects[0].correlation, clearance=TOP)
            assert run is not None
            assert (run.effects, run.records[0].causation) == (1, effects[0].causation)
            assert await runs.get_run(db, keyed_id("none"), clearance=TOP) is None

    asyncio.run(scenario())


def test_lists_are_paged_newest_first_and_owners_see_their_own() -> None:
    async def scenario() -> None:
        history = History(9)
        for number in range(25):
            actor = ActorRef(SOPHIA, "conversation", f"c{number}")
            owner = OWNERS[number % 3]
            await history.add(actor, SessionStarted(owner=owner, title="t", context_type="business"))
        talk = ActorRef(SOPHIA, "conversation", "c0")
        for number in range(7):
            await history.add(talk, Asked(turn=f"t{number}", by="ada", text="?"))
            await history.add(talk, answered(f"t{number}", Clearance.PUBLIC))
        async with read_models(history.log) as (db, _):
            ids: list[str] = []
            cursor: str | None = None
            while True:
                page = await sessions.list_sessions(db, clearance=TOP, owner="ada", limit=4, cursor=cursor)
                ids += [one.id for one in page.items]
                cursor = page.next
                if cursor is None:
                    break
            assert ids == [f"c{number}" for number in range(24, -1, -3)]
            first = await messages.list_turns(db, "c0", clearance=TOP, owner="ada", limit=5)
            rest = await messages.list_turns(db, "c0", clearance=TOP, owner="ada", limit=5, cursor=first.next)
            assert [one.turn for one in (*first.items, *rest.items)] == [f"t{number}" for number in range(6, -1, -1)]
            assert first.items[0].status == "answered"
            assert first.items[0].evidence[0].title == "t\ufffd"
            assert (await messages.list_turns(db, "c0", clearance=TOP, owner="ben")).items == ()
            assert await sessions.get_session(db, "c0", clearance=TOP, owner="ben") is None
            session = await sessions.get_session(db, "c0", clearance=TOP, owner="ada")
            assert session is not None
            assert session.turns == 7

    asyncio.run(scenario())


def test_expired_knowledge_is_not_told_and_items_are_found_by_ids_and_filters() -> None:
    async def scenario() -> None:
        history = History(10)
        now = START + timedelta(days=1)
        for number in range(6):
            expires = now if number == 0 else None
            said = KnowledgeAdded(by="ada", knowledge=item(Clearance.PUBLIC, 1 + number, expires))
            await history.add(ActorRef(Domain.CEO, "knowledge_item", f"i{number}"), said)
        async with read_models(history.log) as (db, _):
            found = await knowledge.get_items(db, ["i0", "i1", "i9"], clearance=TOP, now=now)
            assert [one.id for one in found] == ["i1"]
            assert found[0].knowledge() == item(Clearance.PUBLIC, 2)
            page = await knowledge.list_items(db, clearance=TOP, now=now, priority_min=4, limit=2)
            rest = await knowledge.list_items(db, clearance=TOP, now=now, priority_min=4, limit=2, cursor=page.next)
            assert [one.id for one in (*page.items, *rest.items)] == ["i5", "i4", "i3"]
            none = await knowledge.list_items(db, clearance=TOP, now=now, category="human_resources")
            assert none.items == ()
            assert (await knowledge.list_items(db, clearance=TOP, now=now, partitions=())).items == ()

    asyncio.run(scenario())


def test_imports_are_told_to_their_owner_in_pages_until_they_end() -> None:
    async def scenario() -> None:
        history = History(12)

        async def say(number: int, event: Event, label: Clearance = Clearance.PUBLIC) -> None:
            await history.add(ActorRef(Domain.CEO, "knowledge_item", f"i{number}"), event, label=label)

        def place(number: int, digest: str, collection: str = "c") -> Imported:
            return Imported(collection=collection, key=f"{number}.md", digest=digest)

        for number in range(7):
            said = item(Clearance.PUBLIC)
            by = "ben" if number == 6 else "ada"
            await say(number, KnowledgeAdded(by=by, knowledge=said, imported=place(number, "old")))
        await say(7, KnowledgeAdded(by="ada", knowledge=item(Clearance.PUBLIC), imported=place(7, "old", "other")))
        await say(8, KnowledgeAdded(by="ada", knowledge=item(Clearance.PUBLIC)))
        await say(9, KnowledgeAdded(by="ben", knowledge=item(Clearance.PUBLIC)))
        await say(10, KnowledgeAdded(by="ada", knowledge=item(Clearance.PUBLIC)))
        await say(11, KnowledgeAdded(by="ada", knowledge=item(Clearance.RESTRICTED)), Clearance.RESTRICTED)
        changed, raised = item(Clearance.PUBLIC, 9), item(Clearance.RESTRICTED)
        update = KnowledgeUpdated(by="ben", knowledge=changed, previous_partition="ceo_knowledge")
        await say(0, update)  # by hand: what it was made of stays
        await say(1, structs.replace(update, imported=place(1, "new")))
        await say(2, structs.replace(update, knowledge=raised), Clearance.RESTRICTED)
        await say(3, KnowledgeDeleted(by="ada", partition="ceo_knowledge"))
        await say(4, KnowledgeExpired(partition="ceo_knowledge", previous=outline(changed)))
        async with read_models(history.log) as (db, _):

            async def told(clearance: Clearance, limit: int) -> list[tuple[str, str]]:
                rows: list[tuple[str, str]] = []
                cursor: str | None = None
                while True:
                    page = await knowledge.list_imports(
                        db, "c", owner="ada", clearance=clearance, now=START, limit=limit, cursor=cursor
                    )
                    rows += [(one.place, one.digest) for one in page.items]
                    cursor = page.next
                    if cursor is None:
                        return rows

            public = [("0.md", "old"), ("1.md", "new"), ("5.md", "old")]
            assert await told(Clearance.PUBLIC, 2) == await told(Clearance.PUBLIC, 200) == public
            assert await told(TOP, 1) == [*public[:2], ("2.md", "old"), public[2]]
            with pytest.raises(InvalidError):
                await knowledge.list_imports(db, "c", owner="ada", clearance=TOP, now=START, cursor="x")
            for owner, expected in (("ada", {"c", "other"}), ("ben", {"c"}), ("eve", set[str]())):
                among = ["c", "other", "none"]
                known = await knowledge.collections(db, among, owner=owner, clearance=TOP, now=START)
                assert set(known) == expected
            loose: list[str] = []
            cursor: str | None = None
            while not loose or cursor:
                page = await knowledge.list_loose(
                    db, owner="ada", clearance=Clearance.PUBLIC, now=START, limit=1, cursor=cursor
                )
                loose += [one.id for one in page.items]
                cursor = page.next
            assert loose == ["i10", "i8"]

    asyncio.run(scenario())


def test_an_outlook_holds_the_best_of_each_category_that_changed_or_will_expire() -> None:
    async def scenario() -> None:
        history = History(13)

        async def say(name: str, knowledge: Knowledge) -> None:
            actor = ActorRef(Domain.CEO, "knowledge_item", name)
            await history.add(actor, KnowledgeAdded(by="ada", knowledge=knowledge), label=knowledge.confidentiality)

        plain = item(Clearance.INTERNAL, 4)
        await say("long", structs.replace(plain, content="long " * 2_000, strategic_priority=6))
        await say("elsewhere", structs.replace(plain, partition="artemis_technical"))
        await say("other", structs.replace(plain, category="human_resources"))
        await say("secret", structs.replace(plain, confidentiality=TOP))
        await say("soon", structs.replace(plain, expires=START + timedelta(days=20)))
        await say("past", structs.replace(plain, expires=START))
        for number in range(CATEGORY_ITEMS_MAX + 2):
            await say(f"low{number:02}", item(Clearance.PUBLIC, 1))
        async with read_models(history.log) as (db, reached):
            before = await knowledge_epoch(db)
            found = await strategic_items(db, OUTLOOK, clearance=Clearance.INTERNAL)
            assert len(found) == CATEGORY_ITEMS_MAX
            assert [one.id for one in found[:3]] == ["long", "soon", f"low{CATEGORY_ITEMS_MAX + 1}"]
            assert len(found[0].content) == 4_000
            assert "secret" in {one.id for one in await strategic_items(db, OUTLOOK, clearance=TOP)}
            late = structs.replace(OUTLOOK, since=START + timedelta(days=10))
            assert [one.id for one in await strategic_items(db, late, clearance=TOP)] == ["soon"]
            await say("more", plain)
            await reached.all_of(history.log)
            assert await knowledge_epoch(db) != before

    asyncio.run(scenario())


def test_limits_and_cursors_are_checked() -> None:
    async def scenario() -> None:
        async with read_models(History().log) as (db, _):
            for limit in (0, -1, 1_001):
                with pytest.raises(InvalidError):
                    await runs.list_events(db, runs.EventFilter(), clearance=TOP, limit=limit)
            with pytest.raises(InvalidError):
                await runs.list_events(db, runs.EventFilter(), clearance=TOP, limit=201, bodies=True)
            for cursor in (
                "x",
                "!!",
                "e30",
                "bnVsbA",
                "W1sxLCJhIl1d",
                "A" * 500,
                "W1stMV1d" * 20,
                "W1s5OTk5OTk5OTk5OTk5OTk5OTk5OTldXQ",
            ):
                with pytest.raises(InvalidError):
                    await runs.list_events(db, runs.EventFilter(), clearance=TOP, cursor=cursor)
                with pytest.raises(InvalidError):
                    await sessions.list_sessions(db, clearance=TOP, cursor=cursor)
            for text in ("\0", "a\0b", "\ud800"):
                with pytest.raises(InvalidError):
                    await sessions.get_session(db, text, clearance=TOP)

    asyncio.run(scenario())
