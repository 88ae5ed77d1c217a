"""Serving: Granian embedded in this process's event loop, started and stopped like everything else that runs."""

import asyncio
import contextlib
import resource
import socket
from collections.abc import Sequence
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from gateway.app import Gateway
from gateway.routes import ROUTES
from gateway.rows import Route
from gateway.services import Services
from runtime.errors import UnavailableError

BACKLOG = 1_024
HEADER_TIMEOUT_MS = 10_000
OTHER_FILES = 128  # open beside the connections of clients
STOP_S_MAX = 3.0
READY_POLL_S = 0.02
READY_S_MAX = 10.0


class GatewayServer:
    """The gateway on one address; `port` 0 takes a free one, `port` tells which after `start`."""

    def __init__(self, services: Services, *, host: str, port: int, routes: Sequence[Route] = ROUTES) -> None:
        self.host = host
        self.port = port
        self._services = services
        self._routes = routes
        self._gateway: Gateway | None = None
        self._server: Any = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def open_streams(self) -> int:
        return self._gateway.streams.open if self._gateway else 0

    async def start(self) -> None:
        """Return when connections are accepted. Raises UnavailableError when the address cannot be used."""
        await self._services.watch.start()
        await self._services.written.start()
        self.port = self.port or _free_port(self.host)
        self._gateway = Gateway(self._services, self._routes)
        self._server = Server(
            self._gateway.app,
            address=self.host,
            port=self.port,
            interface=Interfaces.ASGI,
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(header_read_timeout=HEADER_TIMEOUT_MS),
            websockets=False,
            backlog=BACKLOG,
            backpressure=_connections(self._services.settings.connections_max),
            log_enabled=False,
        )
        self._serving = asyncio.create_task(self._server.serve(), name="gateway")
        await self._ready()

    async def stop(self) -> None:
        """Answer what waits, end the streams, close; idempotent."""
        serving, self._serving = self._serving, None
        if serving is None or self._gateway is None:
            return
        self._gateway.streams.stop()
        self._server.stop()
        try:
            async with asyncio.timeout(STOP_S_MAX):
                await serving
        except TimeoutError:
            serving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await serving

    async def _ready(self) -> None:
        """Wait until a connection is accepted, or the server has given up."""
        assert self._serving is not None  # noqa: S101 - set by `start` just before
        for _ in range(int(READY_S_MAX / READY_POLL_S)):
            if self._serving.done():
                raise UnavailableError(
                    "gateway", f"cannot listen on {self.host}:{self.port}"
                ) from self._serving.exception()
            try:
                _, writer = await asyncio.open_connection(self.host, self.port)
            except OSError:
                await asyncio.sleep(READY_POLL_S)
                continue
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            return
        raise UnavailableError("gateway", f"no connection to {self.host}:{self.port} within {READY_S_MAX:g} s")


def _connections(wanted: int) -> int:
    """How many may be open: as wanted, or what the process's limit of open files leaves."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if soft == resource.RLIM_INFINITY else max(1, min(wanted, soft - OTHER_FILES))


def _free_port(host: str) -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
