"""The VectorStore contract: what a search finds, in which order, and what it says of it."""

import re
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import msgspec
import numpy as np
import pytest

from adapters.memory_vectors import MemoryVectors
from adapters.retrieval import LocalRetrieval
from contracts.domains import Clearance, Partition
from contracts.retrieval import Entry, Query, Ranking
from contracts.span import Span
from runtime.errors import InvalidError
from runtime.telemetry import NoTelemetry
from runtime.vector_ports import ENTRY, Item, Purpose, Vector, VectorStore
from tests.contract.vector_stores import DIMENSIONS, NOW, Opener, entry, exercise, items, on_every_store, query, vector

pytestmark = on_every_store


def test_filters_hold_together(opener: Opener) -> None:
    stored = [
        entry(
            1, category="a", source="x", media_type="text/csv", tags=("tall", "red"), updated=NOW - timedelta(days=1)
        ),
        entry(2, category="a", source="y", tags=("red",), updated=NOW),
        entry(3, category="b", source="x", media_type="text/csv"),
    ]

    async def test(store: VectorStore) -> None:
        await store.upsert("code_knowledge", items(stored, [vector(number) for number in range(3)]))

        async def found(**fields: object) -> set[int]:
            hits = await store.search(query("code_knowledge", **fields), vector(1))
            return {UUID(hit.entry.id).int for hit in hits}

        assert await found(category="a") == {1, 2}
        assert await found(source="x") == {1, 3}
        assert await found(media_type="text/csv") == {1, 3}
        assert await found(category="a", source="x", media_type="text/csv") == {1}
        assert await found(category="") == set()
        assert await found(priority_min=5) == {1, 2, 3}
        assert await found(priority_min=6) == set()
        assert len(await found(limit=2)) == 2
        assert await found(limit=0) == set()
        assert await found(tags=()) == {1, 2, 3}
        assert await found(tags=("red",)) == {1, 2}
        assert await found(tags=("red", "tall")) == {1}
        assert await found(tags=("tall",), category="a") == {1}
        assert await found(tags=("re",)) == set()
        assert await found(updated_from=NOW) == {2}
        assert await found(updated_to=NOW - timedelta(days=1)) == {1}
        assert await found(updated_from=NOW - timedelta(days=1), updated_to=NOW, tags=("red",)) == {1, 2}

    exercise(opener, test)


def test_each_partition_has_fields_of_its_own_which_a_search_may_match(opener: Opener) -> None:
    stored = [
        entry(1, fields={"language": "python", "path": "a.py"}),
        entry(2, fields={"language": "rust"}),
        entry(3),
    ]

    async def test(store: VectorStore) -> None:
        await store.upsert("code_knowledge", items(stored, [vector(number) for number in range(3)]))
        await store.upsert("research_data", items([entry(4, fields={"published_year": 1999})], [vector(4)]))

        async def found(*partitions: Partition, **fields: object) -> list[Entry]:
            return [hit.entry for hit in await store.search(query(*partitions, fields=fields), vector(1))]

        assert await found("code_knowledge", language="python") == [stored[0]]
        assert await found("code_knowledge", language="python", path="b.py") == []
        assert await found("code_knowledge", path="a.py") == [stored[0]]
        assert len(await found("code_knowledge")) == 3
        assert [item.id for item in await found("research_data", published_year=1999)] == [entry(4).id]
        assert await found("research_data", published_year=2000) == []
        with pytest.raises(InvalidError, match="unknown field `language`"):
            await found("code_knowledge", "research_data", language="python")
        with pytest.raises(InvalidError, match="published_year"):
            await found("research_data", published_year="1999")
        for wrong in ({"published_year": "new"}, {"languages": "python"}):
            with pytest.raises(InvalidError, match=next(iter(wrong))):
                await store.upsert("research_data", items([entry(5, fields=wrong)], [vector(5)]))
        with pytest.raises(InvalidError, match="kind"):
            await store.upsert("agent_memories", items([entry(5, fields={"kind": "vague"})], [vector(5)]))
        assert await store.count("research_data") == 1

    exercise(opener, test)


