"""LocalRetrieval, and RemoteRetrieval over an Rpc in memory: one behaviour through both doors."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from uuid import UUID

import msgspec
import pytest

from adapters import retrieval as retrieval_module
from adapters.memory import MemoryBroker, MemoryRpc
from adapters.memory_vectors import MemoryVectors
from adapters.retrieval import INDEX, LocalRetrieval, RemoteRetrieval, serve_retrieval
from contracts.domains import Clearance
from contracts.retrieval import Entry, Query
from runtime.errors import InvalidError, UnavailableError
from runtime.ports import Retrieval
from runtime.telemetry import SPAN_EMBED, SPAN_INDEX, SPAN_SEARCH, NoTelemetry
from runtime.vector_ports import ENTRY, Purpose, Vector

NOW = datetime(2026, 11, 21, tzinfo=UTC)


class Letters:
    """An Embedder: how often each of a to h occurs, normalised; it remembers what it was asked."""

    model = "letters"
    dimensions = 8

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def embed(self, texts: Sequence[str], purpose: Purpose = ENTRY) -> list[Vector]:  # noqa: ARG002 - the port's
        self.asked += texts
        vectors: list[Vector] = []
        for text in texts:
            counts = [text.count(letter) + 0.01 for letter in "abcdefgh"]
            norm = sum(count * count for count in counts) ** 0.5
            vectors.append([count / norm for count in counts])
        return vectors


class Names(NoTelemetry):
    """Telemetry that remembers the names of spans and metrics."""

    def __init__(self) -> None:
        self.spans: list[str] = []
        self.counts: dict[str, float] = {}

    @contextmanager
    def span(self, name, **options):  # type: ignore[no-untyped-def]
        self.spans.append(name)
        with super().span(name, **options) as span:
            yield span

    def count(self, metric: str, amount: float = 1, **labels: str) -> None:
        self.counts[" ".join([metric, *labels.values()])] = amount


def entry(number: int, title: str, text: str, label: Clearance = Clearance.PUBLIC) -> Entry:
    return Entry(id=str(UUID(int=number)), title=title, text=text, label=label)


def query(text: str, clearance: Clearance = Clearance.PUBLIC) -> Query:
    return Query(partitions=("ceo_knowledge", "code_knowledge"), text=text, clearance=clearance, now=NOW)


def through(door: str, test: Callable[[Retrieval], Awaitable[None]]) -> None:
    async def run() -> None:
        local = LocalRetrieval(Letters(), MemoryVectors(8), NoTelemetry())
        rpc = MemoryRpc(MemoryBroker())
        await serve_retrieval(rpc, local)
        await test(local if door == "local" else RemoteRetrieval(rpc, NoTelemetry()))

    asyncio.run(run())


@pytest.mark.parametrize("door", ["local", "remote"])
def test_what_is_indexed_is_found_under_its_clearance_until_it_is_removed(door: str) -> None:
    secret = entry(2, "aab", "", Clearance.TOP_SECRET)

    async def test(retrieval: Retrieval) -> None:
        await retrieval.index("ceo_knowledge", [entry(1, "bb", "b"), secret])
        await retrieval.index("code_knowledge", [entry(3, "c", "aa")])
        await retrieval.index("code_knowledge", [])
        hits = await retrieval.search(query("aaaab", Clearance.TOP_SECRET))
        assert [(hit.entry.title, hit.partition) for hit in hits] == [
            ("aab", "ceo_knowledge"),
            ("c", "code_knowledge"),
            ("bb", "ceo_knowledge"),
        ]
        assert secret not in [hit.entry for hit in await retrieval.search(query("aaaab", Clearance.RESTRICTED))]
        await retrieval.remove("ceo_knowledge", [secret.id])
        await retrieval.remove("ceo_knowledge", [])
        assert len(await retrieval.search(query("aaaab", Clearance.TOP_SECRET))) == 2

    through(door, test)


@pytest.mark.parametrize("door", ["local", "remote"])
def test_wrong_input_is_the_askers(door: str) -> None:
    async def test(retrieval: Retrieval) -> None:
        with pytest.raises(InvalidError, match="UUID"):
            await retrieval.index("ceo_knowledge", [Entry(id="x", title="", text="", label=Clearance.PUBLIC)])

    through(door, test)


def test_a_malformed_request_is_invalid_and_nobody_serving_is_unavailable() -> None:
    async def run() -> None:
        rpc = MemoryRpc(MemoryBroker())
        with pytest.raises(UnavailableError):
            await RemoteRetrieval(rpc, NoTelemetry()).search(query("a"))
        await serve_retrieval(rpc, LocalRetrieval(Letters(), MemoryVectors(8), NoTelemetry()))
        with pytest.raises(InvalidError, match="partition"):
            await rpc.call(INDEX, b'{"partition": "nowhere", "entries": []}', timeout_s=1)

    asyncio.run(run())


def test_title_and_text_are_embedded_and_queries_are_told_from_entries() -> None:
    async def run() -> None:
        letters, names = Letters(), Names()
        retrieval = LocalRetrieval(letters, MemoryVectors(8), names)
        await retrieval.index("ceo_knowledge", [entry(1, "title", "text"), entry(2, "other", "")])
        await retrieval.search(query("a"))
        assert letters.asked == ["title. text", "other. ", "a"]
        assert names.spans[:4] == [SPAN_INDEX, SPAN_EMBED, SPAN_SEARCH, SPAN_EMBED]
        assert names.counts["diarchy_embeddings_total letters entry"] == 2
        assert names.counts["diarchy_embeddings_total letters query"] == 1

    asyncio.run(run())


def test_many_or_large_entries_are_several_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval_module, "INDEX_ENTRIES_MAX", 3)
    monkeypatch.setattr(retrieval_module, "INDEX_BYTES_MAX", 2_000)

    async def run() -> None:
        calls: list[bytes] = []
        rpc, store = MemoryRpc(MemoryBroker()), MemoryVectors(8)
        local = LocalRetrieval(Letters(), store, NoTelemetry())
        await serve_retrieval(rpc, local)
        serve = rpc.call

        async def call(subject: str, body: bytes, *, timeout_s: float) -> bytes:
            calls.append(body)
            return await serve(subject, body, timeout_s=timeout_s)

        monkeypatch.setattr(rpc, "call", call)
        remote = RemoteRetrieval(rpc, NoTelemetry())
        entries = [entry(number, "t", "a" * (1_500 if number > 6 else 1)) for number in range(9)]
        await remote.index("ceo_knowledge", entries)
        assert [body.count(b'"title"') for body in calls] == [3, 3, 2, 1]
        assert await store.count("ceo_knowledge") == 9

    asyncio.run(run())


class Held(Letters):
    """Embeds only when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()

    async def embed(self, texts: Sequence[str], purpose: Purpose = ENTRY) -> list[Vector]:
        self.begun.set()
        await self.go_on.wait()
        return await super().embed(texts, purpose)


