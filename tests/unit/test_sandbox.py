"""The sandbox against tools that are hostile, run for real: what each tries comes to nothing, and nothing of it stays."""

import asyncio
import os
import re
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from adapters import sandbox_lock, sandbox_zygote
from adapters.sandbox import Sandbox, named
from contracts.domains import Clearance
from contracts.model import Evidence
from deploy import doctor
from deploy.settings import Settings, Tools
from runtime.errors import OutcomeError, UnavailableError
from runtime.ports import ToolLimits
from tests.hostile_tools import HOSTILE, MEMORY_BYTES_MAX, Found, Task

DENIED = "Permission denied"
REFUSED = "Operation not permitted"
GONE_S_MAX = 20.0
A_WORKER = """
import asyncio, sys
from adapters.sandbox import Sandbox
from tests.hostile_tools import HOSTILE, Task

async def main():
    sandbox = Sandbox()
    async def blob(digest):
        print(sandbox._process.pid, flush=True)
        await asyncio.Event().wait()
    await sandbox.run(HOSTILE, Task(act="hold", digest="a" * 64), blob, 600)

asyncio.run(main())
"""


async def stored(digest: str) -> bytes:
    if digest == "0" * 64:
        raise OutcomeError("there is no such blob")
    return f"content of {digest[:3]}".encode()


class Bench:
    """A sandbox and the loop that it lives in."""

    def __init__(self, sandbox: Sandbox, runner: asyncio.Runner) -> None:
        self.sandbox = sandbox
        self.runner = runner

    def does(self, act: str, s_max: float = 30.0, **task: object) -> str:
        """What the tool saw of its act."""
        asked = msgspec.convert({"act": act, **task}, Task)
        found = self.runner.run(self.sandbox.run(HOSTILE, asked, stored, s_max))
        assert isinstance(found, Found)
        return found.findings[0]


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with asyncio.Runner() as runner:
        sandbox = Sandbox()
        yield Bench(sandbox, runner)
        runner.run(sandbox.stop())


def test_nothing_outside_of_its_folder_is_written_read_or_changed(bench: Bench, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("of the data folder")
    secret.chmod(0o600)
    new = tmp_path / "new"
    for act, path in (("write", new), ("write", secret), ("read", secret), ("read", Path("/etc/passwd"))):
        assert DENIED in bench.does(act, path=str(path)), (act, path)
    for act, path in (("list", tmp_path), ("list", Path("/")), ("list", Path("/proc")), ("link", secret)):
        assert DENIED in bench.does(act, path=str(path)), (act, path)
    assert DENIED in bench.does("read", path=f"/proc/{os.getpid()}/environ")
    assert DENIED in bench.does("write", path=str(Path(sys.prefix) / "planted.py"))
    bench.does("chmod", path=str(secret))  # It is told that this went well, and it did nothing.
    assert (secret.read_text(), secret.stat().st_mode & 0o777, new.exists()) == ("of the data folder", 0o600, False)


def test_it_gets_neither_environment_nor_open_files(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DIARCHY_NATS_PASSWORD", "hunter2")
    with (tmp_path / "open").open("w") as inherited:
        os.dup2(inherited.fileno(), inherited.fileno(), inheritable=True)
        assert bench.does("descriptors") == "1"  # the socket to the worker
    environment = bench.does("environment")
    assert "hunter2" not in environment
    assert set(re.findall(r"\('(\w+)'", environment)) == {
        "HOME",
        "LANG",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "PATH",
        "PYTHONDONTWRITEBYTECODE",
        "TMPDIR",
    }


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, socket.AF_NETLINK])
def test_there_is_no_network(bench: Bench, family: int) -> None:
    assert REFUSED in bench.does("socket", number=family)


def test_other_processes_and_its_own_restrictions_are_out_of_its_reach(bench: Bench) -> None:
    for act in ("datagrams", "leave the group", "namespace", "rights"):
        assert REFUSED in bench.does(act), act
    for act in ("kill", "limits"):
        assert REFUSED in bench.does(act, number=os.getpid()), act


def test_its_folder_is_its_own_and_is_removed(bench: Bench) -> None:
    first, second = (re.findall(r"'(.+?)'", bench.does("scratch")) for _ in range(2))
    assert first[0].startswith(first[1])
    assert first[1] != second[1]
    assert not Path(first[1]).exists()
    assert Path(first[1]).parent.exists()


