"""A real nats-server for tests: its own free port and folder, killed and started again at will."""

import asyncio
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from adapters.jetstream import Broker, connect
from adapters.jetstream_streams import ensure_consumers, ensure_streams
from contracts.domains import Domain
from deploy.embedded.nats_staging import Staging
from runtime.limits import Limits

CONFIG = """
listen: "127.0.0.1:{port}"
max_payload: 8MB
jetstream {{ store_dir: "{folder}", sync_interval: always, max_file_store: 200GB }}
authorization {{ users: [ {{ user: "{user}", password: "{password}" }} ] }}
"""


class NatsServer:
    """`start` returns when the server is ready; `kill` is kill -9; the folder outlives both."""

    user = "tester"
    password = "throw-away"

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"nats://127.0.0.1:{port}"
        self._config = folder / "nats.conf"
        self._staging = Staging(folder / "jetstream")
        self._config.write_text(
            CONFIG.format(port=port, folder=folder / "jetstream", user=self.user, password=self.password)
        )
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    def start(self) -> None:
        program = Path(sys.executable).parent / "nats-server"
        self._process = subprocess.Popen(  # noqa: S603 - our own program and configuration
            [program, "-c", self._config], stderr=subprocess.PIPE, text=True
        )
        ready = threading.Event()
        lines: list[str] = []
        self._reader = threading.Thread(target=_read, args=(self._process, lines, ready), daemon=True)
        self._reader.start()
        if not ready.wait(20) or self._process.poll() is not None:
            raise RuntimeError("nats-server did not start:\n" + "\n".join(lines[-20:]))
        self.stage()

    def stage(self) -> None:
        """As the embedded broker does; call it again when streams were added."""
        self._staging.keep()

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)
        self._staging.end()

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None and self._reader is not None:
            self._process.send_signal(how)
            self._process.wait(20)
            self._reader.join(5)
            self._process = None


def _read(process: subprocess.Popen[str], lines: list[str], ready: threading.Event) -> None:
    assert process.stderr is not None
    with process.stderr:
        for line in process.stderr:
            lines.append(line.rstrip())
            if "Server is ready" in line:
                ready.set()
    ready.set()


@asynccontextmanager
async def connected(server: NatsServer) -> AsyncIterator[Broker]:
    broker = await connect(server.url, user=server.user, password=server.password)
    try:
        yield broker
    finally:
        await broker.stop()


def with_broker(server: NatsServer, scenario: Callable[[Broker], Awaitable[None]]) -> None:
    """Run it with a connection to the server, which has every stream, and the consumers of one domain: Sophia's."""

    async def main() -> None:
        async with asyncio.timeout(60), connected(server) as broker:
            await ensure_streams(broker)
            await ensure_consumers(broker, Domain.SOPHIA, Limits())
            await scenario(broker)

    asyncio.run(main())