@pytest.mark.parametrize("door", ["local", "remote"])
def test_what_comes_after_something_newer_of_its_entry_is_left_out(door: str) -> None:
    """An `index` whose caller gave it up long ago, or was paused."""
    first, second = entry(1, "aa", ""), entry(1, "ab", "")

    async def test(retrieval: Retrieval) -> None:
        async def found() -> list[tuple[str, int]]:
            hits = await retrieval.search(query("aa"))
            return [(hit.entry.title, hit.entry.version) for hit in hits]

        await retrieval.remove("ceo_knowledge", [first.id], version=7)
        await retrieval.index("ceo_knowledge", [first], version=5)
        assert not await found()
        await retrieval.index("ceo_knowledge", [second], version=9)
        await retrieval.index("ceo_knowledge", [first, entry(2, "ac", "")], version=8)
        await retrieval.remove("ceo_knowledge", [first.id], version=8)
        assert await found() == [("ab", 9), ("ac", 8)]
        await retrieval.index("code_knowledge", [first], version=1)
        assert ("aa", 1) in await found()
        await retrieval.remove("ceo_knowledge", [first.id, entry(2, "", "").id])
        await retrieval.remove("code_knowledge", [first.id], version=1)
        assert not await found()
        await retrieval.index("ceo_knowledge", [first])
        assert await found() == [("aa", 0)]

    through(door, test)


def test_what_is_stored_is_not_overtaken_by_what_a_process_before_did() -> None:
    """The version stands in the store: a late call of another process changes nothing, whatever this one remembers."""

    async def run() -> None:
        store = MemoryVectors(8)
        await LocalRetrieval(Letters(), store, NoTelemetry()).index("ceo_knowledge", [entry(1, "ab", "")], version=9)
        again = LocalRetrieval(Letters(), store, NoTelemetry())
        await again.index("ceo_knowledge", [entry(1, "aa", "")], version=8)
        await again.remove("ceo_knowledge", [entry(1, "", "").id], version=8)
        assert [hit.entry.title for hit in await again.search(query("aa"))] == ["ab"]
        await again.remove("ceo_knowledge", [entry(1, "", "").id], version=10)
        assert await store.count("ceo_knowledge") == 0

    asyncio.run(run())


def test_entries_may_have_a_version_each() -> None:
    async def run() -> None:
        store = MemoryVectors(8)
        retrieval = LocalRetrieval(Letters(), store, NoTelemetry())
        both = [
            msgspec.structs.replace(entry(number, "a", ""), version=version) for number, version in ((1, 4), (2, 6))
        ]
        await retrieval.index("ceo_knowledge", both)
        await retrieval.index("ceo_knowledge", [entry(number, "late", "") for number in (1, 2)], version=5)
        assert {hit.entry.title: hit.entry.version for hit in await retrieval.search(query("a"))} == {"late": 5, "a": 6}

    asyncio.run(run())


def test_what_is_overtaken_while_it_is_embedded_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval_module, "VERSIONS_MAX", 2)

    async def run() -> None:
        letters, store = Held(), MemoryVectors(8)
        retrieval = LocalRetrieval(letters, store, NoTelemetry())
        late = asyncio.create_task(retrieval.index("ceo_knowledge", [entry(1, "a", ""), entry(2, "b", "")], version=5))
        await letters.begun.wait()
        await retrieval.remove("ceo_knowledge", [entry(1, "", "").id], version=7)
        letters.go_on.set()
        await late
        assert await store.count("ceo_knowledge") == 1
        await retrieval.index("ceo_knowledge", [entry(3, "c", "")], version=6)
        assert len(retrieval._versions) == 2

    asyncio.run(run())
