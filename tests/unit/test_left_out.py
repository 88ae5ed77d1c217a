"""A scan of a folder says what it does not look at; keys that lie in the tree are findings, and stay where they are."""

import os
from pathlib import Path

import msgspec
import pytest

from actors.artemis.tools.code_analysis import analyse
from actors.artemis.tools.left_out import LEFT_FILE, NAMES_MAX, Left, secret_kind
from actors.artemis.tools.security import scan
from actors.artemis.tools.source_tree import FILE_BYTES_MAX, read_archive
from deploy.source_archive import pack
from tests.archives import zipped

PEM = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0IHdvcmRz\n-----END PRIVATE KEY-----\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "till"
    for name, text in {
        "app.py": "x = 1\n",
        "main.tf": 'resource "x" "y" {}\n',
        "keys/id_rsa": PEM,
        "id_rsa": "no words of a key",
        "server.pem": PEM,
        "public.pem": "-----BEGIN CERTIFICATE-----\n",
        ".env": "TOKEN=hunter2\n",
        ".env.example": "TOKEN=\n",
        "big.py": "#" * (FILE_BYTES_MAX + 1),
        "notes/made.log": "x",
        ".gitignore": "*.log\n",
        "node_modules/a/a.js": "1",
        ".git/config": "x",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "link.py").symlink_to("/etc/passwd")
    return root


def test_what_is_left_out_of_a_folder_is_told_and_its_keys_are_found(folder: Path) -> None:
    packed, paths = pack(folder)
    assert paths == ["app.py", "main.tf"]
    assert b"hunter2" not in packed
    tree = read_archive(packed)
    assert [file.path for file in tree.files] == paths
    assert {one.why: (one.count, one.names) for one in tree.left} == {
        "key": (3, ("id_rsa", "keys/id_rsa", "server.pem")),
        "environment": (1, (".env",)),
        "big": (1, ("big.py",)),
        "link": (1, ("link.py",)),
        "kind": (3, (".env.example", ".gitignore", "public.pem")),
        "ignored": (1, ("notes/made.log",)),
        "folder": (1, ("node_modules",)),
    }
    told = (
        "Not looked at: 11 of what is in the tree: 3 × private key (by name or beginning), 1 × environment variables (by name),"
        " 1 × too big, 1 × link, 3 × kind that is not read, 1 × ignored by .gitignore, 1 × others' or made code, such as id_rsa,"
    )
    result = scan(tree)
    assert any(line.startswith(told) for line in result.findings)
    assert any(line.startswith(told) for line in analyse(tree).findings)
    found = {(one.path, one.severity) for one in result.places if one.rule.startswith("secret file")}
    assert found == {("id_rsa", "high"), ("keys/id_rsa", "high"), ("server.pem", "high"), (".env", "medium")}
    assert "Fix first: 1. take" in "\n".join(result.findings)
    assert pack(folder)[0] == packed


def test_so_is_what_is_left_out_of_an_archive() -> None:
    packed = zipped(
        {
            "app.py": "x = 1\n",
            "big.py": b"".join(b"%d\n" % number for number in range(200_000)),
            "store.p12": b"\0\1",
            "logo.png": b"\0\1",
            "id_rsa": PEM,
        }
    )
    tree = read_archive(packed)
    assert {one.why: one.names for one in tree.left} == {
        "key": ("store.p12",),
        "big": ("big.py",),
        "binary": ("logo.png",),
    }
    found = {one.path for one in scan(tree).places if one.rule == "secret file: private key"}
    assert found == {"store.p12", "id_rsa"}


def test_what_an_archive_says_of_itself_is_bounded() -> None:
    forged = [Left("key", 3, ("x" * 99, 'a"\n')), Left("big", 10**12, ())]
    for text in (
        "{",
        msgspec.json.encode(forged).decode(),
        msgspec.json.encode([Left("key", 1, ("x",) * 99)]).decode(),
    ):
        assert read_archive(zipped({"a.py": "x = 1\n", LEFT_FILE: text})).left == ()
    named = msgspec.json.encode([Left("key", 3, ('a"\n',) * NAMES_MAX)]).decode()
    tree = read_archive(zipped({"a.py": "x = 1\n", LEFT_FILE: named}))
    assert tree.left == (Left("key", 3, ("a??",) * NAMES_MAX),)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a/id_ed25519", "key"),
        ("id_rsa.pub", None),
        ("tls.key", "key"),
        ("prod.env", "environment"),
        (".env.local", "environment"),
        (".env.sample", None),
        ("environment.py", None),
    ],
)
def test_names_that_say_that_a_file_holds_a_secret(name: str, kind: str | None) -> None:
    assert secret_kind(name) == kind


def test_a_folder_a_thousand_levels_deep_is_packed(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("x = 1\n")
    here = os.open(tmp_path, os.O_RDONLY)
    try:
        for _ in range(1_100):
            os.mkdir("deep", dir_fd=here)
            below = os.open("deep", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
    finally:
        os.close(here)
    try:
        assert pack(tmp_path)[1] == ["app.py"]
    finally:  # Who removes it otherwise calls itself for each level.
        while (tmp_path / "deep" / "deep").exists():
            (tmp_path / "deep" / "deep").rename(tmp_path / "below")
            (tmp_path / "deep").rmdir()
            (tmp_path / "below").rename(tmp_path / "deep")
