"""The counting model server, with the time of every call."""

import time
from typing import Any, Self

from msgspec import Struct

from tests.model_server import Call, ModelServer, Options

DELAY_S = 0.3  # long enough for kills to fall into calls


class Timed(Struct, frozen=True):
    """One call: its idempotency key, the SHA-256 of its body and when it came, in Unix seconds."""

    key: str
    sha256: str
    at: float


class TimedModelServer(ModelServer):
    """Answers by computation after DELAY_S and remembers each call. A context manager."""

    def __init__(self) -> None:
        super().__init__(Options(delay_s=DELAY_S))
        self.timed: list[Timed] = []

    def note(self, path: str, key: str, body: bytes, decoded: dict[str, Any]) -> Call:  # noqa: ARG002 - see below
        call = super().note(path, key, body, {})  # What was said is in the logs: kept here it would only grow.
        self.timed.append(Timed(key, call.sha256, time.time()))
        return call

    def __enter__(self) -> Self:
        super().__enter__()
        return self

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: callers are killed here, and their connections break."""
