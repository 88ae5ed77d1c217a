"""The ids an actor has handled: exact whatever their number, order and origin."""

import random
import uuid

from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from contracts.ids import derived_id, keyed_id, new_id
from runtime.handled import BUCKET_IDS_MAX, ID_BYTES, Handled, id_bytes

IDS = st.one_of(st.uuids().map(str), st.text(max_size=40), st.integers(0, 50).map(lambda n: keyed_id(str(n))))


@settings(max_examples=200, deadline=None)
@for_all(st.lists(IDS, max_size=300), st.lists(IDS, max_size=20), st.integers(0, 300))
def test_it_is_a_set(ids: list[str], others: list[str], cut: int) -> None:
    handled = Handled()
    handled.update(ids[:cut])
    for one in ids[cut:]:
        handled.add(one)
        handled.add(one)
    assert len(handled) == len(set(ids))
    again = Handled(list(handled.buckets()))
    for found in (handled, again):
        assert [one in found for one in (*ids, *others)] == [True] * len(ids) + [one in set(ids) for one in others]


def test_a_hundred_thousand_cost_little_and_grow_without_a_pause() -> None:
    chance = random.Random(1)  # noqa: S311 - a test's choices
    ids = [str(uuid.UUID(int=chance.getrandbits(128), version=4)) for _ in range(100_000)]
    handled = Handled()
    for one in ids:
        handled.add(one)
    assert len(handled) == len(ids)
    buckets = handled.buckets()
    assert sum(map(len, buckets)) == ID_BYTES * len(ids)
    assert len(buckets) >= len(ids) // BUCKET_IDS_MAX
    assert max(map(len, buckets)) < 4 * BUCKET_IDS_MAX * ID_BYTES, "no look-up is long"
    assert all(one in handled for one in ids)
    assert not any(new_id() in handled for _ in range(1_000))


def test_ids_of_one_parent_are_spread() -> None:
    parent, handled = new_id(), Handled()
    handled.update(derived_id(parent, "log", number) for number in range(10_000))
    assert max(map(len, handled.buckets())) < 8 * BUCKET_IDS_MAX * ID_BYTES


def test_a_uuid_stands_for_itself_and_nothing_else_for_it() -> None:
    one = new_id()
    assert id_bytes(one) == uuid.UUID(one).bytes
    undashed = one.replace("-", "")
    shifted = undashed[:1] + "-" + undashed[1:8] + "---" + undashed[8:]
    assert len(shifted) == len(one)
    assert len({id_bytes(text) for text in (one, undashed, shifted, one[:-1] + " ", "")}) == 5


def test_an_id_is_not_found_across_two_others() -> None:
    first, second = uuid.UUID(int=0x11 << 120 | 0x22), uuid.UUID(int=0x33 << 120 | 0x44)
    across = uuid.UUID(bytes=first.bytes[8:] + second.bytes[:8])
    handled = Handled()
    handled.update([str(first), str(second)])
    assert str(across) not in handled
    handled.add(str(across))
    assert str(across) in handled
