"""A new partition: made in memory, copied to its place as sparse as it is, and on the disk before it is marked as whole."""

from pathlib import Path

import pytest
import qdrant_edge as engine
from hypothesis import given
from hypothesis import strategies as st

from adapters import edge_files, edge_shard, vector_payload
from adapters.edge_shard import Change, EdgeShard
from contracts.domains import Partition
from tests.contract.vector_stores import DIMENSIONS, entry, items, vector


def test_a_new_partition_is_flushed_once_not_for_each_of_its_indexes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """540 flushes of its engine on a disk took ten seconds of a start, for all partitions."""
    places: list[Path] = []
    create = engine.EdgeShard.create

    class Watched:
        load = staticmethod(engine.EdgeShard.load)

        @staticmethod
        def create(place: str, config: engine.EdgeConfig) -> engine.EdgeShard:
            places.append(Path(place))
            return create(place, config)

    monkeypatch.setattr(engine, "EdgeShard", Watched)
    shard = EdgeShard("ceo_knowledge", tmp_path / "ceo_knowledge", DIMENSIONS)
    shard.close()
    [made] = places
    assert tmp_path not in made.parents
    assert not made.parent.exists()
    place = tmp_path / "ceo_knowledge" / "1"
    assert (place / edge_shard.WHOLE).read_text() == "0"
    taken = sum(path.stat().st_blocks * 512 for path in place.rglob("*"))
    assert taken < 4 << 20 < sum(path.stat().st_size for path in place.rglob("*"))


@pytest.mark.parametrize("partition", vector_payload.PARTITIONS)
def test_a_new_partition_has_every_index_and_keeps_what_is_put_into_it(partition: Partition, tmp_path: Path) -> None:
    folder = tmp_path / partition
    shard = EdgeShard(partition, folder, DIMENSIONS)
    wanted = {*edge_shard.INDEXES, *vector_payload.kinds(partition)}
    assert set(shard._shard.info().payload_schema) == wanted
    shard.change(Change(put=items([entry(1)], [vector(1)])))
    shard.close()
    again = EdgeShard(partition, folder, DIMENSIONS)
    assert set(again._shard.info().payload_schema) == wanted
    assert again.count() == 1
    again.close()


def test_what_a_crash_left_half_made_is_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "ceo_knowledge"
    EdgeShard("ceo_knowledge", folder, DIMENSIONS).close()
    (folder / "1" / edge_shard.WHOLE).unlink()
    config = next((folder / "1").glob("*.json"))
    config.write_text("")
    shard = EdgeShard("ceo_knowledge", folder, DIMENSIONS)
    assert shard.count() == 0
    shard.close()


def test_it_is_made_in_memory_where_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge_files, "MEMORY", tmp_path)
    with edge_files.scratch() as folder:
        assert folder.parent == tmp_path
    assert not folder.exists()
    monkeypatch.setattr(edge_files, "ROOM_BYTES_MIN", 1 << 60)
    with edge_files.scratch() as folder:
        assert folder.parent != tmp_path


def test_without_memory_it_is_made_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge_files, "MEMORY", tmp_path / "none")
    shard = EdgeShard("ceo_knowledge", tmp_path / "ceo_knowledge", DIMENSIONS)
    assert shard.count() == 0
    shard.close()


BLOCK = edge_files.BLOCK_BYTES
PIECES = st.lists(
    st.tuples(st.integers(0, 5 * BLOCK), st.binary(min_size=1, max_size=100) | st.just(bytes(BLOCK + 1))), max_size=4
)


@given(PIECES, st.integers(0, 6 * BLOCK))
def test_a_copy_is_equal_and_no_fuller(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[tuple[int, bytes]], size: int
) -> None:
    source = tmp_path_factory.mktemp("sparse") / "source"
    (source / "within").mkdir(parents=True)
    path = source / "within" / "file"
    with path.open("wb") as file:
        file.truncate(size)
        for offset, piece in pieces:
            file.seek(offset)
            file.write(piece)
    (source / "mark").write_text("left out")
    target = source.parent / "target"
    edge_files.copy(source, target, without="mark")
    edge_files.sync_all(target)
    copied = target / "within" / "file"
    assert copied.read_bytes() == path.read_bytes()
    assert copied.stat().st_blocks <= path.stat().st_blocks + BLOCK // 512
    assert [one.name for one in target.rglob("*")] == ["within", "file"]