def test_a_long_entry_is_found_once_by_its_nearest_passage(opener: Opener) -> None:
    text = "First one thing. Then another."
    spans = Span(0, 16), Span(17, 30)
    long = Item(entry(1, text=text), [vector(1), vector(2)], spans)

    async def test(store: VectorStore) -> None:
        await store.upsert("ceo_knowledge", [long, Item(entry(2), [vector(3)])])
        assert await store.count("ceo_knowledge") == 2
        for number, span in ((1, spans[0]), (2, spans[1])):
            best = (await store.search(query(), vector(number)))[0]
            assert (best.entry, best.passage) == (long.entry, span)
            assert best.score == pytest.approx(1, abs=1e-5)
        await store.upsert("ceo_knowledge", items([entry(1, text="Short.")], [vector(4)]))
        hits = await store.search(query(), vector(2))
        assert {hit.entry.text: hit.passage for hit in hits} == {"Short.": None, "text 2": None}
        assert all(hit.score < 0.99 for hit in hits)
        with pytest.raises(InvalidError, match="1 vectors for 2 passages"):
            await store.upsert("ceo_knowledge", [Item(entry(1, text=text), [vector(1)], spans)])

    exercise(opener, test)


def test_a_fact_in_the_middle_of_a_long_document_is_found_by_its_words(opener: Opener) -> None:
    """100,000 characters, all as near by meaning as the others; a short text has one of the words, another long one has both
    far apart."""
    filler = [
        f"Minute {number} of the meeting says nothing in particular about anything at all. " for number in range(1_350)
    ]

    def document(number: int, facts: dict[int, str]) -> Entry:
        text = "".join(facts.get(place, sentence) for place, sentence in enumerate(filler))
        return entry(number, title="", text=text[:100_000])

    wanted = document(1, {630: "The Tuulikki reactor is cooled with liquid sodium. "})
    apart = document(2, {100: "Tuulikki was not there. ", 1_200: "Sodium was on the menu. "})
    short = [entry(number, title="", text=f"Sodium, and remark {number}. " + filler[number]) for number in range(3, 30)]

    class Same:
        """All texts mean the same to it."""

        model, dimensions = "same", DIMENSIONS

        async def embed(self, texts: Sequence[str], purpose: Purpose = ENTRY) -> list[Vector]:  # noqa: ARG002 - the port's
            return [vector(1) for _ in texts]

    async def test(store: VectorStore) -> None:
        retrieval = LocalRetrieval(Same(), store, NoTelemetry())
        await retrieval.index("research_data", [wanted, apart, *short])
        asked = query("research_data", text="What cools the Tuulikki with sodium?", limit=3)
        first, *others = await retrieval.search(asked)
        assert first.entry.id == wanted.id
        assert all(hit.relevance < first.relevance - 0.1 for hit in others)

    exercise(opener, test)


def test_words_find_what_the_vector_does_not_and_say_where(opener: Opener) -> None:
    """An error code is met by its word, stems meet, and stop words say nothing."""
    stored = [entry(number, title=f"note {number}", text="Nothing of interest.") for number in range(2, 30)]
    code = entry(1, title="Borrowing", text="It is so. The compiler reports E0382 for moved values. That is all.")

    async def test(store: VectorStore) -> None:
        await store.upsert("code_knowledge", items([code, *stored], [vector(5)] * 29))
        hits = await store.search(query("code_knowledge", text="the value moves: e0382", limit=3), vector(5))
        assert hits[0].entry == code
        assert hits[0].relevance > hits[0].score + 0.3
        marked = [code.text[span.start : span.end] for span in hits[0].highlights]
        assert marked == ["The compiler reports E0382 for moved values.", "E0382", "moved", "values"]
        assert all(hit.relevance == hit.score and hit.highlights == () for hit in hits[1:])

    exercise(opener, test)


def test_what_is_above_the_clearance_moves_no_score(opener: Opener) -> None:
    """Neither whether a word is rare nor how many entries there are, whatever comes and goes there."""
    low = [entry(1, text="merger plans"), entry(2, text="holiday plans")]
    high = [entry(number, Clearance.RESTRICTED, text="merger merger talks") for number in range(10, 30)]
    asked = query(text="merger of holiday plans", clearance=Clearance.INTERNAL)

    async def test(store: VectorStore) -> None:
        await store.upsert("ceo_knowledge", items(low, [vector(1), vector(2)]))
        before = await store.search(asked, vector(3))
        await store.upsert("ceo_knowledge", items(high, [vector(number) for number in range(10, 30)]))
        assert await store.search(asked, vector(3)) == before
        cleared = msgspec.structs.replace(asked, clearance=Clearance.RESTRICTED, limit=30)
        assert {hit.entry.id: hit.relevance for hit in await store.search(cleared, vector(3))}[low[0].id] != next(
            hit.relevance for hit in before if hit.entry.id == low[0].id
        )
        await store.upsert("ceo_knowledge", items(high[:5], [vector(0)] * 5))
        await store.remove("ceo_knowledge", [item.id for item in high[5:]])
        assert await store.search(asked, vector(3)) == before

    exercise(opener, test)


