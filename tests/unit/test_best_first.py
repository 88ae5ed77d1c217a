"""The order of what a query found: priority decides between what matches about as well, and never against what was asked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.knowledge import REACH, Rank, best_first

RELEVANCES = st.floats(min_value=-1, max_value=25, allow_nan=False)
FOUND = st.lists(
    st.builds(Rank, st.integers(1, 10), RELEVANCES, st.uuids().map(str)), max_size=20, unique_by=lambda one: one.id
)


def ordered(found: list[Rank]) -> list[Rank]:
    return best_first(found, lambda one: one)


def within(found: list[Rank]) -> list[Rank]:
    """Those that compete by priority."""
    top = max(one.relevance for one in found)
    return [one for one in found if one.relevance >= top - (1 - REACH) * abs(top)]


@given(FOUND.flatmap(lambda found: st.tuples(st.just(found), st.permutations(found))))
def test_nothing_is_lost_and_the_order_they_came_in_does_not_count(both: tuple[list[Rank], list[Rank]]) -> None:
    found, shuffled = both
    assert sorted(ordered(found), key=lambda one: one.id) == sorted(found, key=lambda one: one.id)
    assert ordered(shuffled) == ordered(found)


@given(FOUND.filter(bool))
def test_what_competes_comes_first_by_priority_and_the_others_by_relevance(found: list[Rank]) -> None:
    close, result = within(found), ordered(found)
    first, others = result[: len(close)], result[len(close) :]
    assert {one.id for one in first} == {one.id for one in close}
    assert first == sorted(first, key=lambda one: (-one.strategic_priority, -one.relevance))
    assert others == sorted(others, key=lambda one: -one.relevance)
    best = max(found, key=lambda one: one.relevance)
    assert all(one.strategic_priority >= best.strategic_priority for one in result[: result.index(best)])


@given(FOUND)
def test_of_equal_priorities_relevance_alone_decides(found: list[Rank]) -> None:
    alike = [Rank(5, one.relevance, one.id) for one in found]
    assert [one.relevance for one in ordered(alike)] == sorted((one.relevance for one in alike), reverse=True)


@pytest.mark.parametrize(
    ("relevance", "others"), [(11.66, [0.18 + number / 160 for number in range(9)]), (1.59, [0.2])]
)
def test_the_one_that_has_the_sought_word_is_not_hidden_behind_what_is_important(
    relevance: float, others: list[float]
) -> None:
    """As a reviewer found it: tenth of ten, and not at all among five."""
    sought = Rank(1, relevance, "sought")
    found = [sought, *(Rank(10, other, str(number)) for number, other in enumerate(others))]
    assert ordered(found)[0] == sought
