"""Configuration: one tree of values, read in one place, checked before anything starts.

From lowest to highest: the defaults below, a file (TOML, or JSON as written by `write`), the environment. The variable of
`gateway.port` is `DIARCHY_GATEWAY_PORT`; lists are given as JSON. The file is named by `--config` or `DIARCHY_CONFIG`.
This is the only module that reads the environment.
"""

import difflib
import json
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import msgspec
from msgspec import Meta, Struct

from contracts.approval import ApprovalRule
from deploy.model_settings import Budget, Caches, ChatProvider, Embedding, EmbeddingServer, Extractive, Web
from deploy.secret import Secret
from deploy.settings_checks import problems
from runtime import limits
from runtime.errors import InvalidError

PREFIX = "DIARCHY_"
CONFIG_VARIABLE = "DIARCHY_CONFIG"
ELSEWHERE = (CONFIG_VARIABLE, "DIARCHY_PYTHON", "DIARCHY_TEST_DATA")
"""Variables that are no setting: where the settings are, and what the justfile and the tests read."""

KUBERNETES = re.compile(r"DIARCHY_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_\w+)?)")
"""It gives these to every container beside a service that is named `diarchy`."""

ALIKE_MIN = 0.85  # of two names, for one to be taken for the other misspelt

Port = Annotated[int, Meta(ge=0, le=65_535)]


class SettingsError(InvalidError):
    """A setting is wrong. The text names the key, where its value came from, and what to do; never a secret."""