def test_priority_and_recency_decide_among_equals_within_bounds(opener: Opener) -> None:
    old, new = NOW - timedelta(days=720), NOW
    stored = [
        entry(1, priority=1, updated=old, text=""),
        entry(2, priority=10, updated=old, text=""),
        entry(3, priority=1, updated=new, text=""),
    ]

    async def test(store: VectorStore) -> None:
        await store.upsert("ceo_knowledge", items(stored, [vector(1)] * 3))

        async def order(**fields: object) -> list[tuple[int, float]]:
            ranking = Ranking(**fields)  # type: ignore[arg-type]
            hits = await store.search(query(ranking=ranking), vector(1))
            return [(UUID(hit.entry.id).int, round(hit.place - hit.relevance, 3)) for hit in hits]

        assert await order(priority=0, recency=0) == [(1, 0), (2, 0), (3, 0)]
        assert await order(priority=0.1, recency=0) == [(2, 0.1), (1, 0), (3, 0)]
        assert await order(priority=0, recency=0.1, half_life_days=720) == [(3, 0.1), (1, 0.05), (2, 0.05)]
        assert await order(priority=9, recency=-1) == [(2, 0.2), (1, 0), (3, 0)]
        assert [number for number, _ in await order()] == [2, 3, 1]

    exercise(opener, test)


ONE_AND_TWO: tuple[tuple[Partition, ...], ...] = (("ceo_knowledge",), ("research_data", "ceo_knowledge"))


def test_what_is_important_comes_first_though_much_is_nearer(opener: Opener) -> None:
    near = np.asarray(vector(1))
    leaning = [near + number / 1_000 * np.asarray(vector(2)) for number in range(90)]
    vectors = [one / np.linalg.norm(one) for one in leaning]
    stored = [entry(number, text="", priority=10 if number in (70, 80) else 1) for number in range(90)]

    async def test(store: VectorStore) -> None:
        await store.upsert("ceo_knowledge", items(stored, [one.tolist() for one in vectors]))
        hits = await store.search(query(limit=3, ranking=Ranking(priority=0.2)), vector(1))
        assert [hit.entry for hit in hits] == [stored[70], stored[80], stored[0]]

    exercise(opener, test)


def _lines(text: str) -> tuple[Span, ...]:
    """Each a passage."""
    return tuple(Span(found.start(), found.end()) for found in re.finditer(r"[^\n]+|^$", text))


def test_of_more_entries_than_are_candidates_the_same_are_found_as_by_comparing_all(opener: Opener) -> None:
    entries = [
        entry(
            number,
            text="\n".join(
                " ".join(["amber"] * (number * 7 % 11) + ["basalt"] * (number * 5 % 13) + ["cobalt"] * (line % 3))
                for line in range(number, number + 1 + number % 4 * 5)
            ),
            priority=1 + number % 10,
            updated=NOW - timedelta(days=number),
        )
        for number in range(1, 361)
    ]
    stored = [
        Item(one, [vector(number + 400 * place) for place in range(len(spans))], spans)
        for number, one in enumerate(entries, 1)
        for spans in [_lines(one.text)]
    ]

    async def found(store: VectorStore) -> list[list[str]]:
        await store.upsert("ceo_knowledge", stored[:130])
        await store.upsert("ceo_knowledge", stored[130:260])
        await store.upsert("research_data", stored[260:])
        asked = [
            Query(
                partitions=partitions,
                text=text,
                clearance=Clearance.PUBLIC,
                now=NOW,
                limit=40,
                ranking=Ranking(priority=share, recency=share),
            )
            for partitions in ONE_AND_TWO
            for share in (0.0, 0.2)
            for text in ("amber", "basalt cobalt", "cobalt amber basalt", "nothing of the kind")
        ]
        hits = [await store.search(query, vector(1_000 + place)) for place, query in enumerate(asked)]
        return [[hit.entry.id for hit in some] for some in hits]

    async def test(store: VectorStore) -> None:
        assert await found(store) == await found(MemoryVectors(DIMENSIONS))

    exercise(opener, test)
