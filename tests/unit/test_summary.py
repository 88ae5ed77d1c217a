"""The strategic summary: what it quotes, in which order, under which label; and that a cache never tells what is no more."""

from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import httpx
from hypothesis import given
from hypothesis import strategies as st

from contracts.curating import SummaryDomain, SummaryQuery
from contracts.domains import Clearance, Domain
from contracts.knowledge import Category
from gateway.commands import PARTITION_READ
from projections.strategic import Outlook, StrategicItem, best_first
from projections.summaries import HORIZONS, SCOPES, summarise
from tests.gateway_world import World, run

JSON = dict[str, Any]
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def item(id: str, category: Category, priority: int, content: str = "Plain words.", **changes: Any) -> StrategicItem:  # noqa: A002 - the field's name
    return StrategicItem(
        **{
            "id": id,
            "title": id.upper(),
            "content": content,
            "category": category,
            "label": Clearance.INTERNAL,
            "strategic_priority": priority,
            "expires": None,
            "updated": NOW,
            **changes,
        }
    )


def outlook(domain: SummaryDomain = "business") -> Outlook:
    window = HORIZONS["month"]
    return Outlook(
        categories=SCOPES[domain].categories,
        partitions=tuple(PARTITION_READ),
        since=NOW - window,
        until=NOW + window,
        now=NOW,
    )


def test_every_category_belongs_to_a_domain() -> None:
    assert {category for scope in SCOPES.values() for category in scope.categories} == set(get_args(Category))
    assert all({*scope.risks, *scope.opportunities} <= set(scope.categories) for scope in SCOPES.values())


def test_a_summary_quotes_what_matters_and_names_where_it_stands() -> None:
    items = [
        item(
            "plan", "strategic_planning", 9, "We are many. We should raise prices in March.", label=Clearance.RESTRICTED
        ),
        item("risk", "risk_management", 8, "A list follows. Churn may rise by a third.", label=Clearance.CONFIDENTIAL),
        item("deal", "partnership_opportunities", 7, "They asked. Their customers would grow ours."),
        *(item(f"more{number}", "strategic_planning", 7) for number in range(4)),
        item("low", "human_resources", 2, expires=NOW + timedelta(days=3)),
    ]
    made = summarise(SummaryQuery(domain="business", horizon="month"), outlook(), items)
    assert [one.items for one in made.priorities] == [("plan",), ("risk",), ("deal",), ("more0",), ("more1",)]
    assert [one.items[0] for one in made.key_insights] == ["plan", "more0", "more1", "deal", "risk"]
    assert [one.text for one in made.risks] == ["RISK: Churn may rise by a third."]
    assert [one.text for one in made.opportunities] == ["DEAL: Their customers would grow ours."]
    assert [one.text for one in made.recommendations] == [
        "We should raise prices in March.",
        "Review 'LOW': it expires at 2026-11-24 12:00 UTC.",
    ]
    assert (made.label, made.items) == (Clearance.RESTRICTED, len(items))
    assert summarise(SummaryQuery(domain="business"), outlook(), []).label is Clearance.PUBLIC


@given(
    st.sampled_from(get_args(SummaryDomain)),
    st.lists(
        st.builds(
            item,
            id=st.uuids().map(str),
            category=st.sampled_from(get_args(Category)),
            priority=st.integers(1, 10),
            content=st.text(max_size=60) | st.sampled_from(["You should. We must grow. Risk!", "# Only a heading"]),
            label=st.sampled_from(Clearance),
            updated=st.datetimes(timezones=st.just(UTC)),
        ),
        max_size=30,
    ),
)
def test_any_items_are_summed_up_the_same_way_in_bounds_and_under_the_label_of_what_is_shown(
    domain: SummaryDomain, items: list[StrategicItem]
) -> None:
    query, mine = SummaryQuery(domain=domain), [one for one in items if one.category in SCOPES[domain].categories]
    made = summarise(query, outlook(domain), sorted(mine, key=best_first))
    otherwise = sorted(mine, key=lambda one: one.id)
    assert made == summarise(query, outlook(domain), sorted(otherwise, key=best_first))
    known = {one.id: one for one in mine}
    parts = (made.priorities, made.key_insights, made.risks, made.opportunities, made.recommendations)
    shown = [one for part in parts for one in part]
    assert all(one.label == known[one.items[0]].label for one in shown)
    assert made.items == sum(one.label <= made.label for one in mine)  # More would tell of what is above the label.
    assert made.label == max((one.label for one in shown), default=Clearance.PUBLIC)
    assert all(one.strategic_priority >= 7 for one in made.key_insights)
    assert all(len(part) <= 5 for part in (made.priorities, made.risks, made.opportunities, made.recommendations))
    for category in get_args(Category):
        assert sum(one.category == category for one in made.key_insights) <= 3


