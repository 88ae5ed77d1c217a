"""The wire: what comes is parsed however the network cuts it, and what is sent cannot break out of its frame."""

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.nats_wire import Msg, Parser, frame, header_lines, parse_headers
from runtime.errors import InvalidError

STREAM = (
    b'INFO {"max_payload":1}\r\n+OK\r\n'
    b"MSG a.b 1 5\r\nhello\r\n"
    b"PING\r\n"
    b"HMSG a.b 1 reply.to 22 24\r\nNATS/1.0\r\nName: x: y\r\n\r\n\r\n\r\n"
    b"MSG a.c 1 to 0\r\n\r\n"
    b"HMSG a.d 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\nPONG\r\n-ERR 'Permissions Violation'\r\n"
)


class Client:
    """The part of nats-py that the parser calls."""

    def __init__(self) -> None:
        self.told: list[object] = []

    async def _process_info(self, info: object) -> None:
        self.told.append(info)

    async def _process_ping(self) -> None:
        self.told.append("ping")

    async def _process_pong(self) -> None:
        self.told.append("pong")

    async def _process_err(self, error: str) -> None:
        self.told.append(error)


@given(cuts=st.lists(st.integers(0, len(STREAM)), max_size=6))
def test_messages_are_whole_however_they_are_cut(cuts: list[int]) -> None:
    client, got = Client(), list[Msg]()
    parser = Parser(client)
    parser.handlers[1] = got.append

    async def feed() -> None:
        edges = [0, *sorted(cuts), len(STREAM)]
        for begin, end in pairwise(edges):
            await parser.parse(STREAM[begin:end])

    asyncio.run(feed())
    assert [(one.subject, one.reply, one.data, one.headers) for one in got] == [
        ("a.b", "", b"hello", None),
        ("a.b", "reply.to", b"\r\n", {"Name": "x: y"}),
        ("a.c", "to", b"", None),
        ("a.d", "", b"", {"Status": "503"}),
    ]
    assert client.told == [{"max_payload": 1}, "ping", "pong", "'permissions violation'"]


def test_a_handler_that_raises_ends_nothing_and_a_reset_forgets_what_was_begun() -> None:
    got: list[bytes] = []
    parser = Parser(Client())

    def handle(msg: Msg) -> None:
        got.append(msg.data)
        raise ValueError("x")

    parser.handlers[1] = handle

    async def feed() -> None:
        await parser.parse(b"MSG a 1 1\r\n1\r\nMSG a 1 1\r\n2\r\nMSG a 1 9\r\n3")
        parser.reset()
        await parser.parse(b"MSG a 1 1\r\n4\r\n")

    asyncio.run(feed())
    assert got == [b"1", b"2", b"4"]


def test_nothing_breaks_out_of_a_frame() -> None:
    lines = header_lines({"Name": "a\r\nEvil: b", "Other": "Grüße"})
    assert parse_headers(b"NATS/1.0\r\n" + lines + b"\r\n") == {"Name": "a Evil: b", "Other": "Grüße"}
    assert frame("a.b", b"xy", "r", b"N: 1\r\n") == b"HPUB a.b r 18 20\r\nNATS/1.0\r\nN: 1\r\n\r\nxy\r\n"
    for subject in ("", "a b", "a\r\nPUB x 0"):
        with pytest.raises(InvalidError):
            frame(subject, b"")
    with pytest.raises(InvalidError):
        header_lines({"a b": "1"})
