"""The command line without a stack: what it offers, how it refuses, what it never does."""

import fcntl
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from contracts.curating import KnowledgeHit
from contracts.domains import Clearance
from contracts.knowledge import Knowledge
from contracts.span import Span
from deploy import contracts_export, stack
from deploy.cli import COMMANDS, cli
from deploy.commands import options
from deploy.commands.knowledge_finding import shown
from deploy.keys import signing_key
from deploy.progress import Steps
from deploy.settings import load
from gateway.identity import Tokens
from runtime.errors import UnavailableError

HEAVY = ("adapters", "asyncpg", "cryptography", "falcon", "httpx", "jwt", "nats", "numpy", "onnxruntime", "rich")


def run(*arguments: str, text: str | None = None, **environment: str) -> Result:
    variables = {f"DIARCHY_{name}": value for name, value in environment.items()}
    return CliRunner().invoke(cli, arguments, input=text, env=variables)


def leaves() -> Iterator[tuple[str, ...]]:
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        if isinstance(command, click.Group):
            yield from ((name, inner) for inner in command.list_commands(context))
        else:
            yield (name,)


@pytest.mark.parametrize("words", list(leaves()), ids=" ".join)
def test_every_command_teaches_by_example(words: tuple[str, ...]) -> None:
    shown = run(*words, "--help")
    assert shown.exit_code == 0
    assert "Examples:\n    " in shown.output
    assert f"diarchy {' '.join(words)}" in shown.output or "diarchy --config" in shown.output
    assert max(map(len, shown.output.splitlines())) <= 100


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys; from click.testing import CliRunner; from deploy.cli import cli;"
        "result = CliRunner().invoke(cli, ['--help']); assert result.exit_code == 0, result.output;"
        "print(' '.join(sys.modules))"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603
    assert not {name for name in HEAVY if name in loaded.stdout.split()}


def test_a_worker_and_the_gateway_start_without_what_only_the_vector_index_needs() -> None:
    """Numpy and the engine are an eighth of what a process imports; what searches asks another one."""
    code = (
        "import sys\n"
        "import adapters.embedding_rpc, adapters.retrieval, adapters.sandbox\n"
        "import deploy.gateway_role, deploy.providers, deploy.roles\n"
        "print(' '.join(sys.modules))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout  # noqa: S603
    assert {"numpy", "qdrant_edge", "onnxruntime", "statsmodels"}.isdisjoint(printed.split())


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("nonsense",), "No such command 'nonsense'"),
        (("run", "gateway", "sofia"), "there is no role sofia; there are artemis, ceo"),
        (("run", "gateway"), "nats.url is not set: set DIARCHY_NATS_URL"),
        (("ask", "  "), "the question is empty"),
        (("ask", "--url", "http://elsewhere:1", "Why?"), "as whom to ask http://elsewhere:1?"),
        (("ask", "--quorum", "2", "Why?"), "--quorum, --approver and --expires go with --approval"),
        (("analyse", "--approval", "*", "--quorum", "6", "Why?"), "--approval: Expected `int` <= 5 - at `$.quorum`"),
        (("token",), "say who"),
        (("token", "--user", "dana", "--role", "admin"), "--user signs in with a password"),
        (("import",), "name a folder or file"),
        (("rebuild",), "name the projections to rebuild, or --all"),
        (("rebuild", "nothing"), "there is no projection nothing; there are alerts"),
        (("contracts",), "change to the root of a checkout"),
    ],
)
def test_wrong_usage_is_status_2_and_says_what_is_right(
    words: tuple[str, ...], problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*words)
    assert result.exit_code == 2, result.output
    assert problem in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    "words",
    [
        ("events",),
        ("runs", "x"),
        ("tools",),
        ("cancel", "x"),
        ("dlq", "list"),
        ("rebuild", "--all"),
        ("publisher",),
        ("ask", "Why?"),
    ],
    ids=" ".join,
)
def test_without_a_stack_one_line_names_the_remedy(words: tuple[str, ...], tmp_path: Path) -> None:
    result = run(*words, "--data", str(tmp_path / "none"))
    assert result.exit_code == 1
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("diarchy: ")
    assert "diarchy up" in result.stderr
    assert not (tmp_path / "none").exists()


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    result = run("events", "--data", str(tmp_path), GATEWAY_PORT="many")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "DIARCHY_GATEWAY_PORT" in result.stderr


def test_what_nobody_expected_is_one_line_too_and_a_traceback_with_debug(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_data: str | None = None) -> None:
        raise ZeroDivisionError("by nought")

    monkeypatch.setattr(options, "stack_settings", broken)
    result = run("publisher", "--data", str(tmp_path))
    assert result.exit_code == 1
    assert result.stderr == "diarchy: unexpected ZeroDivisionError: by nought; the same with --debug shows where\n"
    assert isinstance(run("--debug", "publisher").exception, ZeroDivisionError)


def test_interrupted_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_data: str | None = None) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(options, "stack_settings", interrupted)
    assert run("publisher").exit_code == 130


def test_our_errors_are_told_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    def down(_data: str | None = None) -> None:
        raise UnavailableError("broker", "no answer")

    monkeypatch.setattr(options, "stack_settings", down)
    assert run("publisher").stderr == "diarchy: broker is unavailable: no answer\n"


