"""The command line as a process of its own: strange folders, closed pipes, full disks, no terminal."""

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from deploy.embedded.supervisor import standard_roles
from deploy.settings import load
from deploy.stack import announce

DIARCHY = Path(sys.executable).with_name("diarchy")
RUN_S_MAX = 30


def result_of(*argv: str | Path, cwd: Path, text: str | None = None) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DIARCHY_")}
    return subprocess.run(  # noqa: S603 - our own program
        argv,
        cwd=cwd,
        env=environment,
        input=text,
        capture_output=True,
        text=True,
        timeout=RUN_S_MAX,
        check=False,
        start_new_session=True,  # Without a terminal to ask, even where the tests have one.
    )


@pytest.mark.parametrize("argv", [(str(DIARCHY),), standard_roles(("sophia",))[0].argv[:-2]], ids=["diarchy", "role"])
def test_a_folder_named_like_one_of_ours_is_not_executed(argv: tuple[str, ...], tmp_path: Path) -> None:
    for name in ("deploy", "runtime"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("print('HIJACKED')\n")
    shown = result_of(*argv, "run", "--help", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "HIJACKED" not in shown.stdout
    assert "Run one or more roles" in shown.stdout


@pytest.mark.parametrize("folder", ["/dev/null", "/proc/x", "file/below"])
def test_a_folder_that_cannot_hold_data_is_named_with_the_remedy(folder: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = result_of(DIARCHY, "up", "--data", folder, "--port", "0", cwd=tmp_path)
    assert ended.returncode == 1
    last = ended.stderr.splitlines()[-1]
    assert last.startswith(f"diarchy: {tmp_path / folder} cannot be the data folder (")
    assert last.endswith("choose one that you may write to with --data")


def test_a_reader_that_has_enough_is_no_failure(tmp_path: Path) -> None:
    """`diarchy doctor --json | head -0`."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        argv = [str(DIARCHY), "doctor", "--json", "--data", str(tmp_path / "data")]
        ended = subprocess.run(argv, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=RUN_S_MAX, check=False)  # noqa: S603
    finally:
        os.close(writing)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full outside Linux")
def test_a_full_disk_is_one_clear_error(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        argv = [str(DIARCHY), "doctor", "--json", "--data", str(tmp_path / "data")]
        ended = subprocess.run(argv, stdout=full, stderr=subprocess.PIPE, text=True, timeout=RUN_S_MAX, check=False)  # noqa: S603
    assert ended.returncode == 1
    assert (
        ended.stderr == "diarchy: cannot write: No space left on device; make room where the output or the data goes\n"
    )


ADD = ("user", "add", "--role", "read_only")


def test_a_users_name_is_checked_before_the_password_is_asked_for(tmp_path: Path) -> None:
    ended = result_of(DIARCHY, *ADD, "Dana Doe", cwd=tmp_path, text="")
    assert ended.returncode == 2
    assert "the name 'Dana Doe' must be 1 to" in ended.stderr
    assert "assword" not in ended.stderr


@pytest.mark.parametrize("words", [(*ADD, "dana"), ("token", "--user", "dana")], ids=["user add", "token"])
def test_without_a_terminal_the_other_way_to_give_a_password_is_named(words: tuple[str, ...], tmp_path: Path) -> None:
    ended = result_of(DIARCHY, *words, cwd=tmp_path, text="a password for all\n")
    assert ended.returncode == 2
    assert ended.stderr.endswith("there is no terminal to ask for the password at; give it with --password-stdin\n")
    assert "Warning" not in ended.stderr


RUN = "0199a3c4-6c1e-7b0a-9d55-0d0f6a1b2c3d"


class _Slow(BaseHTTPRequestHandler):
    """A gateway that takes a question and never answers it."""

    asked = threading.Event()
    over = threading.Event()
    keys: ClassVar[list[str | None]] = []
    bodies: ClassVar[list[dict[str, Any]]] = []

    def do_POST(self) -> None:
        self.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.keys.append(self.headers["Idempotency-Key"])
        if self.headers.get("Prefer") == "wait=0":
            body = json.dumps({"correlation_id": RUN, "status_url": "/v1/x"}).encode()
            self.send_response(202)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            return
        self.asked.set()
        self.over.wait(RUN_S_MAX)

    def do_GET(self) -> None:
        """Two approvals wait, neither for who asks."""
        line = {"name": "tool x", "status": "waiting", "digest": "0" * 64, "principal": "ann", "quorum": 1, "by": []}
        times = {"requested": "2026-11-30T00:00:00Z", "expires": "2026-12-01T00:00:00Z"}
        lines = [{**line, **times, "id": one, "label": "internal", "correlation_id": RUN} for one in ("a1", "a2")]
        body = json.dumps({"approvals": lines if "which=all" in self.path else []}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def slow_gateway() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Slow)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    _Slow.over.set()
    server.shutdown()
    server.server_close()
    for event in (_Slow.asked, _Slow.over):
        event.clear()
    _Slow.keys.clear()
    _Slow.bodies.clear()


@pytest.mark.parametrize("more", [(), ("--no-stream",)], ids=["stream", "no stream"])
def test_an_interrupted_question_goes_on_and_its_asker_is_told_where(
    more: tuple[str, ...], slow_gateway: str, tmp_path: Path
) -> None:
    argv = [str(DIARCHY), "ask", "Why?", *more, "--url", slow_gateway, "--token", "t"]
    with subprocess.Popen(argv, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as asking:  # noqa: S603
        assert _Slow.asked.wait(RUN_S_MAX)
        asking.send_signal(signal.SIGINT)
        printed, told = asking.communicate(timeout=RUN_S_MAX)
    assert (asking.returncode, printed) == (130, "")
    wanted = f"question {RUN} goes on, its answer is shown by: diarchy runs {RUN} --url {slow_gateway}"
    assert told.splitlines()[-1] == f"interrupted; {wanted}"
    assert len(set(_Slow.keys)) == 1


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ((), {}),
        (("--budget-tokens", "500"), {"tokens_max": 500}),
        (("--budget-tokens", "500", "--budget-cost", "0.5"), {"tokens_max": 500, "cost_max": 0.5}),
    ],
)
def test_a_question_says_what_it_may_cost(
    given: tuple[str, ...], sent: dict[str, float], slow_gateway: str, tmp_path: Path
) -> None:
    target = ("--url", slow_gateway, "--token", "t")
    ended = result_of(DIARCHY, "ask", "Why?", "--no-stream", "--wait", "0", *given, *target, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    budget = _Slow.bodies[0].get("budget") or {}
    assert {name: value for name, value in budget.items() if value is not None} == sent


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ((), None),
        (("--approval", "*"), {"tools": ["*"]}),
        (
            (
                *("--approval", "client_analysis, measure", "--quorum", "2", "--expires", "60"),
                *("--approver", "bob", "--approver", "cleo"),
            ),
            {
                "tools": ["client_analysis", "measure"],
                "quorum": 2,
                "expires_s": 60,
                "approvers": ["bob", "cleo"],
            },
        ),
    ],
)
def test_a_question_says_who_must_agree_to_which_tools(
    given: tuple[str, ...], sent: dict[str, object] | None, slow_gateway: str, tmp_path: Path
) -> None:
    target = ("--url", slow_gateway, "--token", "t")
    ended = result_of(DIARCHY, "ask", "Why?", "--no-stream", "--wait", "0", *given, *target, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert _Slow.bodies[0].get("approval") == sent


@pytest.mark.parametrize("given", [(), ("--ceo-context",)], ids=["without", "with"])
def test_a_question_says_whether_it_wants_the_strategy_in_view(
    given: tuple[str, ...], slow_gateway: str, tmp_path: Path
) -> None:
    target = ("--url", slow_gateway, "--token", "t")
    ended = result_of(DIARCHY, "ask", "Why?", "--no-stream", "--wait", "0", *given, *target, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert _Slow.bodies[0].get("ceo_context", False) is bool(given)


def test_the_commands_in_hints_can_be_pasted_into_a_shell(tmp_path: Path) -> None:
    folder = str(tmp_path / "my $data")
    hints = [line for line in announce(load(environment={}, data=folder)) if "diarchy " in line]
    assert len(hints) == 3
    assert all(folder in shlex.split(hint) for hint in hints)
    ended = result_of(DIARCHY, "publisher", "--data", folder, cwd=tmp_path)
    assert f"`diarchy up --data '{folder}'`" in ended.stderr


def test_who_has_nothing_to_approve_is_told_how_many_wait_for_others(slow_gateway: str, tmp_path: Path) -> None:
    target = ("--url", slow_gateway, "--token", "t")
    ended = result_of(DIARCHY, "approvals", "list", *target, cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (0, "")
    wanted = f"2 that wait for others are not shown: diarchy approvals list --which all --url {slow_gateway}"
    assert ended.stderr.splitlines() == ["there are no such approvals", wanted]
    every = result_of(DIARCHY, "approvals", "list", "--which", "all", *target, cwd=tmp_path)
    assert [line.split()[0] for line in every.stdout.splitlines()] == ["a1", "a2"]