def test_programs_run_and_inherit_all_of_it(bench: Bench) -> None:
    seen = bench.does("program")
    assert "`os` imported but unused" in seen
    assert f"cat: /etc/passwd: {DENIED}" in seen


def test_what_comes_in_an_archive_writes_nothing_outside_even_when_it_is_run(tmp_path: Path) -> None:
    async def setup(_: str) -> bytes:
        return f"open({str(tmp_path / 'planted')!r}, 'w')".encode()

    async def scenario() -> None:
        sandbox = Sandbox()
        found = await sandbox.run(HOSTILE, Task(act="setup", digest="a" * 64), setup, 30)
        assert isinstance(found, Found)
        assert DENIED in found.findings[0]
        await sandbox.stop()

    asyncio.run(scenario())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        ("eat", f"the tool hostile took more than {MEMORY_BYTES_MAX:,} bytes of memory: give it less data"),
        ("eat together", f"more than {MEMORY_BYTES_MAX:,} bytes of memory"),
        ("fork bomb", "the tool hostile took more than"),  # 64 processes or their memory, whatever comes first
        ("crash", r"the tool hostile crashed \(SIGSEGV\)"),
        ("bug", "the tool hostile failed, which is a fault of its own: KeyError: 'missing'"),
        ("unusable", "^the file is no table$"),
        ("large", "gave back .* bytes, more than 16,777,216: it has to sum up"),
    ],
)
def test_what_ends_badly_says_which_limit_and_what_to_do(bench: Bench, act: str, reason: str) -> None:
    with pytest.raises(OutcomeError, match=reason):
        bench.does(act, number=1 << 30 if act == "eat" else 17 << 20)
    assert bench.does("eat", number=1) == "1"


def test_what_runs_for_ever_is_ended(bench: Bench) -> None:
    with pytest.raises(OutcomeError, match=r"longer than 0\.3 s: ask for less at a time, or raise the tool's s_max"):
        bench.does("spin", s_max=0.3)


def test_only_files_that_the_arguments_name_are_read(bench: Bench) -> None:
    assert bench.does("blob", digest="a" * 64) == "content of aaa"
    with pytest.raises(OutcomeError, match="there is no such blob"):
        bench.does("blob", digest="0" * 64)
    with pytest.raises(OutcomeError, match="only the stored files that its arguments name"):
        bench.does("blob unnamed", digest=("b" * 64)[:-1])
    evidence = Evidence(id="c" * 64, title="t", text=f"see {'d' * 64}", label=Clearance.PUBLIC, score=1.0)
    assert named(msgspec.json.encode({"of": [evidence], "e" * 64: 1})) == {"c" * 64, "e" * 64}


def _family(keeper: int) -> list[int]:
    """Handles on all processes under a zygote's keeper, children of children too: first of all the zygote."""
    pids = [pid for child in sandbox_zygote._children(keeper) for pid in sandbox_zygote._tree(child)]
    return [os.pidfd_open(pid) for pid in pids]


def _gone(handles: list[int]) -> None:
    for handle in handles:
        assert select.select([handle], [], [], GONE_S_MAX)[0], "a process lives on"
        os.close(handle)


