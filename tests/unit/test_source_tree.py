"""Archives from outside: what could do harm is left out and told by its kind, the rest is read; limits hold at any depth."""

import gzip
import io
import tarfile
import warnings
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.artemis.tools import source_tree
from actors.artemis.tools.source_tree import read_archive
from runtime.errors import OutcomeError
from tests.archives import special, tarred, zipped

OUTSIDE = ["../evil.py", "/etc/evil.py", "a/../../evil.py", "C:\\evil.py", "..\\evil.py", "a/.."]


@pytest.mark.parametrize("name", OUTSIDE)
def test_names_outside_the_tree_are_told_and_the_rest_is_read(name: str) -> None:
    for data in (zipped({name: "x = 1", "good.py": "y = 2"}), tarred({name: "x = 1", "good.py": "y = 2"})):
        result = read_archive(data)
        assert [file.path for file in result.files] == ["good.py"]
        assert result.dangers == {"outside the tree": 1}
        assert result.warnings[0].startswith("Hostile archive: 1 × outside the tree, such as ")


@pytest.mark.parametrize(
    ("kind", "danger"),
    [
        (tarfile.SYMTYPE, "link"),
        (tarfile.LNKTYPE, "link"),
        (tarfile.CHRTYPE, "device"),
        (tarfile.BLKTYPE, "device"),
        (tarfile.FIFOTYPE, "device"),
    ],
)
def test_what_is_no_file_in_a_tar_is_told(kind: bytes, danger: str) -> None:
    result = read_archive(special(kind))
    assert [file.path for file in result.files] == ["a.py"]
    assert result.dangers == {danger: 1}


def test_links_in_a_zip_are_told() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        link = zipfile.ZipInfo("link.py")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("a.py", "x = 1")
    result = read_archive(packed.getvalue())
    assert [file.path for file in result.files] == ["a.py"]
    assert result.dangers == {"link": 1}


def test_of_names_given_twice_only_the_first_is_read() -> None:
    packed = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(packed, "w") as archive:
        warnings.simplefilter("ignore")
        for name in ("a.py", "./a.py", "a.py/b.py", "c/d.py", "c"):
            archive.writestr(name, f"# {name}")
    result = read_archive(packed.getvalue())
    assert [file.text for file in result.files] == ["# a.py", "# c/d.py"]
    assert result.dangers == {"doubled name": 3}


def test_names_that_no_text_can_show_are_told_in_one_line() -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name in ("a\udcff.py", "line\nbreak.py", 'quo"te.py', "x" * 300 + ".py", "good.py"):
            info = tarfile.TarInfo(name)
            archive.addfile(info, io.BytesIO(b""))
    result = read_archive(packed.getvalue())
    assert [file.path for file in result.files] == ["good.py"]
    assert result.dangers == {"impossible name": 4}
    assert all(sign.isprintable() for line in result.warnings for sign in line)
    "".join(result.warnings).encode()


def test_flat_bombs_are_told_and_never_unpacked() -> None:
    result = read_archive(zipped({"bomb.py": b"#" * 5_000_000, "a.py": "x = 1"}))
    assert [file.path for file in result.files] == ["a.py"]
    assert result.dangers == {"bomb": 1}


def test_archives_inside_archives_are_never_opened() -> None:
    inner = zipped({"bomb.py": b"#" * 5_000_000})
    for _ in range(3):
        inner = zipped({"inner.zip": inner})
    result = read_archive(zipped({"inner.zip": inner, "a.py": "x = 1"}))
    assert result.dangers == {"archive inside": 1}
    assert result.warnings == ["Not read: 1 × archive inside, such as inner.zip (archives inside are not opened)."]


def test_a_compressed_stream_is_read_to_its_limit_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_tree, "UNPACKED_BYTES_MAX", 50_000)
    result = read_archive(tarred({"a.py": "x = 1", "skipped.bin": "\0" * 200_000, "b.py": "y = 2"}))
    assert [file.path for file in result.files] == ["a.py"]
    assert result.dangers == {"bomb": 1}
    many = zipped({f"{number}.bin": b"\0" * 20_000 for number in range(9)} | {"z.py": "x"})
    assert read_archive(many).dangers == {"bomb": 1}


def test_no_more_files_are_read_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_tree, "ENTRIES_MAX", 3)
    for data in (tarred({f"f{n}.py": "" for n in range(5)}), zipped({f"f{n}.py": "" for n in range(5)})):
        result = read_archive(data)
        assert len(result.files) == 3
        assert result.dangers == {"too many files": 1}


def test_a_zips_table_of_contents_is_bounded_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_tree, "DIRECTORY_BYTES_MAX", 100)
    with pytest.raises(OutcomeError, match="too many files"):
        read_archive(zipped({f"f{n}.py": "" for n in range(5)}))


def test_what_is_broken_behind_the_first_files_is_told() -> None:
    data = gzip.decompress(tarred({"a.py": "x = 1", "b.py": "y" * 5_000}))
    result = read_archive(data[:2_500])
    assert [file.path for file in result.files] == ["a.py"]
    assert result.dangers == {"unreadable": 1}


def test_binaries_and_other_peoples_code_are_left_out() -> None:
    result = read_archive(zipped({"a.py": "x", "b.py": b"\0\1", "node_modules/c.js": "y", "LICENSE": "free"}))
    assert [(file.path, file.language) for file in result.files] == [("LICENSE", "Other text"), ("a.py", "Python")]
    assert result.skipped == 2


@given(st.binary(max_size=300), st.sampled_from([b"", b"PK\x03\x04", b"\x1f\x8b\x08"]))
def test_any_bytes_are_a_tree_or_an_outcome(data: bytes, start: bytes) -> None:
    with pytest.raises(OutcomeError):
        read_archive(start + data)


@given(st.data())
def test_a_damaged_archive_is_a_tree_or_an_outcome(data: st.DataObject) -> None:
    files = {"a.py": "x = 1\n" * 50, "b/c.py": "y = 2\n"}
    whole = bytearray(zipped(files) if data.draw(st.booleans()) else tarred(files))
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        result = read_archive(bytes(whole))
    except OutcomeError:
        return
    assert all(not file.path.startswith("/") and ".." not in file.path.split("/") for file in result.files)
