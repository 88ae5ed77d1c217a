"""Restate as the peer of bench.http: pinned versions into a folder of their own, started on free ports, stopped by its pids."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

from deploy.embedded.child import Child, Command, LogFile, until

SERVER = "@restatedev/restate-server@1.7.12"
PACKAGES = ("restate-sdk==1.3.0", "granian==2.8.7", "uvloop==0.23.0")
START_S_MAX = 60.0
ASK_AGAIN_S = 0.1
SERVICE = Path(__file__).with_name("service.py")
ABOUT = f"{SERVER.replace('@restatedev/', '')}, {', '.join(PACKAGES)} (HTTP/2), log server with fsync of its WAL (its default)"


def install(folder: Path) -> None:
    """Put the server and the SDK into the folder, once. Raises CalledProcessError with what npm or pip said."""
    if (folder / "installed").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    npm = shutil.which("npm") or "npm"
    python = str(folder / "v/bin/python")
    for argv in (
        [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder), SERVER],
        [sys.executable, "-m", "venv", str(folder / "v")],
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES],
    ):
        subprocess.run(argv, check=True, capture_output=True)  # noqa: S603 - our own commands
    (folder / "installed").touch()


class Restate:
    """The server and one process of the service. `url` is the ingress."""

    def __init__(self, installed: Path, data: Path) -> None:
        self._installed = installed
        self._data = data
        self._children: list[Child] = []
        self.url = ""

    @property
    def pids(self) -> dict[str, int]:
        return {child.command.name: child.pid for child in self._children}

    async def start(self) -> None:
        """Return when a request is answered. Raises StartError with the end of what a process wrote."""
        ingress, admin, node, service = _free_ports(4)
        self.url = f"http://127.0.0.1:{ingress}/counter"
        await self._run(
            "restate-service",
            [
                str(self._installed / "v/bin/granian"),
                "--interface=asgi",
                "--http=2",
                "--loop=uvloop",
                f"--port={service}",
                "--no-ws",
                "--log-level=warning",
                "service:app",
            ],
            {"PYTHONPATH": str(SERVICE.parent)},
        )
        binaries = sorted(self._installed.glob("node_modules/@restatedev/restate-server-*/bin/restate-server"))
        server = await self._run(
            "restate-server",
            [str(binaries[0]), "--no-logo", f"--base-dir={self._data}", "--listen-mode=tcp", "--bind-ip=127.0.0.1"],
            {
                "RESTATE_BIND_PORT": str(node),
                "RESTATE_INGRESS__BIND_PORT": str(ingress),
                "RESTATE_ADMIN__BIND_PORT": str(admin),
                "RESTATE_DISABLE_TELEMETRY": "true",
                "RESTATE_LOG_FILTER": "warn",
            },
        )
        deployment = json.dumps({"uri": f"http://127.0.0.1:{service}"}).encode()
        ready = asyncio.create_task(self._until_answered(f"http://127.0.0.1:{admin}/deployments", deployment))
        await until(ready.done, server, timeout_s=START_S_MAX, remedy="Look at its output below.")

    async def stop(self) -> None:
        while self._children:
            await self._children.pop().stop(signal.SIGTERM, grace_s=5.0)

    async def _run(self, name: str, argv: list[str], environment: dict[str, str]) -> Child:
        self._data.mkdir(parents=True, exist_ok=True)
        command = Command(name=name, argv=argv, environment={**os.environ, **environment})
        child = await Child.start(command, LogFile(self._data / f"{name}.log"))
        self._children.append(child)
        return child

    async def _until_answered(self, admin: str, deployment: bytes) -> None:
        for url, body in ((admin, deployment), (f"{self.url}/ready/add", b'{"amount":1}')):
            while not await asyncio.to_thread(_posted, url, body):  # noqa: ASYNC110 - another program, which tells nobody
                await asyncio.sleep(ASK_AGAIN_S)


def _posted(url: str, body: bytes) -> bool:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 - http, ours
    try:
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - http, ours
            return bool(response.status < 300)
    except OSError:
        return False


def _free_ports(number: int) -> list[int]:
    probes = [socket.socket() for _ in range(number)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()
