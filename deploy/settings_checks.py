"""What the types of the settings cannot say: the bounds of every limit, what must fit together, which URLs can be used."""

import math
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from contracts.embeddings import ROUTINGS
from contracts.raw_chat import EXTRACTIVE
from runtime.embedding_catalogue import CATALOGUE, known

if TYPE_CHECKING:
    from deploy.settings import Limits, Settings

Problem = tuple[str, str]
"""A key, and what is wrong with its value."""

NUMBER_MAX = 2**63 - 1  # what the broker and the database count with
SECONDS_MAX = NUMBER_MAX // 10**9  # the broker counts nanoseconds
STREAM_BYTES_MIN = 1 << 20
DUPLICATES_S = (
    120  # `adapters.jetstream_streams` has it; importing that here would load the broker's client for `--help`
)

FLOORS = {
    "ack_wait_s": 1,  # below it a busy worker's messages are handed to another one
    "heartbeat_s": 0.05,
    "in_stream_age_s_max": DUPLICATES_S,  # the broker refuses a stream that forgets sooner than it forgets duplicates
    "in_stream_bytes_max": STREAM_BYTES_MIN,
    "log_stream_bytes_max": STREAM_BYTES_MIN,
    "spans_bytes_max": STREAM_BYTES_MIN,
    "measurements_bytes_max": STREAM_BYTES_MIN,
    "measure_s": 1,  # below it a quiet machine is not quiet
    "shared_cache_bytes_max": STREAM_BYTES_MIN,
}
NOT_ABOVE = (
    ("retry_s_min", "retry_s_max"),
    ("wait_s_default", "wait_s_max"),
    ("snapshot_events_min", "snapshot_events"),
    ("body_bytes_max", "bodies_bytes_max"),
    ("blob_bytes_max", "bodies_bytes_max"),  # else such a file is refused as `full` for ever
)
"""Pairs of limits of which the first must not exceed the second."""

OUR_MODELS = ("sophia", "artemis", EXTRACTIVE)  # as chat completions name them
HTTP = ("http://", "https://")
HOST = re.compile(r"([a-zA-Z0-9.-]+|\[[0-9a-fA-F:.]+\])(:[1-9][0-9]{0,4})?")
NATS = ("nats://", "tls://")  # its client needs a further package for web sockets
POSTGRES = ("postgresql://", "postgres://")


def problems(settings: "Settings") -> Iterator[Problem]:
    """Everything that is wrong, the first thing first; nothing must start while there is one. No secret is shown."""
    yield from _of_limits(settings.limits)
    embedding = settings.embedding
    for name in ("url", "model") if embedding.provider == "openai" else ():
        if not getattr(embedding, name):
            yield f"embedding.{name}", "is needed with provider openai"
    yield from _of_embeddings(settings)
    if settings.nats.replicas == 2:
        yield "nats.replicas", "must be 1 or 3; two outvote nobody"
    names = [provider.name for provider in settings.chat]
    if len(set(names)) != len(names):
        yield "chat", "two providers have the same name; give each its own"
    embedding_models = {model.name for model in CATALOGUE}
    embedding_models |= {model.name for server in settings.embeddings for model in server.models}
    for number, provider in enumerate(settings.chat):
        for key in ("name", "group", "model"):
            name, others = getattr(provider, key), "; give it another name"
            others += ", and the server's in served_as" if key == "model" else ""
            if name in OUR_MODELS:
                yield f"chat[{number}].{key}", f"{name} is the name of a model of ours{others}"
            if name in embedding_models:
                yield f"chat[{number}].{key}", f"{name} is the name of a model that embeds{others}"
    chats_s, call_s = sum(provider.timeout_s for provider in settings.chat), settings.limits.model_s_max
    if chats_s >= call_s:
        together = f"timeout_s of all [[chat]] together ({_shown(chats_s)})"
        yield (
            "limits.model_s_max",
            f"is {_shown(call_s)}; must be above {together}, else a call ends before the last is asked",
        )
    yield from _of_approvals(settings)
    yield from _of_urls(settings)
    yield from _of_repositories(settings)


def _of_approvals(settings: "Settings") -> Iterator[Problem]:
    for number, rule in enumerate(settings.approvals):
        if problem := rule.unreachable():
            yield f"approvals[{number}].quorum", problem


