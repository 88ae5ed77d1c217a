"""The embedded stack as commands see it: start one and stop it again, or find the one that runs in a folder."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import msgspec

from deploy.embedded.child import StartError
from deploy.embedded.supervisor import OnState, Supervisor, holder, standard_roles
from deploy.settings import Settings, load

if TYPE_CHECKING:
    from adapters.jetstream import Broker

CONNECT_S_MAX = 5.0
RUNNING = "running.json"
"""The settings of a running stack, in its folder; only there while it runs."""

PARTS = 9
"""Processes of a whole stack: broker, database, seven roles."""


class NotRunningError(StartError):
    """No stack runs in the folder."""


def running(folder: Path) -> Settings | None:
    """The settings of the stack that runs in the folder, None when none does. Raises SettingsError."""
    path = folder / RUNNING
    return load(path, environment={}) if holder(folder) is not None and path.exists() else None


def url_of(settings: Settings) -> str:
    """Where the gateway of these settings is reached from this machine."""
    host = settings.gateway.host
    if host in ("0.0.0.0", "::", ""):  # noqa: S104 - compared, not bound
        host = "127.0.0.1"
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.gateway.port}"


def prepared(settings: Settings, port: int | None) -> Settings:
    """The settings for a start, with this gateway port (None: as they are; 0: a free one).

    Raises StartError when the folder is in use, or the port.
    """
    if (pid := holder(settings.folder)) is not None:
        raise StartError(
            f"{settings.folder} is in use by process {pid}; stop that one (kill {pid}) or choose another folder with --data"
        )
    wanted = settings.gateway.port if port is None else port
    with socket.socket(socket.AF_INET6 if ":" in settings.gateway.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.gateway.host, wanted))
        except OSError as error:
            raise StartError(
                f"port {wanted} on {settings.gateway.host} cannot be used ({error.strerror}); choose another with --port, "
                "or --port 0 for a free one"
            ) from error
        wanted = probe.getsockname()[1]
    return msgspec.structs.replace(settings, gateway=msgspec.structs.replace(settings.gateway, port=wanted))


def up_command(settings: Settings) -> str:
    """The command that starts a stack in this folder, for a shell."""
    return f"diarchy up --data {quote(settings.data)}"


def announce(settings: Settings) -> list[str]:
    """What somebody who has just started a stack wants to know, a line each."""
    from deploy.keys import ADMIN_PASSWORD_FILE

    folder = quote(settings.data)
    configured = bool(settings.gateway.admin_password)
    known = "password as configured" if configured else f"password in {settings.folder / ADMIN_PASSWORD_FILE}"
    return [
        f"Diarchy serves on {url_of(settings)} (API description: {url_of(settings)}/docs)",
        f"  administrator  {settings.gateway.admin_username}, {known}",
        f'  ask            diarchy ask --data {folder} "Which customers are at risk?"',
        f"  import         diarchy import --data {folder} FOLDER",
        f"  watch          diarchy events --data {folder} --follow",
        "Ctrl-C stops it.",
    ]


@asynccontextmanager
async def started(settings: Settings, on_state: OnState) -> AsyncIterator[Supervisor]:
    """A whole stack, ready; stopped at the end of the block, however that ends. Raises StartError."""
    supervisor = Supervisor(settings, standard_roles(), on_state=on_state)
    await supervisor.start()
    try:
        yield supervisor
    finally:
        await asyncio.shield(supervisor.stop())


async def until_interrupted(work: Callable[[], Awaitable[None]]) -> bool:
    """Do the work; SIGINT or SIGTERM cancels it once and lets it clean up. Whether it was interrupted."""
    task = asyncio.ensure_future(work())
    interrupted = False

    def interrupt() -> None:
        nonlocal interrupted
        if not interrupted:
            interrupted = True
            task.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    try:
        await task
    except asyncio.CancelledError:
        if not interrupted:
            raise
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
    return interrupted


@asynccontextmanager
async def broker(settings: Settings) -> "AsyncIterator[Broker]":
    """A connection to the stack's broker. Raises NotRunningError with the remedy where it does not answer."""
    from adapters.jetstream import connect

    url, user, password = settings.nats.url, settings.nats.user, settings.nats.password.reveal()
    if not url:
        raise NotRunningError(
            f"no stack runs in {settings.folder}; start it with `{up_command(settings)}`, name its folder with "
            "--data, or set nats.url"
        )
    try:
        async with asyncio.timeout(CONNECT_S_MAX):
            connection = await connect(
                settings.nats.servers, user=user or None, password=password or None, name="diarchy"
            )
    except TimeoutError:
        raise NotRunningError(
            f"the broker at {url} did not let us in within {CONNECT_S_MAX:g} s; check that it runs, and nats.user and "
            "nats.password"
        ) from None
    try:
        yield connection
    finally:
        await connection.stop()
