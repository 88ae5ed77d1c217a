"""`diarchy dlq` against a real broker."""

import asyncio
import json
from io import StringIO

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from adapters.jetstream import connect
from adapters.jetstream_letters import JetStreamLetters
from contracts import subjects
from contracts.domains import Domain
from contracts.envelope import to_headers
from contracts.kernel import DeadLetter
from deploy.cli import cli
from deploy.letters_shown import listing
from tests.contract.conftest import World, on_server
from tests.contract.records import actor, record
from tests.contract.test_letters import letter
from tests.servers import NatsServer

SENT = record()
REQUEST = letter(1, reason="ValueError: nought", headers=to_headers(SENT.envelope), body=SENT.body)
GARBLED = letter(2, reason="no envelope", subject=subjects.inbox(actor("a2", Domain.ARTEMIS)))


@pytest.fixture
def server(nats_server: NatsServer) -> NatsServer:
    """A broker with two letters: one that can be sent again, one that has no envelope."""

    async def fill(world: World) -> None:
        for one in (REQUEST, GARBLED):
            await world.letters.put(one)

    asyncio.run(on_server(nats_server, fill))
    return nats_server


def dlq(server: NatsServer, *arguments: str, text: str | None = None) -> Result:
    names = {"URL": server.url, "USER": server.user, "PASSWORD": server.password}
    variables = {f"DIARCHY_NATS_{name}": value for name, value in names.items() if value}
    return CliRunner().invoke(cli, ["dlq", *arguments], input=text, env=variables)


def kept(server: NatsServer, id: str) -> DeadLetter:  # noqa: A002 - the field's name
    async def read() -> DeadLetter:
        broker = await connect(server.url, user=server.user, password=server.password)
        try:
            found = await JetStreamLetters(broker).get(id)
            assert found is not None
            return found.letter
        finally:
            await broker.stop()

    return asyncio.run(read())


def test_list_and_show(server: NatsServer) -> None:
    lines = [json.loads(line) for line in dlq(server, "list", "--json").stdout.splitlines()]
    assert [line["id"] for line in lines] == [GARBLED.id, REQUEST.id]
    assert [json.loads(dlq(server, "list", "--json", "--domain", "artemis").stdout)["id"]] == [GARBLED.id]
    assert REQUEST.id in dlq(server, "list", "--reason", "NOUGHT").stdout
    nothing = dlq(server, "list", "--kind", "nobody")
    assert (nothing.stdout, nothing.exit_code) == ("", 0)
    assert "no dead letters like that" in nothing.stderr
    shown = dlq(server, "show", REQUEST.id).stdout
    for part in (REQUEST.subject, "nought", "after 5 attempts", "Zoë — tester", '"type": "test.v1"'):
        assert part in shown
    assert json.loads(dlq(server, "show", REQUEST.id, "--json").stdout)["body"] == {"type": "test.v1"}
    unknown = dlq(server, "show", "nobody")
    assert unknown.exit_code == 1
    assert "there is no dead letter nobody" in unknown.stderr


def test_redrive_by_id_twice_sends_once_and_keeps_who(server: NatsServer) -> None:
    first = dlq(server, "redrive", REQUEST.id, "--yes", "--json")
    assert (json.loads(first.stdout)["outcome"], first.exit_code) == ("redriven", 0)
    again = dlq(server, "redrive", REQUEST.id, "--yes")
    assert (f"{REQUEST.id}  already: redriven by operator" in again.stdout, again.exit_code) == (True, 0)
    ended = kept(server, REQUEST.id).ended
    assert ended is not None
    assert ended.by.startswith("operator ")


def test_all_tells_what_became_of_each(server: NatsServer) -> None:
    result = dlq(server, "redrive", "--all", "--yes")
    assert result.exit_code == 1
    assert f"{REQUEST.id}  redriven" in result.stdout
    assert f"{GARBLED.id}  unreadable: missing headers" in result.stdout
    assert "1 of 2 could not be ended" in result.stderr
    assert kept(server, GARBLED.id).ended is None
    assert dlq(server, "drop", "--all", "--domain", "artemis", "--yes").exit_code == 0
    assert kept(server, GARBLED.id).body == b""
    assert "dropped" in dlq(server, "show", GARBLED.id).stdout
    assert "there are no dead letters" in dlq(server, "drop", "--all", "--yes").stderr


def test_a_list_for_a_program_is_a_line_a_letter_with_nothing_cut(nats_server: NatsServer) -> None:
    reason = "ValueError: " + "a long story, " * 60 + "then\tMalformedError\nat its end"
    long = letter(3, reason=reason, subject=subjects.inbox(actor("a" * 100)))

    async def fill(world: World) -> None:
        await world.letters.put(long)

    asyncio.run(on_server(nats_server, fill))
    [headings, line] = dlq(nats_server, "list").stdout.splitlines()
    assert headings.split("\t") == ["Id", "Time", "Subject", "Reason", "Tries", "Back"]
    shown = " ".join(reason.split())
    assert line.split("\t") == [long.id, "2026-01-02 12:03:00", long.subject, shown, "5", ""]


def test_a_list_at_a_terminal_fits_it() -> None:
    long = letter(3, reason="a long story, " * 60)
    text = StringIO()
    Console(file=text, width=100).print(listing([long]))
    assert max(map(len, text.getvalue().splitlines())) <= 100
    assert (long.id in text.getvalue(), "…" in text.getvalue()) == (True, True)


def test_an_id_may_be_pasted_as_it_comes(server: NatsServer) -> None:
    pasted = f" {GARBLED.id.upper()}\n"
    assert dlq(server, "show", pasted).stdout == dlq(server, "show", GARBLED.id).stdout
    result = dlq(server, "drop", pasted, GARBLED.id, GARBLED.id, "--yes")
    assert (result.stdout, result.exit_code) == (f"{GARBLED.id}  dropped\n", 0)
    twice = dlq(server, "redrive", "nobody", "Nobody ", "--yes")
    assert (len(twice.stdout.splitlines()), "1 of 1 could not be ended" in twice.stderr) == (1, True)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("redrive",), "name the letters to redrive, or --all"),
        (("drop", "x", "--all"), "name the letters to drop, or --all"),
        (("drop", "x", "--domain", "ceo"), "filters go with --all"),
        (("list", "--since", "2026-01-02", "--until", "2026-01-01"), "--until lies before --since"),
        (("drop", "--all", "--since", "2026-01-02", "--until", "2026-01-01"), "--until lies before --since"),
        (("drop", "x"), "there is no terminal to ask at; say --yes"),
    ],
)
def test_wrong_usage_is_status_2(server: NatsServer, words: tuple[str, ...], problem: str) -> None:
    result = dlq(server, *words)
    assert (result.exit_code, problem in result.stderr) == (2, True)
