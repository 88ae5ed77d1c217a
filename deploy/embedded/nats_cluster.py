"""A broker of three nodes in one folder of this machine: every stream on all of them, any one of them may die.

On one machine it shows and tests what a cluster does; it protects from the loss of a process, not of the machine.
"""

import asyncio
import contextlib
import json
import secrets
import socket
from pathlib import Path
from typing import IO

from msgspec import Struct

from adapters.jetstream import Broker, connect
from deploy.embedded.child import LogFile, StartError
from deploy.embedded.nats_server import HOST, USER, Member, NatsServer, credentials, write
from deploy.embedded.supervisor import Backoff, OnState, locked
from runtime.errors import UnavailableError

NODES = 3
ROUTE_PORTS = range(20_000, 32_000)
READY_S_MAX = 30.0
LOOK_S = 0.2
SETTINGS = "cluster.toml"
"""The settings that lead to the cluster, passwords included; only its owner can read it."""


class _Kept(Struct, frozen=True):
    """What a folder keeps of its cluster. Route ports are fixed: a node must know the others' before they run."""

    secret: str
    routes: tuple[int, ...]


class NatsCluster:
    """Start it from the main thread (see `child`). Ports, passwords and data stay with the folder."""

    def __init__(self, folder: Path, *, supervised: bool = True, on_state: OnState = lambda *_: None) -> None:
        """`supervised`: a node that dies is started again."""
        self._folder = folder
        self._supervised = supervised
        self._on_state = on_state
        self._lock: IO[str] | None = None
        self._keepers: list[asyncio.Task[None]] = []
        self.nodes: dict[str, NatsServer] = {}
        """By name, n1 to n3; from `start` on."""

    @property
    def urls(self) -> list[str]:
        return [node.url for node in self.nodes.values()]

    @property
    def settings(self) -> Path:
        """The settings file that leads here: `diarchy --config <it> run …`."""
        return self._folder / SETTINGS

    async def start(self) -> None:
        """Return when the nodes have found each other and take requests. Raises StartError, with everything stopped again."""
        self._lock = locked(self._folder)
        try:
            passwords = credentials(self._folder)
            self.nodes = self._members(_kept(self._folder / "cluster.json"))
            await self._start_nodes()
            lines = [
                "[nats]",
                f"url = {json.dumps(','.join(self.urls))}",
                f"user = {json.dumps(USER)}",
                f"password = {json.dumps(passwords.diarchy)}",
                f"publisher_password = {json.dumps(passwords.publisher)}",
                f"replicas = {NODES}",
            ]
            write(self.settings, "\n".join(lines) + "\n")
            await self.ready()
        except BaseException:
            await self.stop()
            raise
        if self._supervised:
            self._keepers = [asyncio.create_task(self._keep(name), name=f"keeper of {name}") for name in self.nodes]

    async def _start_nodes(self) -> None:
        """All, or none is left that still starts."""
        starts = [asyncio.create_task(node.start()) for node in self.nodes.values()]
        try:
            await asyncio.gather(*starts)
        finally:
            for start in starts:
                start.cancel()
            await asyncio.gather(*starts, return_exceptions=True)

    async def stop(self) -> None:
        """Idempotent; about a second."""
        keepers, self._keepers = self._keepers, []
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)
        await asyncio.gather(*(node.stop() for node in self.nodes.values()))
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    async def failed(self) -> None:
        """Wait until the supervision itself breaks, and raise what broke it."""
        await asyncio.gather(*self._keepers)

    async def connect(self, name: str) -> Broker:
        """A connection to whichever node lets us in; kept over the death of nodes."""
        password = next(iter(self.nodes.values())).password
        return await connect(self.urls, user=USER, password=password, name=name)

    async def ready(self) -> None:
        """Return when the cluster has a leader. Raises StartError after 30 s."""
        try:
            async with asyncio.timeout(READY_S_MAX):
                broker = await self.connect("cluster")
                try:
                    await _led(broker)
                finally:
                    await broker.stop()
        except TimeoutError:
            logs = self._folder / "logs"
            raise StartError(f"the nodes have not found each other within {READY_S_MAX:g} s; see {logs}") from None

    def _members(self, kept: _Kept) -> dict[str, NatsServer]:
        found = {}
        for number, port in enumerate(kept.routes, 1):
            name = f"n{number}"
            others = tuple(one for one in kept.routes if one != port)
            log = LogFile(self._folder / "logs" / f"{name}.log")
            found[name] = NatsServer(self._folder / name, log=log, member=Member(name, port, others, kept.secret))
        return found

    async def _keep(self, name: str) -> None:
        node, backoff, clock = self.nodes[name], Backoff(), asyncio.get_running_loop().time
        while True:
            began = clock()
            reason = f"ended with status {await node.ended()}"
            while True:
                delay_s = backoff.after(clock() - began)
                self._on_state(name, "down", f"{reason}; again in {delay_s:g} s")
                await asyncio.sleep(delay_s)
                began = clock()
                try:
                    await node.start()
                    break
                except (StartError, OSError) as error:
                    reason = str(error)
            self._on_state(name, "ready", "")


async def _led(broker: Broker) -> None:
    while True:
        try:
            await broker.api("INFO", {}, _Nothing)
            return
        except UnavailableError:  # nobody answers before there is a leader
            await asyncio.sleep(LOOK_S)


class _Nothing(Struct):
    """Of the answer only its success counts."""


def _kept(path: Path) -> _Kept:
    if path.exists():
        tree = json.loads(path.read_text())
        return _Kept(tree["secret"], tuple(tree["routes"]))
    kept = _Kept(secrets.token_urlsafe(24), _free_ports(NODES))
    write(path, json.dumps({"secret": kept.secret, "routes": kept.routes}))
    return kept


def _free_ports(count: int) -> tuple[int, ...]:
    """Below those that the kernel hands out by itself: while a node is away, nobody is given its port by chance."""
    free: list[int] = []
    for port in secrets.SystemRandom().sample(ROUTE_PORTS, len(ROUTE_PORTS)):
        with contextlib.suppress(OSError), socket.create_server((HOST, port)):
            free.append(port)
        if len(free) == count:
            return tuple(free)
    raise StartError(
        f"no {count} ports are free from {ROUTE_PORTS.start} to {ROUTE_PORTS.stop - 1}: end what holds them"
    )
