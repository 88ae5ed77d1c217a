"""Deleted, expired, updated, re-labelled: gone or changed in search, for people and for agents, in what a domain was told of it,
from every cache, and in an index built anew.

`python -m bench.index` measures how long that takes; here it is shown that it holds once the change's effect on the index is
recorded.
"""

import asyncio
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any, TypeVar

import httpx
import pytest

from adapters.jetstream_rpc import NatsRpc
from adapters.retrieval import RemoteRetrieval
from adapters.vector_admin import RemoteVectors
from contracts.domains import Clearance, Domain, Partition
from contracts.facts import announced_entry
from contracts.retrieval import Entry, Query
from deploy.stack import broker
from runtime.ports import Rpc
from runtime.telemetry import NoTelemetry
from tests.acceptance.test_main_job import learn
from tests.stack import ROOT, Stack, ok

PARTITION: Partition = "research_data"
TOLD: Partition = "sophia_business"
"""Where Sophia finds what she is told of the item."""

PAGE = 500
_LOOKUPS = re.compile(r'diarchy_cache_lookups_total\{outcome="l[12]",role="\w+",space="(\w+)"\} ([\d.e+]+)')
T = TypeVar("T")


class Item:
    """A knowledge item about one thing of its own, as its readers find it."""

    def __init__(self, stack: Stack, admin: httpx.Client, reader: httpx.Client, about: str) -> None:
        self.stack = stack
        self._admin = admin
        self._reader = reader
        self._asked = cycle((f"Where is the {about} moved?", f"Where is the {about.upper()} moved"))
        self.body: dict[str, Any] = {
            "title": f"The {about} plan",
            "content": f"The {about} is moved to the new harbour.",
            "category": "strategic_planning",
            "confidentiality": "internal",
            "strategic_priority": 10,
            "partition": PARTITION,
        }
        self.id = ""

    def add(self, **changes: object) -> None:
        """Until it is found everywhere, and out of the caches."""
        self.body |= changes
        self.id = learn(self._admin, self.body)
        assert self.everywhere() == {self.body["content"]}
        self._answers(space="searches", of=self.found_by_agents)
        self._answers(space="summary", of=self.summed_up)
        self.until_told(self.body["title"])

    def _answers(self, space: str, of: Callable[[], str | None]) -> None:
        """Ask until a cache has answered."""
        before = self._hits(space)
        while self._hits(space) == before:  # A record in between empties it, so it may have to be asked more than once.
            assert of() == self.body["content"]

    def _hits(self, space: str) -> float:
        lookups = _LOOKUPS.findall(self._admin.get("/metrics").text)
        return sum(float(count) for name, count in lookups if name == space)

    def change(self, method: str, path: str = "", **changes: object) -> None:
        """Until the run of the change has recorded its effect on the index."""
        self.body |= changes
        content = {"PUT": self.body, "DELETE": None}.get(method, changes)
        response = self._admin.request(method, f"/v1/knowledge/{self.id}{path}", json=content)
        ok(response, 200, 201, 204)
        run = response.headers["Diarchy-Correlation-Id"]
        while True:  # The request itself is the wait.
            response = self._admin.get(f"/v1/runs/{run}")
            events = ok(response, 200, 404).get("events", [])
            if {"index", "remove"} & {event["effect"] for event in events if event["domain"] == "ceo"}:
                return

    def everywhere(self) -> set[str | None]:
        """What the reader, the agents and a summary have of it, and have again."""
        looks = (self.found, self.found_by_agents, self.summed_up)
        return {look() for _ in range(2) for look in looks}

    def found(self, by: httpx.Client | None = None) -> str | None:
        """The content that somebody finds: the reader, who is cleared for what is internal, if nobody else is named."""
        search = {"query": next(self._asked), "partitions": [PARTITION], "limit": 50}
        hits = ok((by or self._reader).post("/v1/knowledge/search", json=search))["hits"]
        return next((str(hit["knowledge"]["content"]) for hit in hits if hit["id"] == self.id), None)

    def summed_up(self) -> str | None:
        """What the reader's strategic summary says of it."""
        asked = {"domain": "business", "horizon": "week"}
        summary = ok(self._reader.get("/v1/knowledge/summary", params=asked))
        told = (one["text"] for one in summary["priorities"] if one["items"] == [self.id])
        return next((text.removeprefix(f"{self.body['title']}: ") for text in told), None)

    def found_by_agents(self) -> str | None:
        """What a domain's team would be given: the index alone, which no read model is joined with."""
        found = self._in_index(PARTITION, self.id, next(self._asked))
        return found.text if found else None

    def until_told(self, title: str | None) -> None:
        """Until Sophia's team finds the item's announcement, or none: her domain hears of a change in its own time."""
        entry = announced_entry(Domain.SOPHIA, self.id)
        while True:  # The request itself is the wait.
            found = self._in_index(TOLD, entry, self.body["title"])
            if (found.title if found else None) == title:
                return

    def _in_index(self, partition: Partition, entry: str, text: str) -> Entry | None:
        async def search(rpc: Rpc) -> Entry | None:
            query = Query(
                partitions=(partition,), text=text, clearance=Clearance.INTERNAL, now=datetime.now(UTC), limit=50
            )
            hits = await RemoteRetrieval(rpc, NoTelemetry()).search(query)
            return next((hit.entry for hit in hits if hit.entry.id == entry), None)

        return self._asking(search)

    def kept(self) -> bool:
        """Whether the engine has it, whatever a search would leave out."""

        async def listed(rpc: Rpc) -> bool:
            after: str | None = None
            while page := await RemoteVectors(rpc).listed(PARTITION, after=after, limit=PAGE):
                if self.id in {one.id for one in page}:
                    return True
                after = page[-1].id
            return False

        return self._asking(listed)

    def _asking(self, ask: Callable[[Rpc], Awaitable[T]]) -> T:
        async def asked() -> T:
            async with broker(self.stack.settings) as connection:
                return await ask(NatsRpc(connection))

        return asyncio.run(asked())


