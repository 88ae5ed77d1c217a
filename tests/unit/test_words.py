"""Words and their weights: an entry counts by its best part, and is counted once, however long it is."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters import words
from adapters.passages import passages
from contracts.domains import Clearance
from contracts.retrieval import Entry
from contracts.span import Span
from runtime.vector_ports import Item


def item(*texts: str, title: str = "") -> Item:
    """An entry of these passages."""
    whole, spans = "", []
    for text in texts:
        spans.append(Span(len(whole), len(whole) + len(text)))
        whole += text + "\n"
    return Item(Entry(id="x", title=title, text=whole, label=Clearance.PUBLIC), [], tuple(spans))


def matching(one: Item, query: str) -> float:
    sought = words.of_query(query)
    return words.matching(dict.fromkeys(sought, 1 / len(sought)), words.of_item(one).pairs())


def test_a_word_weighs_as_in_its_passage_whatever_else_the_text_says() -> None:
    alone = matching(item("The reactor is cooled by sodium."), "sodium")
    other = ["Sundry remarks about the weather and the harvest of that year."] * 3
    long = matching(item(*other, "The reactor is cooled by sodium.", *other), "sodium")
    assert long == pytest.approx(alone / (1 + words.PARTED * math.log(7)))


def test_words_count_together_where_they_meet_in_one_passage() -> None:
    together = item("sodium cools the reactor", "the harvest was good")
    apart = item("sodium is a metal", "the reactor was shut down")
    assert matching(together, "reactor sodium") > 1.5 * matching(apart, "reactor sodium")
    assert matching(apart, "reactor sodium") > 0


def test_the_title_stands_before_each_passage() -> None:
    assert matching(item("one thing", "another thing", title="sodium"), "sodium another") == pytest.approx(
        matching(item("another thing", "one thing", title="sodium"), "sodium another")
    )


def test_many_passages_are_few_parts_in_their_order() -> None:
    texts = [f"place{number} filler" for number in range(100)]
    long = item(*texts)
    assert max(words.of_item(long).words) >> 29 == words.PARTS_MAX - 1
    neighbours, strangers = matching(long, "place40 place41"), matching(long, "place40 place90")
    assert neighbours == pytest.approx(2 * strangers)
    assert matching(long, "place99") == pytest.approx(matching(long, "place0"))


def test_an_entry_without_passages_is_one() -> None:
    entry = Entry(id="x", title="t", text="sodium and salt", label=Clearance.PUBLIC)
    assert words.of_item(Item(entry, [])) == words.of_item(Item(entry, [], passages("t", entry.text)))


WORDS = ("amber", "basalt", "cobalt", "dolomite")
_texts = st.lists(st.lists(st.sampled_from(WORDS), max_size=3).map(" ".join), min_size=1, max_size=12)
_entries = st.lists(_texts, max_size=8)


@given(_entries, _entries)
def test_an_entry_counts_once_for_each_of_its_words_and_not_at_all_when_it_is_gone(
    stay: list[list[str]], go: list[list[str]]
) -> None:
    counts, fresh, rank = words.Counts(), words.Counts(), Clearance.INTERNAL.rank
    staying, going = ([words.of_item(item(*texts)).words for texts in some] for some in (stay, go))
    for one in (*staying, *going):
        counts.add(rank, one)
    for one in going:
        counts.add(rank, one, -1)
    for one in staying:
        fresh.add(rank, one)
    assert (counts.entries(rank), counts.parts) == (len(stay), fresh.parts)
    for word in WORDS:
        (number,) = words.of_query(word)
        assert counts.having(number, rank) == sum(word in " ".join(texts) for texts in stay)
