"""The embedded stack: broker, database and one process a role, started together, restarted when they die, stopped in order.

A role process tells that it is ready by writing one byte to the file descriptor in its settings (`say_ready`). It finds the
embedded servers' addresses in the configuration file named by its environment.
"""

import asyncio
import fcntl
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Literal

import msgspec
from msgspec import Struct

from deploy.embedded.child import Child, Command, LogFile, StartError, explain
from deploy.embedded.nats_server import NatsServer
from deploy.embedded.postgres_server import PostgresServer
from deploy.secret import Secret
from deploy.settings import Nats, Postgres, Settings, child_environment, write

RESTART_S_MIN = 0.2
RESTART_S_MAX = 5.0
HEALTHY_S = 30.0  # a part that lived this long is restarted at once again
READY_S_MAX = 60.0  # of a role; the first start builds the embedding model
FIRST_TRIES_MAX = 3  # of a role that has never been ready: then the whole start is given up
EXIT_S_MAX = 0.5  # between the end of a role's pipe and of its process
STOP_S_MAX = 3.0  # of all roles together; the servers take up to 1.5 s more
STOP_FIRST = "gateway"
STOP_LAST = "projector"
ROLES = ("system", "embedding", "projector", "sophia", "artemis", "ceo", "gateway")

TUNABLES = "GLIBC_TUNABLES"
ON_HUGE_PAGES = frozenset({"embedding"})
"""Roles that read much memory over and over: the model's weights for every batch, vectors for every search."""

State = Literal["starting", "ready", "down", "stopped"]
OnState = Callable[[str, State, str], None]
"""Called with the part's name, its new state, and a detail for people (empty, or why it is down)."""


class Role(Struct, frozen=True):
    """A role process: its name and how it is run."""

    name: str
    argv: tuple[str, ...]


def standard_roles(names: Sequence[str] = ROLES) -> list[Role]:
    """How the roles are run: `-P`, so that a folder `deploy` where we were started is not taken for ours."""
    return [Role(name, (sys.executable, "-P", "-m", "deploy", "run", name)) for name in names]


def holder(folder: Path) -> int | None:
    """The process id of the supervisor that runs on this data folder; None when none does, whatever files it left."""
    try:
        with (folder / "lock").open("r") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.read() or 0) or None
    except (OSError, ValueError):
        return None
    return None


