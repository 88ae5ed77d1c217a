"""Deleted, expired, updated, re-labelled: gone or changed in search, for people and for agents, from every cache, and in an
index built anew.

`bench/gone.py` measures how long that takes; here it is shown that it holds once the change's effect on the index is recorded.
"""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from adapters.jetstream_rpc import NatsRpc
from adapters.retrieval import RemoteRetrieval
from contracts.domains import Clearance, Partition
from contracts.retrieval import Query
from deploy.stack import broker
from runtime.telemetry import NoTelemetry
from tests.acceptance.test_main_job import learn
from tests.stack import ROOT, Stack, ok

PARTITION: Partition = "research_data"


WARMED = 3  # searches before the change, so that every cache has what it may have


class Item:
    """A knowledge item about one thing of its own, as its readers find it."""

    def __init__(self, stack: Stack, admin: httpx.Client, reader: httpx.Client, about: str) -> None:
        self.stack = stack
        self._admin = admin
        self._reader = reader
        self.about = about
        self.body: dict[str, Any] = {
            "title": f"The {about} plan",
            "content": f"The {about} is moved to the new harbour.",
            "category": "strategic_planning",
            "confidentiality": "internal",
            "partition": PARTITION,
        }
        self.id = ""

    def add(self, **changes: object) -> None:
        """Until it is found, and every cache is warm."""
        self.body |= changes
        self.id = learn(self._admin, self.body)
        for _ in range(WARMED):
            assert self.found() == self.found_by_agents() == self.body["content"]

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
            if {"index", "remove"} & {event["effect"] for event in events}:
                return

    def found(self) -> str | None:
        """The content that a reader finds, cleared for what is internal."""
        search = {"query": f"Where is the {self.about} moved?", "partitions": [PARTITION], "limit": 50}
        hits = ok(self._reader.post("/v1/knowledge/search", json=search))["hits"]
        return next((str(hit["knowledge"]["content"]) for hit in hits if hit["id"] == self.id), None)

    def found_by_agents(self) -> str | None:
        """What a domain's team would be given: the index alone, which no read model is joined with."""

        async def search() -> str | None:
            async with broker(self.stack.settings) as connection:
                retrieval = RemoteRetrieval(NatsRpc(connection), NoTelemetry())
                query = Query(
                    partitions=(PARTITION,),
                    text=f"Where is the {self.about} moved?",
                    clearance=Clearance.INTERNAL,
                    now=datetime.now(UTC),
                    limit=50,
                )
                hits = await retrieval.search(query)
            return next((hit.entry.text for hit in hits if hit.entry.id == self.id), None)

        return asyncio.run(search())

    def everywhere(self) -> set[str | None]:
        """What the reader and the agents find, and find again."""
        return {self.found(), self.found_by_agents(), self.found(), self.found_by_agents()}


def rebuilt(stack: Stack) -> None:
    command = [sys.executable, "-m", "deploy", "vectors", "rebuild", "--partition", PARTITION]
    subprocess.run([*command, "--data", str(stack.folder)], cwd=ROOT, check=True, capture_output=True)  # noqa: S603


@pytest.fixture
def reader(stack: Stack) -> Iterator[httpx.Client]:
    with stack.client("rea", "cross_domain_user", clearance=Clearance.INTERNAL) as client:
        yield client


def test_what_was_deleted_is_gone(stack: Stack, admin: httpx.Client, reader: httpx.Client) -> None:
    item = Item(stack, admin, reader, "lighthouse")
    item.add()
    item.change("DELETE")
    assert item.everywhere() == {None}
    rebuilt(stack)
    assert item.everywhere() == {None}


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
    assert item.everywhere() == {None}
    rebuilt(stack)
    assert item.everywhere() == {None}
    item.change("POST", "/declassify", confidentiality="internal", reason="published in the annual report")
    assert item.everywhere() == {item.body["content"]}
    rebuilt(stack)
    assert item.everywhere() == {item.body["content"]}


def test_what_moved_is_found_in_its_new_partition_only(stack: Stack, admin: httpx.Client, reader: httpx.Client) -> None:
    item = Item(stack, admin, reader, "observatory")
    item.add()
    item.change("PUT", partition="shared_knowledge")
    assert item.everywhere() == {None}
    rebuilt(stack)
    assert item.everywhere() == {None}


def test_what_expired_is_gone(stack: Stack, admin: httpx.Client, reader: httpx.Client) -> None:
    item = Item(stack, admin, reader, "bridge")
    item.add()
    item.change("PUT", expires=(datetime.now(UTC) + timedelta(seconds=2)).isoformat())
    while item.found() is not None:
        pass  # The request itself is the wait.
    assert item.everywhere() == {None}
    rebuilt(stack)
    assert item.everywhere() == {None}
