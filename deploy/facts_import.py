"""Files of business facts: JSON lines or a CSV, each line a fact, read and published one by one.

A fact's id in the log follows from what it is about, and the key of its request from all it says: importing a file again changes
nothing.
"""

import asyncio
import csv
import hashlib
import re
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path

import msgspec
from msgspec import Struct

from contracts.business import KIND_OF, AnyBusinessFact, BusinessFact, subject_of
from contracts.catalogue import tag
from contracts.domains import Clearance
from contracts.ids import keyed_id
from contracts.subjects import is_token
from deploy.client import Gateway, GatewayError, OnWait, Reply, patiently
from deploy.items import Failure
from runtime.errors import InvalidError

TYPES: dict[str, type[BusinessFact]] = {tag(fact): fact for fact in KIND_OF}
PATIENCE_S = 600.0
LINE_BYTES_MAX = 1 << 20
FACTS_MAX = 1_000_000

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


class Given(Struct, frozen=True, kw_only=True):
    """What holds for facts that do not say it themselves; `type` also without its version (`client.signed`)."""

    origin: str
    confidentiality: Clearance
    type: str | None = None


class Read(Struct, frozen=True):
    """The facts of a file, and the lines that are none, with the reason."""

    facts: tuple[AnyBusinessFact, ...]
    failures: tuple[Failure, ...]


def read_facts(path: Path, given: Given) -> Read:
    """What stands in a file, by the end of its name. Raises InvalidError for a file that is neither JSON lines nor CSV."""
    if path.suffix.lower() not in (".jsonl", ".ndjson", ".csv"):
        raise InvalidError(f"{path} is neither .jsonl nor .csv: facts are read from JSON lines and from CSV")
    facts: list[AnyBusinessFact] = []
    failures: list[Failure] = []
    lines = _of_csv(path) if path.suffix.lower() == ".csv" else _of_json(path)
    for number, line in lines:
        try:
            facts.append(fact_of(line, given))
        except (InvalidError, msgspec.MsgspecError) as error:
            failures.append(Failure(path=str(path), reason=str(error), line=number))
        if len(facts) > FACTS_MAX:
            raise InvalidError(f"{path} has more than {FACTS_MAX:,} facts; import it in parts")
    return Read(tuple(facts), tuple(failures))


def fact_of(line: "bytes | dict[str, object]", given: Given) -> AnyBusinessFact:
    """One fact. Raises InvalidError, msgspec.MsgspecError saying what is wrong with it."""
    fields = msgspec.json.decode(line, type=dict[str, object]) if isinstance(line, bytes) else line
    named = str(fields.get("type") or given.type or "")
    kind = TYPES.get(named) or TYPES.get(f"{named}.v1")
    if kind is None:
        raise InvalidError(f"type {named!r} is no fact; there are {', '.join(TYPES)}")
    filled = {
        "origin": given.origin,
        "confidentiality": given.confidentiality.value,
        **{name: _whole(value) for name, value in fields.items() if value is not None},
        "type": tag(kind),
    }
    return _converted(filled, strict=isinstance(line, bytes))


def _converted(fields: dict[str, object], *, strict: bool) -> AnyBusinessFact:
    fact: AnyBusinessFact = msgspec.convert(fields, AnyBusinessFact, strict=strict)
    return fact


def _whole(value: object) -> object:
    """A day as its first moment, in UTC."""
    return f"{value}T00:00:00Z" if isinstance(value, str) and _DAY.fullmatch(value) else value


def _of_json(path: Path) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if len(line) > LINE_BYTES_MAX:
                raise InvalidError(f"{path}, line {number}: longer than {LINE_BYTES_MAX:,} bytes")
            if line.strip():
                yield number, line


def _of_csv(path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    """Cells by the header's names; empty ones say nothing."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, restkey="")
            for row in rows:
                if row.get(""):
                    row = {**row, "(more cells than the header)": "."}  # noqa: PLW2901 - so that the line is refused
                yield (
                    rows.line_num,
                    {name: cell.strip() for name, cell in row.items() if name and cell and cell.strip()},
                )
    except (csv.Error, UnicodeDecodeError) as error:
        raise InvalidError(f"{path} is no CSV in UTF-8: {error}") from error


def place_of(fact: AnyBusinessFact) -> tuple[str, str]:
    """The kind of actor and the id under which a fact is published."""
    kind, subject = KIND_OF[type(fact)], subject_of(fact)
    return kind, subject if is_token(subject) else keyed_id(kind, subject)


async def publish_facts(
    gateway: Gateway,
    read: Read,
    *,
    path: Path,
    concurrency: int,
    on_count: Callable[[int], None] = lambda _: None,
    on_wait: OnWait = lambda _s, _why: None,
) -> list[Failure]:
    """Publish each; those that were refused. Raises GatewayError when the asker may not publish at all, UnreachableError."""
    failures: list[Failure] = []
    source = iter(read.facts)
    through = 0

    async def worker() -> None:
        nonlocal through
        for fact in source:
            try:
                await _publish(gateway, fact, on_wait)
            except GatewayError as error:
                if error.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
                    raise
                failures.append(Failure(path=f"{path}: {tag(type(fact))} of {subject_of(fact)}", reason=str(error)))
            through += 1
            on_count(through)

    try:
        async with asyncio.TaskGroup() as workers:
            for _ in range(concurrency):
                workers.create_task(worker())
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None  # One error is told once, however many workers met it.
    return failures


async def _publish(gateway: Gateway, fact: AnyBusinessFact, on_wait: OnWait) -> Reply:
    kind, identity = place_of(fact)
    content = msgspec.json.encode(fact)
    key = f"fact-{hashlib.sha256(content).hexdigest()[:40]}"
    headers = {"Content-Type": "application/json", "Idempotency-Key": key}

    async def once() -> Reply:
        return await gateway.send("POST", f"/v1/events/sophia/{kind}/{identity}", content=content, headers=headers)

    return await patiently(once, patience_s=PATIENCE_S, on_wait=on_wait)
