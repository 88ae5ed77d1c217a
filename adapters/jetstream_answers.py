"""What JetStream answers, and how a request to it fails."""

import msgspec
from msgspec import Struct

from adapters.nats_wire import Msg, header_text
from contracts.envelope import Record, Stored, from_header_text, from_headers
from runtime.errors import MalformedError, UnavailableError


class RefusedError(UnavailableError):
    """JetStream answered with an error; `code` is its err_code."""

    def __init__(self, code: int, description: str) -> None:
        super().__init__("broker", f"{description} ({code})")
        self.code = code


class SilenceError(UnavailableError):
    """The broker is there, but nobody listens on the subject or replies in time: `reason` says which."""

    def __init__(self, reason: str) -> None:
        super().__init__("broker", reason)
        self.reason = reason


class ApiError(Struct):
    err_code: int = 0
    description: str = ""


class Ack(Struct):
    """JetStream's answer to a publish: the sequence, and whether it had the message id already; of a batch, which one it was."""

    seq: int = 0
    duplicate: bool = False
    batch: str = ""
    count: int = 0
    error: ApiError | None = None


_ack = msgspec.json.Decoder(Ack)


def read_ack(msg: Msg) -> Ack:
    """What JetStream answered. Raises RefusedError, UnavailableError for what is no such answer."""
    try:
        ack = _ack.decode(msg.data)
    except msgspec.MsgspecError as error:
        raise UnavailableError("broker", f"not understood: {error}") from error
    if ack.error is not None:
        raise RefusedError(ack.error.err_code, ack.error.description)
    return ack


def read_record(subject: str, sequence: int, msg: Msg) -> Stored:
    """The record that a message of a log is. Raises MalformedError."""
    try:
        envelope = from_header_text(header_text(msg.raw)) or from_headers(msg.headers or {})
    except ValueError as error:
        raise MalformedError(f"{subject} at {sequence}: {error}") from error
    return Stored(subject, sequence, Record(envelope, msg.data))