SAID: JSON = {"content": "We must win.", "category": "strategic_planning", "strategic_priority": 9}


async def add(client: httpx.AsyncClient, title: str, level: str = "internal", **changes: object) -> str:
    answer = await client.post("/v1/knowledge", json={**SAID, "title": title, "confidentiality": level, **changes})
    assert answer.status_code == 201, answer.text
    return answer.headers["Location"]


async def told(client: httpx.AsyncClient, **query: str) -> tuple[list[str], str]:
    answer = await client.get("/v1/knowledge/summary", params={"domain": "business", **query})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    return [one["text"].partition(":")[0] for one in found["priorities"]], found["label"]


def test_a_summary_changes_with_the_knowledge_and_tells_nobody_what_he_may_not_know() -> None:
    async def body() -> None:
        everything = Clearance.TOP_SECRET
        async with (
            World() as world,
            world.client("admin", name="root", clearance=everything) as root,
            world.client("cross_domain_user", clearance=Clearance.INTERNAL) as ann,
            world.client("read_only", clearance=Clearance.INTERNAL, name="eve") as eve,
        ):
            path = await add(root, "Open")
            await add(root, "Secret", "top_secret", strategic_priority=10)
            await add(root, "Elsewhere", category="market_intelligence")
            for _ in range(2):  # The second is out of the cache.
                assert await told(root) == (["Secret", "Open"], "top_secret")
                assert await told(ann) == await told(eve) == (["Open"], "internal")
            assert len(world.services.cache._entries) == 2  # Ann's is Eve's: they are cleared for the same.
            changed = {**SAID, "title": "Renamed", "confidentiality": "internal"}
            assert (await root.put(path, json=changed)).status_code == 200
            assert await told(ann) == (["Renamed"], "internal")
            raised = {**changed, "confidentiality": "restricted"}
            assert (await root.put(path, json=raised)).status_code == 200
            assert await told(ann) == ([], "public")
            assert (await root.delete(path)).status_code == 204
            assert await told(root) == (["Secret"], "top_secret")
            assert await told(root, domain="market", horizon="week") == (["Elsewhere"], "internal")

    run(body)


def test_of_a_partition_that_one_may_not_read_nothing_is_summed_up() -> None:
    async def body() -> None:
        async with (
            World() as world,
            world.client("cross_domain_user") as ann,
            world.client("sophia_user", name="sue") as sue,
        ):
            await add(ann, "Code", partition="artemis_technical")
            assert await told(ann) == (["Code"], "internal")
            assert await told(sue) == ([], "public")

    run(body)


def test_what_expires_is_in_no_summary_from_that_moment_on_not_even_out_of_the_cache() -> None:
    async def body() -> None:
        async with World() as world, world.client("cross_domain_user") as ann:
            passed = timedelta()
            object.__setattr__(world.services, "clock", lambda: datetime.now(UTC) + passed)
            expires = datetime.now(UTC) + timedelta(days=2)
            await add(ann, "Passing", expires=expires.isoformat())
            recorded = len(await world.log.follow(Domain.CEO, ("log",), after=0).__anext__())
            assert await told(ann) == (["Passing"], "internal")
            passed = timedelta(days=2)
            assert await told(ann) == ([], "public")
            assert len(await world.log.follow(Domain.CEO, ("log",), after=0).__anext__()) == recorded

    run(body)