def test_a_second_up_is_refused_and_told_by_whom(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as file:
        file.write("4711")
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        result = run("up", "--data", str(tmp_path), "--port", "0")
    assert result.exit_code == 1
    assert "in use by process 4711" in result.stderr


def test_contracts_are_written_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("docs", "contracts"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    stale = run("contracts", "--check")
    assert stale.exit_code == 1
    assert "docs/contracts/asyncapi.json is not current" in stale.stderr
    assert not (tmp_path / contracts_export.FOLDER).exists()
    written = run("contracts")
    assert written.stdout.splitlines() == [str(contracts_export.FOLDER / name) for name in contracts_export.documents()]
    assert run("contracts", "--check").exit_code == 0


def test_a_token_signed_by_the_operator_says_what_was_asked_for(tmp_path: Path) -> None:
    key = signing_key(load(environment={}, data=str(tmp_path)))
    words = (
        "--role",
        "sophia_user",
        "--role",
        "read_only",
        "--clearance",
        "restricted",
        "--subject",
        "dana",
        "--ttl",
        "60",
    )
    result = run("token", "--data", str(tmp_path), *words)
    principal = Tokens(key).verify(result.stdout.strip())
    assert (principal.username, principal.roles) == ("dana", ("sophia_user", "read_only"))
    assert principal.clearance is Clearance.RESTRICTED


def test_an_unreadable_key_is_named(tmp_path: Path) -> None:
    (tmp_path / "jwt.pem").write_text("not a key")
    result = run("token", "--data", str(tmp_path), "--role", "admin")
    assert result.exit_code == 1
    assert "jwt.pem is not an Ed25519 private key" in result.stderr


def test_doctor_says_what_is_there_before_the_first_start(tmp_path: Path) -> None:
    result = run("doctor", "--data", str(tmp_path / "new"), "--json", GATEWAY_PORT="0", EMBEDDING_PROVIDER="minilm")
    checks = {check["name"]: check for check in json.loads(result.stdout)}
    assert checks["stack"] == {
        "name": "stack",
        "state": "note",
        "detail": "none runs here",
        "remedy": f"diarchy up --data {tmp_path / 'new'}",
    }
    assert {
        checks[name]["state"] for name in ("versions", "data folder", "nats", "postgres", "embedding", "qdrant")
    } == {"ok"}
    assert result.exit_code == 0


def test_doctor_finds_a_readable_key_and_a_dead_broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "CONNECT_S_MAX", 0.2)
    (tmp_path / "jwt.pem").write_text("secret")
    (tmp_path / "jwt.pem").chmod(0o644)
    result = run("doctor", "--data", str(tmp_path), NATS_URL="nats://127.0.0.1:9", GATEWAY_PORT="0")
    assert result.exit_code == 1
    text = " ".join(result.stdout.split())
    assert f"chmod 600 {tmp_path / 'jwt.pem'}" in text
    assert "nats://127.0.0.1:9 did not let us in" in text


def test_the_demo_leaves_nothing_when_it_cannot_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    result = run("demo", GATEWAY_HOST="192.0.2.1")
    assert result.exit_code == 1
    assert "cannot be used" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"---\nconfidentiality: secret\n---\nText.", "note.md, line 2: confidentiality 'secret' is not taken"),
        (
            b"---\npartition: agent_memories\n---\nText.",
            "line 2: partition 'agent_memories' is not taken; it is one of sophia_b",
        ),
        (b"caf\xe9", "note.md: the file is not UTF-8 text (byte 3)"),
    ],
)
@pytest.mark.parametrize("words", [("add",), ("update", "some-item", "--file")], ids=" ".join)
def test_a_file_that_cannot_be_an_item_is_refused_by_its_name(
    tmp_path: Path, words: tuple[str, ...], content: bytes, reason: str
) -> None:
    (tmp_path / "note.md").write_bytes(content)
    told = run("knowledge", *words, str(tmp_path / "note.md"))
    assert told.exit_code == 1
    assert reason in told.output
    assert "--debug" not in told.output


def test_of_a_hit_the_sentence_is_shown_that_matches_best_wherever_it_stands() -> None:
    content = "Much else. " * 50 + "The lamp\nis lit. More."
    start = content.index("The lamp")
    said = Knowledge(title="t", content=content, category="risk_management", confidentiality=Clearance.PUBLIC)
    hit = KnowledgeHit(id="i", score=1.0, partition="ceo_knowledge", knowledge=said)
    best, passage = Span(start, start + 16), Span(start - 11, len(content))
    assert shown(replace(hit, passage=passage, highlights=(best,))) == "The lamp is lit."
    assert shown(replace(hit, passage=passage)) == "Much else. The lamp is lit. More."
    assert shown(hit).startswith("Much else. Much")


def test_a_team_that_is_none_is_told_with_those_that_are() -> None:
    refused = run("ask", "--team", "nope", "Why?")
    assert refused.exit_code == 2
    assert "there is no team 'nope': sophia has business_insight, client_analysis," in " ".join(refused.output.split())
    refused = run("ask", "--repository", "ssh://git@host/a", "Why?")
    assert refused.exit_code == 2
    assert "must be an absolute path, or the https address of a git repository" in " ".join(refused.output.split())
    assert "regex" not in refused.output


def test_a_step_that_takes_long_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with Steps() as steps:
        steps.still(steps.begin("Asking Artemis"))
    assert "Asking Artemis: 0 s so far" in capsys.readouterr().err
