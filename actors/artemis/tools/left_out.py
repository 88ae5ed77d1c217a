"""Files of a tree that nobody looks at: why, how many, and the first names. And which names say that a file holds a secret.

Who packs a folder leaves its keys at home and says so in a small file in the archive (deploy/source_archive.py): that they lie in
the tree is a finding, what they say is not sent anywhere.
"""

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from runtime.text import clip

LEFT_FILE = ".diarchy-left-out.json"
NAMES_MAX = 50  # that are kept of each kind; all are counted
TOLD_MAX = 3
NAME_CHARS_MAX = 120

Why = Literal["key", "environment", "big", "link", "kind", "binary", "ignored", "folder", "device", "unreadable"]
_SAID: dict[Why, str] = {
    "key": "private key (by name or beginning)",
    "environment": "environment variables (by name)",
    "big": "too big",
    "link": "link",
    "kind": "kind that is not read",
    "binary": "binary",
    "ignored": "ignored by .gitignore",
    "folder": "others' or made code",
    "device": "neither file nor folder",
    "unreadable": "not readable",
}
_KEYS = frozenset({"id_rsa", "id_dsa", "id_ecdsa", "id_ed25519"})
_KEY_ENDINGS = frozenset({".key", ".p12", ".pfx", ".jks", ".keystore", ".ppk", ".kdbx"})
_EXAMPLES = (".example", ".sample", ".template", ".dist", ".defaults")
PRIVATE = b"PRIVATE KEY-----"
HEAD_BYTES = 4_096  # of a file, in which a key says what it is

Name = Annotated[str, Meta(max_length=NAME_CHARS_MAX)]


class Left(Struct, frozen=True):
    """How many files were left out for one reason, and the first of them."""

    why: Why
    count: Annotated[int, Meta(ge=1, le=10**9)]
    names: Annotated[tuple[Name, ...], Meta(max_length=NAMES_MAX)]


class LeftOut:
    """What was left out so far."""

    def __init__(self) -> None:
        self._counts: dict[Why, int] = {}
        self._names: dict[Why, list[str]] = {}

    def add(self, why: Why, name: str) -> None:
        self._add(why, 1, (name,))

    def take(self, text: str) -> None:
        """What an archive says of itself; nothing where it is not what we write."""
        try:
            known = msgspec.json.decode(text, type=Annotated[tuple[Left, ...], Meta(max_length=len(_SAID))])
        except (msgspec.MsgspecError, UnicodeError):
            return
        for one in known:
            self._add(one.why, one.count, one.names)

    def result(self) -> tuple[Left, ...]:
        return tuple(Left(why, self._counts[why], tuple(self._names[why])) for why in _SAID if why in self._counts)

    def _add(self, why: Why, count: int, names: Iterable[str]) -> None:
        self._counts[why] = self._counts.get(why, 0) + count
        kept = self._names.setdefault(why, [])
        kept += [_shown(name) for name in names][: NAMES_MAX - len(kept)]


def secret_kind(path: str) -> Why | None:
    """`key` or `environment` where the name alone says so."""
    file = PurePosixPath(path)
    name = file.name.lower()
    if name in _KEYS or file.suffix.lower() in _KEY_ENDINGS:
        return "key"
    environment = name == ".env" or name.startswith(".env.") or file.suffix.lower() == ".env"
    return "environment" if environment and not name.endswith(_EXAMPLES) else None


def sentence(left: Iterable[Left]) -> str:
    """All of it, the counts of all kinds first; empty where nothing was left out."""
    left = tuple(left)
    if not left:
        return ""
    counts = ", ".join(f"{one.count:,} × {_SAID[one.why]}" for one in left)
    named = "; ".join(_names(one) for one in left if one.names)
    return f"Not looked at: {sum(one.count for one in left):,} of what is in the tree: {counts}, such as {named}."


def _names(one: Left) -> str:
    return ", ".join(one.names[:TOLD_MAX]) + (" …" if one.count > TOLD_MAX else "")


def encoded(left: Mapping[str, Why]) -> bytes:
    """What an archive says of itself, by path."""
    found = LeftOut()
    for path, why in sorted(left.items()):
        found.add(why, path)
    return msgspec.json.encode(found.result())


def _shown(name: str) -> str:
    plain = name.encode("utf-8", "replace").decode()
    return clip("".join(sign if sign.isprintable() and sign not in '"\\' else "?" for sign in plain), NAME_CHARS_MAX)
