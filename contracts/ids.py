"""Ids: UUIDv7 (RFC 9562), new ones and ones derived so that a repeat gets the same id."""

import hashlib
import re
import secrets
import time
from uuid import UUID

_USUAL = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def new_id() -> str:
    """A fresh UUIDv7: 48 bits of Unix milliseconds, 74 random bits; sorts by time."""
    return _v7(_milliseconds(time.time_ns() // 1_000_000), secrets.token_hex(10))


def derived_id(parent: str, *parts: str | int) -> str:
    """The UUIDv7 that always follows from `parent` and `parts`: the parent's milliseconds, 74 bits of a SHA-256."""
    text = "\0".join([parent, *map(str, parts)])
    milliseconds = parent[:13] if _USUAL.fullmatch(parent) else _milliseconds(UUID(parent).int >> 80)
    return _v7(milliseconds, hashlib.sha256(text.encode()).hexdigest())


def timed_id(time_ns: int, *parts: str | int) -> str:
    """The UUIDv7 that always follows from a time (Unix nanoseconds) and `parts`."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()
    return _v7(_milliseconds(time_ns // 1_000_000), digest)


def keyed_id(*parts: str) -> str:
    """The UUID (version 8 form) that always follows from `parts`: for idempotency keys, which carry no time."""
    digits = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-8{digits[13:16]}-{_VARIANT[digits[16]]}{digits[17:20]}-{digits[20:32]}"


def _milliseconds(number: int) -> str:
    digits = f"{number:012x}"
    return f"{digits[:8]}-{digits[8:]}"


def _v7(milliseconds: str, entropy: str) -> str:
    """From the first two groups and 20 hex digits or more, of which 6 bits give way to version and variant."""
    return f"{milliseconds}-7{entropy[1:4]}-{_VARIANT[entropy[4]]}{entropy[5:8]}-{entropy[8:20]}"