@pytest.mark.parametrize("with_it", ["nothing", "keeper", "zygote"])
def test_a_killed_worker_leaves_nothing_behind(with_it: str) -> None:
    worker = subprocess.Popen([sys.executable, "-c", A_WORKER], stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own program
    assert worker.stdout is not None
    keeper = int(worker.stdout.readline())
    handles = [os.pidfd_open(keeper), *_family(keeper)]
    assert len(handles) == 4  # the zygote, the tool, and a program that it started
    [zygote] = sandbox_zygote._children(keeper)
    [tool] = sandbox_zygote._children(zygote)
    scratch = Path(f"/proc/{tool}/cwd").readlink()
    assert scratch.is_dir()
    worker.send_signal(signal.SIGSTOP)  # It sees nobody die before it dies.
    if with_it != "nothing":
        signal.pidfd_send_signal(handles[["keeper", "zygote"].index(with_it)], signal.SIGKILL)
    worker.send_signal(signal.SIGKILL)
    _gone(handles)
    worker.communicate()
    assert not scratch.parent.exists()


@pytest.mark.parametrize("end", ["cancelled", "zygote killed", "zygote and keeper killed"])
def test_a_call_that_nobody_waits_for_ends_and_the_next_one_works(end: str) -> None:
    async def scenario() -> None:
        sandbox, asked = Sandbox(), asyncio.Event()

        async def blob(_: str) -> bytes:
            asked.set()
            await asyncio.Event().wait()
            return b""

        calling = asyncio.create_task(sandbox.run(HOSTILE, Task(act="hold", digest="a" * 64), blob, 600))
        await asked.wait()
        assert sandbox._process is not None
        zygote, *handles = _family(sandbox._process.pid)
        assert len(handles) == 2
        if end == "cancelled":
            calling.cancel()
            with pytest.raises(asyncio.CancelledError):
                await calling
        else:
            if "keeper" in end:
                sandbox._process.kill()
            signal.pidfd_send_signal(zygote, signal.SIGKILL)
            with pytest.raises(UnavailableError, match="its zygote died"):
                await calling
        assert await sandbox.run(HOSTILE, Task(act="eat", number=1), stored, 30) == Found(findings=("1",))
        await asyncio.to_thread(_gone, handles)
        await sandbox.stop()
        os.close(zygote)

    asyncio.run(scenario())


def test_where_the_kernel_does_not_protect_tools_run_only_if_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    without = replace(HOSTILE, limits=ToolLimits(preload=("tests.without_landlock",)))

    async def scenario(task: Task, *, unprotected: bool) -> object:
        sandbox = Sandbox(unprotected=unprotected)
        try:
            return await sandbox.run(without, task, stored, 30)
        finally:
            await sandbox.stop()

    with pytest.raises(OutcomeError, match=r"was not run: .* does not protect files .*tools\.unprotected = true"):
        asyncio.run(scenario(Task(act="eat", number=1), unprotected=False))
    read = asyncio.run(scenario(Task(act="list", path="/"), unprotected=True))
    assert "'etc'" in str(read)
    assert REFUSED in str(asyncio.run(scenario(Task(act="socket", number=2), unprotected=True)))
    assert all(one.holds for one in sandbox_lock.protections())
    monkeypatch.setattr(sandbox_lock, "_landlock_abi", lambda: 2)
    assert [one.holds for one in sandbox_lock.protections()] == [False, True]
    checks = {unprotected: asyncio.run(_doctor(unprotected=unprotected)) for unprotected in (False, True)}
    assert checks[False].state == "bad"
    assert "tools.unprotected = true" in checks[False].remedy
    assert (checks[True].state, "no protection of files: Landlock ABI 2" in checks[True].detail) == ("note", True)


@pytest.mark.parametrize(
    ("preload", "why"),
    [
        ("tests.without_landlock", "was not run: the kernel does not protect files"),
        ("tests.nothing_there", "cannot be loaded, .*: ModuleNotFoundError: "),
    ],
)
def test_why_a_tool_did_not_run_is_said_however_much_it_was_given(preload: str, why: str) -> None:
    without = replace(HOSTILE, limits=ToolLimits(preload=(preload,)))

    async def scenario() -> None:
        sandbox = Sandbox()
        try:
            for _ in range(5):
                with pytest.raises(OutcomeError, match=why):
                    await sandbox.run(without, Task(act="eat", path="x" * (4 << 20)), stored, 30)
        finally:
            await sandbox.stop()

    asyncio.run(scenario())


async def _doctor(*, unprotected: bool) -> doctor.Check:
    found = await doctor._tools(doctor.Subject(Settings(tools=Tools(unprotected=unprotected)), None))
    return found[0]


def test_removing_what_is_gone_leaves_the_folder_it_stood_in_as_it_is(tmp_path: Path) -> None:
    outside = tmp_path / "everybodys"
    outside.mkdir()
    outside.chmod(0o1777)
    closed = outside / "root" / "closed"
    closed.mkdir(parents=True)
    closed.chmod(0)
    for _ in range(2):
        sandbox_zygote._remove(outside / "root")
        assert (outside.stat().st_mode & 0o7777, list(outside.iterdir())) == (0o1777, [])
