"""Ids: UUIDv7 (RFC 9562), new ones and ones derived so that a repeat gets the same id."""

import hashlib
import re
import secrets
import time
from uuid import UUID

_USUAL = re.compile(r"([0-9a-f]{8})-([0-9a-f]{4})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def new_id() -> str:
    """A fresh UUIDv7: 48 bits of Unix milliseconds, 74 random bits; sorts by time."""
    return _v7(time.time_ns() // 1_000_000, secrets.token_bytes(10))


def derived_id(parent: str, *parts: str | int) -> str:
    """The UUIDv7 that always follows from `parent` and `parts`: the parent's milliseconds, 74 bits of a SHA-256."""
    text = "\0".join([parent, *map(str, parts)])
    usual = _USUAL.fullmatch(parent)
    milliseconds = int(usual[1] + usual[2], 16) if usual else UUID(parent).int >> 80
    return _v7(milliseconds, hashlib.sha256(text.encode()).digest()[:10])


def timed_id(time_ns: int, *parts: str | int) -> str:
    """The UUIDv7 that always follows from a time (Unix nanoseconds) and `parts`."""
    return _v7(time_ns // 1_000_000, hashlib.sha256("\0".join(map(str, parts)).encode()).digest()[:10])


def keyed_id(*parts: str) -> str:
    """The UUID (version 8 form) that always follows from `parts`: for idempotency keys, which carry no time."""
    number = int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest()[:16])
    return _dashed(_stamped(number, 8))


def _v7(milliseconds: int, entropy: bytes) -> str:
    return _dashed(_stamped(milliseconds << 80 | int.from_bytes(entropy), 7))


def _dashed(number: int) -> str:
    digits = f"{number:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _stamped(number: int, version: int) -> int:
    return (number & ~(0xF << 76) & ~(0x3 << 62)) | version << 76 | 0x2 << 62