def _of_embeddings(settings: "Settings") -> Iterator[Problem]:
    names = [server.name for server in settings.embeddings]
    if len(set(names)) != len(names):
        yield "embeddings", "two servers have the same name; give each its own"
    for number, server in enumerate(settings.embeddings):
        for place, model in enumerate(server.models):
            key = f"embeddings[{number}].models[{place}]"
            described = known(model.name)
            if model.name in ROUTINGS:
                yield f"{key}.name", f"{model.name} stands for a choice among models; give the model another name"
            if described is None and not model.dimensions:
                yield f"{key}.dimensions", f"is needed: {model.name} is not in the catalogue"
            if described is not None and model.dimensions not in (0, described.dimensions):
                yield f"{key}.dimensions", f"is {model.dimensions}; {model.name} has {described.dimensions}"


def _of_limits(limits: "Limits") -> Iterator[Problem]:
    for name in limits.__struct_fields__:
        if problem := _out_of_bounds(name, getattr(limits, name)):
            yield f"limits.{name}", problem
    for lower, upper in NOT_ABOVE:
        value, bound = getattr(limits, lower), getattr(limits, upper)
        if value > bound:
            yield f"limits.{lower}", f"is {_shown(value)}; must not exceed limits.{upper} ({_shown(bound)})"
    if limits.member_s_max <= 2 * limits.heartbeat_s:
        bound = f"limits.heartbeat_s ({_shown(limits.heartbeat_s)})"
        yield "limits.member_s_max", f"is {_shown(limits.member_s_max)}; must be more than twice {bound}"


def _out_of_bounds(name: str, value: float) -> str:
    """What is wrong with one limit by itself; empty: nothing."""
    seconds = "_s_" in f"{name}_"
    floor, ceiling = FLOORS.get(name), SECONDS_MAX if seconds else NUMBER_MAX
    if math.isnan(value):
        return f"is {value}; must be a number"
    if value <= 0:
        return f"is {_shown(value)}; must be above zero"
    if floor is not None and value < floor:
        return f"is {_shown(value)}; must be at least {floor}"
    if value > ceiling:
        return f"is {_shown(value)}; must not exceed {ceiling}{' (seconds)' if seconds else ''}"
    return ""


def _of_urls(settings: "Settings") -> Iterator[Problem]:
    try:
        servers = settings.nats.servers
    except ValueError as error:  # msgspec's errors are
        yield "nats.url", f"begins like a JSON list and is none: {error}"
        return
    if settings.nats.url and not servers:
        yield "nats.url", "names no server"
    for key, url, schemes in (
        ("url", settings.url, HTTP),
        *(("nats.url", url, NATS) for url in servers),
        ("qdrant.url", settings.qdrant.url, HTTP),
        ("embedding.url", settings.embedding.url, HTTP),
        ("web.url", settings.web.url, HTTP),
        ("telemetry.otlp_endpoint", settings.telemetry.otlp_endpoint, HTTP),
        ("postgres.dsn", settings.postgres.dsn.reveal(), POSTGRES),
        *((f"embeddings[{n}].base_url", server.base_url, HTTP) for n, server in enumerate(settings.embeddings)),
        *((f"chat[{n}].base_url", provider.base_url, HTTP) for n, provider in enumerate(settings.chat)),
    ):
        if url and not url.startswith(schemes):
            yield key, f"must begin with {' or '.join(schemes)}"
        elif (
            url and schemes != POSTGRES and (problem := _of_address(url))
        ):  # a database may be reached through a socket
            yield key, f"{problem}; give it as {schemes[0]}HOST:PORT"


def _of_repositories(settings: "Settings") -> Iterator[Problem]:
    for n, root in enumerate(settings.repositories.roots):
        if not root.startswith("/"):
            yield f"repositories.roots[{n}]", "must be an absolute path"
    for n, host in enumerate(settings.repositories.hosts):
        if not HOST.fullmatch(host):
            yield f"repositories.hosts[{n}]", "must be HOST or HOST:PORT, such as git.example or git.example:8443"


def _of_address(url: str) -> str:
    """Why this URL leads nowhere; empty: nothing is known to be wrong. It is not shown: it may hold a password."""
    if any(character.isspace() for character in url):
        return "has a blank in it"
    try:
        parts = urlsplit(url)
    except ValueError:
        return "cannot be read"
    if not parts.hostname:
        return "names no host"
    try:
        return "its port is not from 1 to 65535" if parts.port == 0 else ""
    except ValueError:
        return "its port is not from 1 to 65535"


def _shown(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.12g}"