class Nats(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An empty `url` means: the embedded broker. The nodes of a cluster are separated by commas, or a JSON list.

    `replicas`: on how many nodes every stream is kept. `publisher_password` is that of the embedded broker's second user.
    """

    url: str = ""
    user: str = ""
    password: Secret = Secret()
    publisher_password: Secret = Secret()
    replicas: Annotated[int, Meta(ge=1, le=3)] = 1

    @property
    def servers(self) -> list[str]:
        """The URL of each node. Raises ValueError for what looks like a JSON list and is none."""
        if self.url.startswith("["):
            return msgspec.json.decode(self.url, type=list[str])
        return [url.strip() for url in self.url.split(",") if url.strip()]


class Postgres(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An empty `dsn` means: the embedded database."""

    dsn: Secret = Secret()


class Qdrant(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An empty `url` means: the engine inside the embedding role."""

    url: str = ""
    api_key: Secret = Secret()


class Gateway(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`jwt_key` empty: `jwt.pem` in the data folder, made on the first start. `admin_password` empty: made on first start."""

    host: str = "127.0.0.1"
    port: Port = 8420
    jwt_key: str = ""
    admin_username: Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{1,128}$")] = "admin"
    admin_password: Secret = Secret()


class Telemetry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`otlp_endpoint`: where an OTLP/HTTP collector takes traces, such as `http://collector:4318/v1/traces`; empty: none."""

    otlp_endpoint: str = ""


class Tools(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`unprotected`: run tools even where the kernel does not keep them from files and network; `diarchy doctor` says whether."""

    unprotected: bool = False


class Repositories(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a question may name: folders on the machine of Artemis's worker below `roots`, and git repositories at `hosts`, each
    `HOST` or `HOST:PORT` (at `HOST:PORT` a private address and HTTP will do, too). All that is read there is as confidential as
    `confidentiality` says. `label_max`: of what confidentiality a question may be for a host to be asked for it."""

    roots: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    label_max: Literal["public", "internal", "confidential", "restricted", "top_secret"] = "internal"
    confidentiality: Literal["public", "internal", "confidential", "restricted", "top_secret"] = "internal"
    read_s_max: Annotated[float, Meta(gt=0, le=86_400)] = 120.0


class Log(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`auto`: text on a terminal, JSON lines elsewhere."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    form: Literal["auto", "json", "text"] = "auto"


class Limits(limits.Limits, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every limit, its unit last: the kernel's (inherited) and those of the edges. `settings_checks` bounds them."""

    body_bytes_max: int = 1_048_576  # of an HTTP request
    bodies_bytes_max: int = 268_435_456  # of all HTTP requests at once, files included; then 503 with Retry-After
    wait_s_default: float = 30.0  # how long a request waits for its answer before it becomes 202
    wait_s_max: float = 120.0
    streams_max: int = 1_000  # open event streams and sockets of one gateway
    requests_in_flight_max: int = 2_048  # then 503 with Retry-After
    connections_max: int = 4_096  # of one gateway; more wait to be accepted
    requests_per_minute_max: int = (
        60  # of a user at a path of one domain; then 429 with Retry-After; administrators: no limit
    )
    requests_per_hour_max: int = 1_000
    cross_requests_per_minute_max: int = 30  # of a user at a path across domains
    cross_requests_per_hour_max: int = 500
    import_requests_per_minute_max: int = 3_000  # of a user at a path of importing, and of files
    import_requests_per_hour_max: int = 60_000
    blob_bytes_max: int = 33_554_432
    log_stream_bytes_max: int = 6_442_450_944  # of one domain; a full log refuses, it never forgets
    in_stream_bytes_max: int = 2_147_483_648  # of one domain
    in_stream_age_s_max: int = 604_800  # what waits for longer is forgotten
    spans_bytes_max: int = 1_073_741_824
    spans_age_s_max: int = 604_800
    measurements_bytes_max: int = 268_435_456
    measurements_age_s_max: int = 604_800
    measure_s: float = 30.0  # between two measurements of a source
    projection_batch_max: int = 500  # events in one transaction
    embed_batch_max: int = 32  # texts that the built-in model embeds at once
    embed_waiting_max: int = 256  # calls that wait for it; then it is unavailable, and tried again
    embed_s_max: float = 30.0  # the wait for the embedding role to embed 128 texts of a request
    cache_entries_max: int = 10_000  # that the embedding role and a gateway each remember
    cache_bytes_max: int = 33_554_432  # of them; as much again of remembered hits
    shared_cache_bytes_max: int = 67_108_864  # of the broker's memory
    rpc_s_max: float = 5.0  # the wait for the embedding role to answer a search, which is then tried again
    rpc_concurrent_max: int = 64  # calls of one service handled at once
    rpc_waiting_max: int = 1_000  # more of them wait; then 503
    writes_waiting_max: int = 10_000  # of one process to one stream; then 503
    logins_waiting_max: int = 64  # passwords to be checked, each takes 64 MiB; then 503
    spans_queue_max: int = 8_192  # finished and not yet stored; beyond it they are dropped and counted
    postgres_connections_max: int = 4  # of one role
    read_acquire_s_max: float = 5.0  # of the gateway: the wait for a database connection, then 503
    read_command_s_max: float = 5.0  # of the gateway: the wait for the database's answer, then 503


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of it. `data` is the folder of the embedded servers, keys and logs; `ready_fd` is set by the supervisor.

    `embedding` says what the index uses, `embeddings` what else can be asked for. `url` and `token` are for commands: a gateway
    elsewhere, and as whom to ask it. `approvals`: which tools people must agree to; the first that names one counts.
    """

    data: str = "diarchy-data"
    models: str = (
        ""  # Folder of built embedding models, which data folders may share; empty: `models` in the data folder.
    )
    url: str = ""
    token: Secret = Secret()
    nats: Nats = Nats()
    postgres: Postgres = Postgres()
    qdrant: Qdrant = Qdrant()
    embedding: Embedding = Embedding()
    embeddings: tuple[EmbeddingServer, ...] = ()
    caches: Caches = Caches()
    chat: tuple[ChatProvider, ...] = ()
    approvals: tuple[ApprovalRule, ...] = ()
    extractive: Extractive = Extractive()
    budget: Budget = Budget()
    web: Web = Web()
    tools: Tools = Tools()
    repositories: Repositories = Repositories()
    gateway: Gateway = Gateway()
    telemetry: Telemetry = Telemetry()
    log: Log = Log()
    limits: Limits = Limits()
    ready_fd: int = -1

    @property
    def folder(self) -> Path:
        """The data folder, absolute."""
        return Path(self.data).expanduser().resolve()

    @property
    def models_folder(self) -> Path:
        return Path(self.models).expanduser().resolve() if self.models else self.folder / "models"

    @property
    def vectors_folder(self) -> Path:
        return self.folder / "vectors"

    @property
    def jwt_key(self) -> Path:
        return Path(self.gateway.jwt_key).expanduser() if self.gateway.jwt_key else self.folder / "jwt.pem"


def load(
    config: str | Path | None = None, *, environment: Mapping[str, str] | None = None, **overrides: object
) -> Settings:
    """The settings in force. `environment` None: the process's own; `overrides` are top-level keys, above everything.

    Raises SettingsError.
    """
    variables = os.environ if environment is None else environment
    path = str(config or variables.get(CONFIG_VARIABLE, ""))
    tree = _read(Path(path)) if path else {}
    origins: dict[str, str] = {}
    leaves = {PREFIX + "_".join(keys).upper(): (keys, kind) for keys, kind in _leaves(Settings)}
    _refuse_unknown(variables, leaves)
    for name, (keys, kind) in leaves.items():
        if name in variables:
            _put(tree, keys, _from_text(variables[name], kind, name))
            origins[".".join(keys)] = name
    tree.update(overrides)
    return _convert(tree, origins, path or "an override")


def write(settings: Settings, path: Path) -> None:
    """Put all settings, secrets included, into a JSON file that `load` reads; only its owner can."""
    content = msgspec.json.encode(settings, enc_hook=_reveal)
    fresh = path.with_name(path.name + ".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    fresh.replace(path)


def child_environment(config: Path, *, ready_fd: int) -> dict[str, str]:
    """The environment of a role process: ours without our own variables, which are all in the file `config`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return {**kept, CONFIG_VARIABLE: str(config), f"{PREFIX}READY_FD": str(ready_fd)}


def _refuse_unknown(variables: Iterable[str], known: Iterable[str]) -> None:
    """Whoever sets a variable of ours means something by it. Its value is not shown: it may be a secret."""
    names = list(known)
    for variable in sorted(set(variables).difference(names, ELSEWHERE)):
        if not variable.startswith(PREFIX) or KUBERNETES.fullmatch(variable):
            continue
        below = [name for name in names if name.startswith(f"{variable}_")]
        if below:
            raise SettingsError(f"{variable}: is a table; set its keys one by one, such as {below[0]}", variable)
        nearest = difflib.get_close_matches(
            variable.removeprefix(PREFIX), [name.removeprefix(PREFIX) for name in names], 1, ALIKE_MIN
        )
        hint = f"; is {PREFIX}{nearest[0]} meant?" if nearest else ""
        raise SettingsError(f"{variable}: there is no such setting; unset it or correct its name{hint}", variable)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"cannot read the configuration {path}: {error.strerror}; check --config or {CONFIG_VARIABLE}"
        ) from error
    try:
        tree: dict[str, Any] = json.loads(content) if path.suffix == ".json" else tomllib.loads(content.decode())
    except ValueError as error:
        raise SettingsError(f"{path} is not valid: {error}; correct it there") from error
    return tree


def _convert(tree: dict[str, Any], origins: Mapping[str, str], file: str) -> Settings:
    try:
        settings = msgspec.convert(tree, Settings, strict=True, dec_hook=_conceal)
    except msgspec.ValidationError as error:
        problem, _, place = str(error).partition(" - at `$")
        key = place.rstrip("`").lstrip(".")
        if "unknown field" in problem:
            key = ".".join(filter(None, [key, problem.rpartition(" ")[2].strip("`")]))
            raise SettingsError(
                f"{key}: there is no such setting (in {file}); remove it or correct its name", key
            ) from error
        origin = origins.get(key.partition("[")[0], file)
        raise SettingsError(f"{key}: {_lower(problem)} (from {origin}); correct it there", key) from error
    for key, problem in problems(settings):
        raise SettingsError(f"{key}: {problem}", key)
    return settings


def _leaves(kind: type[Struct], above: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], object]]:
    """Path and type of every value of the tree."""
    found: list[tuple[tuple[str, ...], object]] = []
    hints = get_type_hints(kind, include_extras=True)
    for name in kind.__struct_fields__:
        hint = hints[name]
        if isinstance(hint, type) and issubclass(hint, Struct):
            found += _leaves(hint, (*above, name))
        else:
            found.append(((*above, name), hint))
    return found


def _from_text(text: str, kind: object, name: str) -> object:
    """A variable's text as the value a file would hold; texts and secrets stay as they are."""
    if kind in (str, Secret) or getattr(kind, "__origin__", None) in (str, Literal):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise SettingsError(f"{name}: is neither a number nor JSON; correct the variable", name) from error


def _put(tree: dict[str, Any], keys: tuple[str, ...], value: object) -> None:
    for key in keys[:-1]:
        tree = tree.setdefault(key, {})
        if not isinstance(tree, dict):
            raise SettingsError(f"{key}: must be a table of settings; correct it in the configuration file", key)
    tree[keys[-1]] = value


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _conceal(kind: type, value: object) -> object:
    if kind is Secret and isinstance(value, str | Secret):
        return value if isinstance(value, Secret) else Secret(value)
    raise NotImplementedError(kind) if kind is not Secret else ValueError("Expected `str`")


def _reveal(value: object) -> object:
    if isinstance(value, Secret):
        return value.reveal()
    raise NotImplementedError(type(value))