def rebuilt(stack: Stack) -> None:
    command = [sys.executable, "-m", "deploy", "vectors", "rebuild", "--partition", PARTITION, "--partition", TOLD]
    subprocess.run([*command, "--data", str(stack.folder)], cwd=ROOT, check=True, capture_output=True)  # noqa: S603


@pytest.fixture
def reader(stack: Stack) -> Iterator[httpx.Client]:
    with stack.client("rea", "cross_domain_user", clearance=Clearance.INTERNAL) as client:
        yield client


def is_gone(item: Item, *, kept: bool = False) -> None:
    """For the reader; and, where it is not kept for others, from the engine."""
    assert item.everywhere() == {None}
    assert item.kept() == kept
    item.until_told(None)
    rebuilt(item.stack)
    assert item.everywhere() == {None}
    assert item.kept() == kept
    item.until_told(None)


def test_what_was_deleted_is_gone(stack: Stack, admin: httpx.Client, reader: httpx.Client) -> None:
    item = Item(stack, admin, reader, "lighthouse")
    item.add()
    item.change("DELETE")
    is_gone(item)


def test_what_was_updated_is_found_as_it_is_now(stack: Stack, admin: httpx.Client, reader: httpx.Client) -> None:
    item = Item(stack, admin, reader, "shipyard")
    item.add()
    item.change("PUT", content="The shipyard stays.")
    assert item.everywhere() == {"The shipyard stays."}
    rebuilt(stack)
    assert item.everywhere() == {"The shipyard stays."}


def test_what_was_raised_above_a_reader_is_gone_for_him(
    stack: Stack, admin: httpx.Client, reader: httpx.Client
) -> None:
    item = Item(stack, admin, reader, "archive")
    item.add()
    item.change("PUT", confidentiality="restricted")
    is_gone(item, kept=True)
    assert item.found(by=admin) == item.body["content"]
    item.change("POST", "/declassify", confidentiality="internal", reason="published in the annual report")
    assert item.everywhere() == {item.body["content"]}
    item.until_told(item.body["title"])
    rebuilt(stack)
    assert item.everywhere() == {item.body["content"]}
    item.until_told(item.body["title"])


def test_what_moved_is_found_in_its_new_partition_only(stack: Stack, admin: httpx.Client, reader: httpx.Client) -> None:
    item = Item(stack, admin, reader, "observatory")
    item.add()
    item.change("PUT", partition="shared_knowledge")
    assert {item.found(), item.found_by_agents()} == {None}
    assert not item.kept()
    rebuilt(stack)
    assert {item.found(), item.found_by_agents()} == {None}
    assert not item.kept()


def test_what_expired_is_gone(stack: Stack, admin: httpx.Client, reader: httpx.Client) -> None:
    item = Item(stack, admin, reader, "bridge")
    item.add()
    item.change("PUT", expires=(datetime.now(UTC) + timedelta(seconds=2)).isoformat())
    while item.found() is not None:
        pass  # The request itself is the wait.
    assert item.everywhere() == {None}
    while item.kept():
        pass  # Its timer takes it out of the index; until then searches leave it out.
    is_gone(item)