def on_huge_pages(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment in which glibc (2.35 and later) asks Linux for pages of 2 MiB; elsewhere it means nothing."""
    given = environment.get(TUNABLES)
    return {**environment, TUNABLES: ":".join(filter(None, [given, "glibc.malloc.hugetlb=1"]))}


def say_ready(ready_fd: int) -> None:
    """Tell the supervisor that this role does its work now; without one (`ready_fd` below 0) nothing happens."""
    if ready_fd >= 0:
        with os.fdopen(ready_fd, "wb") as pipe:
            pipe.write(b"1")


class Backoff:
    """How long to wait before the next restart: 0.2 s, doubled up to 5 s, from the start again after 30 s of health."""

    def __init__(self, healthy_s: float = HEALTHY_S) -> None:
        self._healthy_s = healthy_s
        self._next_s = RESTART_S_MIN

    def after(self, lived_s: float) -> float:
        if lived_s >= self._healthy_s:
            self._next_s = RESTART_S_MIN
        delay, self._next_s = self._next_s, min(2 * self._next_s, RESTART_S_MAX)
        return delay


class Supervisor:
    """One per data folder. Start it from the main thread (see `child`)."""

    def __init__(
        self,
        settings: Settings,
        roles: Sequence[Role],
        *,
        on_state: OnState = lambda *_: None,
        healthy_s: float = HEALTHY_S,
    ) -> None:
        """`healthy_s`: a part that lived so long is restarted at once; others wait longer each time."""
        self._healthy_s = healthy_s
        self._folder = settings.folder
        self._settings = settings
        self._roles = [RoleProcess(role, self._folder) for role in roles]
        self._servers = _servers(settings)
        self._on_state = on_state
        self._lock: IO[str] | None = None
        self._keepers: dict[str, asyncio.Task[None]] = {}

    @property
    def settings(self) -> Settings:
        """What the roles get: with the embedded servers' addresses once started."""
        return self._settings

    @property
    def config(self) -> Path:
        """The file with those settings, for commands that talk to the running stack. Only its owner can read it."""
        return self._folder / "running.json"

    def pid(self, name: str) -> int | None:
        """The process id of a role, `nats` or `postgres`; None while it is down."""
        parts: list[Part] = [*self._servers, *self._roles]
        return next((part.pid for part in parts if part.name == name), None)

    async def start(self) -> None:
        """Return when every part is ready. Raises StartError, with everything stopped again, when one cannot be."""
        self._lock = locked(self._folder)
        try:
            await asyncio.gather(*map(self._begin, self._servers))
            self._settings = _addressed(self._settings, self._servers)
            write(self._settings, self.config)
            await asyncio.gather(*map(self._begin, self._roles))
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """The gateway first, then the workers, the projector, the servers; about 5 s at most."""
        keepers, self._keepers = self._keepers, {}
        for keeper in keepers.values():  # From here on nothing is restarted.
            keeper.cancel()
        await asyncio.gather(*keepers.values(), return_exceptions=True)
        deadline = asyncio.get_running_loop().time() + STOP_S_MAX
        groups = _stop_order(self._roles)
        for number, group in enumerate(groups):
            left_s = max(deadline - asyncio.get_running_loop().time(), 0.1) / (len(groups) - number)
            await asyncio.gather(*(self._end(role, role.stop(left_s)) for role in group))
        await asyncio.gather(*(self._end(server, server.stop()) for server in self._servers))
        self.config.unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    async def failed(self) -> None:
        """Wait until the supervision itself breaks, and raise what broke it; a part that dies is no such failure."""
        await asyncio.gather(*self._keepers.values())

    def _begin(self, part: "Part") -> asyncio.Future[None]:
        """Keep the part running from now on; the future ends when it is ready for the first time, or will not be."""
        first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        keeper = asyncio.create_task(self._keep(part, first), name=f"keeper of {part.name}")
        keeper.add_done_callback(lambda task: _pass_on(task, first))
        self._keepers[part.name] = keeper
        return first

    async def _keep(self, part: "Part", first: asyncio.Future[None]) -> None:
        clock = asyncio.get_running_loop().time
        backoff = Backoff(self._healthy_s)
        tries = 0
        while True:
            self._on_state(part.name, "starting", "")
            began = clock()
            try:
                await part.start()
            except (StartError, OSError) as error:
                reason = str(error)
                tries += 1
                if not first.done() and tries >= part.first_tries_max:
                    raise
            else:
                self._on_state(part.name, "ready", "")
                if not first.done():
                    first.set_result(None)
                reason = f"ended with status {await part.ended()}"
            delay_s = backoff.after(clock() - began)
            self._on_state(part.name, "down", f"{reason}; again in {delay_s:g} s")
            await part.stop()
            await asyncio.sleep(delay_s)

    async def _end(self, part: "Part", stopping: Awaitable[None]) -> None:
        await stopping
        self._on_state(part.name, "stopped", "")


class RoleProcess:
    """One role's process, as the supervisor keeps it."""

    first_tries_max = FIRST_TRIES_MAX

    def __init__(self, role: Role, folder: Path) -> None:
        self.name = role.name
        self._role = role
        self._config = folder / "running.json"
        self._log = LogFile(folder / "logs" / f"{role.name}.log")
        self._child: Child | None = None

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    async def start(self) -> None:
        """Return when it has said that it is ready. Raises StartError with the end of its output."""
        reading, writing = os.pipe()
        try:
            environment = child_environment(self._config, ready_fd=writing)
            if self.name in ON_HUGE_PAGES:
                environment = on_huge_pages(environment)
            command = Command(name=self.name, argv=self._role.argv, environment=environment, inherited=(writing,))
            try:
                child = self._child = await Child.start(command, self._log)
            finally:
                os.close(writing)
            if not await _byte(reading, READY_S_MAX):
                problem = await _how_it_failed(child)
                await self.stop()
                raise StartError(explain(self.name, self._log, problem, "Correct what it complains about below."))
        finally:
            os.close(reading)

    async def ended(self) -> int:
        return await self._child.ended() if self._child else 0

    async def stop(self, grace_s: float = 0.5) -> None:
        if self._child is not None:
            child, self._child = self._child, None
            await child.stop(signal.SIGTERM, grace_s=grace_s)


class EmbeddedServer:
    """The broker or the database, as the supervisor keeps it."""

    first_tries_max = 1

    def __init__(self, name: str, server: NatsServer | PostgresServer) -> None:
        self.name = name
        self.server = server

    @property
    def pid(self) -> int | None:
        return self.server.pid

    async def start(self) -> None:
        await self.server.start()

    async def ended(self) -> int:
        return await self.server.ended()

    async def stop(self) -> None:
        await self.server.stop()


Part = RoleProcess | EmbeddedServer


def _servers(settings: Settings) -> list[EmbeddedServer]:
    """The servers that the settings leave to us."""
    logs = settings.folder / "logs"
    found = []
    if not settings.nats.url:
        nats = NatsServer(settings.folder / "nats", log=LogFile(logs / "nats.log"))
        found.append(EmbeddedServer("nats", nats))
    if not settings.postgres.dsn:
        postgres = PostgresServer(settings.folder / "postgres", log=LogFile(logs / "postgres.log"))
        found.append(EmbeddedServer("postgres", postgres))
    return found


def _addressed(settings: Settings, servers: Sequence[EmbeddedServer]) -> Settings:
    """The settings with the addresses of the started servers, and the data folder absolute."""
    settings = msgspec.structs.replace(settings, data=str(settings.folder))
    for part in servers:
        match part.server:
            case NatsServer() as nats:
                address = Nats(
                    url=nats.url,
                    user=nats.user,
                    password=Secret(nats.password),
                    publisher_password=Secret(nats.publisher_password),
                )
                settings = msgspec.structs.replace(settings, nats=address)
            case PostgresServer() as postgres:
                settings = msgspec.structs.replace(settings, postgres=Postgres(dsn=Secret(postgres.dsn)))
    return settings


def _stop_order(roles: Sequence[RoleProcess]) -> list[list[RoleProcess]]:
    first = [role for role in roles if role.name == STOP_FIRST]
    last = [role for role in roles if role.name == STOP_LAST]
    between = [role for role in roles if role.name not in (STOP_FIRST, STOP_LAST)]
    return [group for group in (first, between, last) if group]


def locked(folder: Path) -> IO[str]:
    """Make the data folder where there is none and hold its lock. Raises StartError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _lock(folder / "lock")
    except OSError as error:
        problem = "it is not a folder" if folder.exists() and not folder.is_dir() else error.strerror
        raise StartError(
            f"{folder} cannot be the data folder ({problem}); choose one that you may write to with --data"
        ) from error


def _lock(path: Path) -> IO[str]:
    """Hold the file's lock, which ends with this process however it ends. Raises StartError when another holds it."""
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise StartError(
            f"{path.parent} is in use by process {holder}; stop that one (kill {holder}) or choose another data folder"
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def _pass_on(task: asyncio.Task[None], first: asyncio.Future[None]) -> None:
    if not first.done() and not task.cancelled() and (error := task.exception()) is not None:
        first.set_exception(error)


async def _how_it_failed(child: Child) -> str:
    try:
        status = await asyncio.wait_for(child.ended(), EXIT_S_MAX)
    except TimeoutError:
        return "did not say that it was ready"
    return f"ended with status {status} before it was ready"


async def _byte(reading: int, timeout_s: float) -> bool:
    """Whether a byte comes through the pipe within the time; an end of the pipe is a no."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(reading, readable.set)
    try:
        await asyncio.wait_for(readable.wait(), timeout_s)
        return os.read(reading, 1) != b""
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(reading)
