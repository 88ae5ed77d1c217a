"""The supervisor over real servers: what dies comes back, what is stopped stays stopped, nothing outlives its parent."""

import asyncio
import os
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import nats
import pytest

from deploy.embedded.child import StartError
from deploy.embedded.supervisor import Backoff, Role, State, Supervisor, holder, standard_roles
from deploy.settings import load


class Watcher:
    """The states as they come, to be awaited."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, State]] = []
        self.details: list[str] = []
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, name: str, state: State, detail: str) -> None:
        self.seen.append((name, state))
        self.details.append(detail)
        task = asyncio.ensure_future(self._tell())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def times(self, name: str, state: State, times: int) -> None:
        async with asyncio.timeout(30), self._changed:
            await self._changed.wait_for(lambda: self.seen.count((name, state)) >= times)

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def role(name: str, *behaviour: str) -> Role:
    return Role(name, (sys.executable, "-m", "tests.faults.role_process", *behaviour))


@asynccontextmanager
async def stack(folder: Path, *roles: Role) -> AsyncIterator[tuple[Supervisor, Watcher]]:
    watcher = Watcher()
    supervisor = Supervisor(load(environment={}, data=str(folder)), roles, on_state=watcher)
    await supervisor.start()
    try:
        yield supervisor, watcher
    finally:
        await supervisor.stop()


def test_what_dies_is_restarted_where_it_was(data_folder: Path) -> None:
    async def scenario() -> None:
        async with stack(data_folder, role("sophia", "steady")) as (supervisor, watcher):
            settings = supervisor.settings
            user, password = settings.nats.user, settings.nats.password.reveal()
            client = await nats.connect(settings.nats.url, user=user, password=password)
            for name in ("sophia", "nats", "postgres"):
                pid = supervisor.pid(name)
                assert pid is not None
                os.kill(pid, signal.SIGKILL)
                await watcher.times(name, "ready", 2)
                assert supervisor.pid(name) != pid
            again = await nats.connect(settings.nats.url, user=user, password=password)
            assert again.is_connected
            connection = await asyncpg.connect(settings.postgres.dsn.reveal())
            assert await connection.fetchval("select current_setting('fsync')") == "on"
            await connection.close()
            await again.close()
            await client.close()

    asyncio.run(scenario())


def test_stops_in_order_and_in_time_even_when_a_role_will_not(data_folder: Path) -> None:
    async def scenario() -> None:
        roles = [role("projector", "steady"), role("sophia", "stubborn"), role("gateway", "steady")]
        async with stack(data_folder, *roles) as (supervisor, watcher):
            await supervisor.stop()
            stopped = [name for name, state in watcher.seen if state == "stopped"]
            assert stopped[:3] == ["gateway", "sophia", "projector"]
            assert set(stopped[3:]) == {"nats", "postgres"}
            assert not supervisor.config.exists()

    asyncio.run(scenario())


def test_a_second_supervisor_is_refused_and_told_by_whom(data_folder: Path) -> None:
    async def scenario() -> None:
        async with stack(data_folder):
            second = Supervisor(load(environment={}, data=str(data_folder)), [])
            with pytest.raises(StartError, match=rf"in use by process {os.getpid()}; stop that one"):
                await second.start()
            assert holder(data_folder) == os.getpid()
        assert holder(data_folder) is None
        assert holder(data_folder / "nowhere") is None
        third = Supervisor(load(environment={}, data=str(data_folder)), [])
        await third.start()
        await third.stop()

    asyncio.run(scenario())


def test_a_role_that_cannot_start_ends_the_start_with_its_last_words(data_folder: Path) -> None:
    async def scenario() -> None:
        watcher = Watcher()
        settings = load(environment={}, data=str(data_folder))
        supervisor = Supervisor(settings, [role("sophia", "broken")], on_state=watcher)
        with pytest.raises(StartError, match=r"(?s)sophia ended with status 3 before it was ready.*wrong quarter"):
            await supervisor.start()
        assert watcher.seen.count(("sophia", "starting")) == 3
        assert {name for name, state in watcher.seen if state == "stopped"} >= {"nats", "postgres"}

    asyncio.run(scenario())


def test_a_role_that_fails_once_is_tried_again(data_folder: Path) -> None:
    async def scenario() -> None:
        async with stack(data_folder, role("sophia", "broken at first", str(data_folder / "tried"))) as (_, watcher):
            states = [state for name, state in watcher.seen if name == "sophia"]
            assert states == ["starting", "down", "starting", "ready"]
            assert "again in 0.2 s" in "".join(watcher.details)
        log = (data_folder / "logs" / "sophia.log").read_text()
        assert "wrong quarter" in log
        assert "at work" in log

    asyncio.run(scenario())


def test_nothing_outlives_a_killed_supervisor(data_folder: Path) -> None:
    argv = [sys.executable, "-m", "tests.faults.supervised_stack", str(data_folder)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own test program
        assert process.stdout is not None
        pids = [int(word) for word in process.stdout.readline().split()]
        assert len(pids) == 3
        handles = [os.pidfd_open(pid) for pid in pids]
        process.kill()
        for handle in handles:
            readable, _, _ = select.select([handle], [], [], 10)
            os.close(handle)
            assert readable, "a child outlived its supervisor"

    async def again() -> None:
        async with stack(data_folder) as (supervisor, _):
            assert supervisor.pid("postgres")

    asyncio.run(again())


def test_back_off_doubles_to_its_cap_and_forgets_after_health() -> None:
    backoff = Backoff()
    assert [backoff.after(1) for _ in range(7)] == [0.2, 0.4, 0.8, 1.6, 3.2, 5, 5]
    assert backoff.after(31) == 0.2
    assert backoff.after(1) == 0.4


def test_the_standard_roles_are_one_process_each() -> None:
    assert [role.argv[1:] for role in standard_roles(["gateway"])] == [("-P", "-m", "deploy", "run", "gateway")]


def test_only_the_role_with_the_model_has_huge_pages_beside_what_is_set_already(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.perturb=0")

    def environment(pid: int | None) -> list[str]:
        """glibc ends each of its settings with a zero where it stands."""
        return Path(f"/proc/{pid}/environ").read_text().replace("\0", ":").split(":")

    async def scenario() -> None:
        async with stack(data_folder, role("embedding", "steady"), role("gateway", "steady")) as (supervisor, _):
            for name in ("embedding", "gateway"):
                found = environment(supervisor.pid(name))
                assert "GLIBC_TUNABLES=glibc.malloc.perturb=0" in found
                assert ("glibc.malloc.hugetlb=1" in found) == (name == "embedding")

    asyncio.run(scenario())
