"""What programs outside need to publish facts: an AsyncAPI 3.0 document and a JSON Schema, made from the contracts."""

from itertools import product
from pathlib import Path
from typing import Any

import msgspec

from contracts.business import BUSINESS_FACTS, BusinessFact
from contracts.catalogue import EVENTS, tag
from contracts.domains import Domain
from contracts.facts import FACT_DOMAINS, SIGNAL, Fact, fact_kind
from contracts.subjects import ID_CHARS_MAX, actor_ref, publisher

FOLDER = Path("docs") / "contracts"
_ID_PATTERN = f"^[A-Za-z0-9_-]{{1,{ID_CHARS_MAX}}}$"


def documents() -> dict[str, bytes]:
    """File name to content, always the same for the same contracts."""
    return {
        "asyncapi.json": _pretty(_asyncapi()),
        "facts.schema.json": _pretty(_facts()),
        "events.schema.json": _pretty(_events()),
    }


def stale(root: Path) -> list[Path]:
    """The files under `root` that are missing or not what `documents` gives."""
    found = []
    for name, content in documents().items():
        path = root / FOLDER / name
        if not path.exists() or path.read_bytes() != content:
            found.append(path)
    return found


def write(root: Path) -> list[Path]:
    """Write the stale ones; returns them."""
    paths = stale(root)
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(documents()[path.name])
    return paths


def _asyncapi() -> dict[str, Any]:
    schemas = _components(tuple(FACT_DOMAINS), "#/components/schemas/{name}")
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for domain, kind in product(Domain, (SIGNAL, *BUSINESS_FACTS)):
        facts = [fact for fact, its in FACT_DOMAINS.items() if its == domain and fact_kind(fact) == kind]
        if not facts:
            continue
        named = "" if kind == SIGNAL else kind.capitalize()
        name = f"{domain.value}{named}Facts"
        channels[name] = {
            "address": publisher(actor_ref(domain, kind, "ID")).replace(".ID", ".{id}"),
            "description": f"Facts for {domain.value.capitalize()}. Facts with the same id are kept in one log, in order.",
            "parameters": {"id": {"description": f"Your name for the thing the fact is about; matches {_ID_PATTERN}."}},
            "messages": {fact.__name__: {"$ref": f"#/components/messages/{fact.__name__}"} for fact in facts},
        }
        operations[f"publish{domain.value.capitalize()}{named}Fact"] = {
            "action": "receive",
            "channel": {"$ref": f"#/channels/{name}"},
            "summary": "Diarchy receives what you publish here. A JetStream publish is answered once the fact is stored.",
        }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Diarchy facts",
            "version": "1.0.0",
            "description": "Publish one JSON object a message with any NATS client. A header Nats-Msg-Id of your own makes "
            "repeats harmless. What cannot be read goes to the dead letters with its reason: `diarchy dlq list`.",
            "license": {"name": "Apache-2.0"},
        },
        "servers": {
            "broker": {
                "host": "127.0.0.1:4222",
                "protocol": "nats",
                "description": "`diarchy publisher` prints the real address, user and password.",
                "security": [{"type": "userPassword"}],
            }
        },
        "channels": channels,
        "operations": operations,
        "components": {"messages": {fact.__name__: _message(fact) for fact in FACT_DOMAINS}, "schemas": schemas},
    }


def _message(fact: type[Fact | BusinessFact]) -> dict[str, Any]:
    return {
        "name": tag(fact),
        "contentType": "application/json",
        "payload": {"$ref": f"#/components/schemas/{fact.__name__}"},
        "headers": {
            "type": "object",
            "properties": {"Nats-Msg-Id": {"type": "string", "description": "Optional: makes a repeat harmless."}},
        },
    }


def _facts() -> dict[str, Any]:
    return _schema("Diarchy facts", "What programs outside may publish.", tuple(FACT_DOMAINS))


def _events() -> dict[str, Any]:
    return _schema("Diarchy events", "What actors record; read-only.", EVENTS)


def _schema(title: str, description: str, kinds: tuple[type, ...]) -> dict[str, Any]:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "description": description,
        "oneOf": [{"$ref": f"#/$defs/{kind.__name__}"} for kind in kinds],
        "$defs": _components(kinds, "#/$defs/{name}"),
    }


def _components(kinds: tuple[type, ...], template: str) -> dict[str, Any]:
    _, components = msgspec.json.schema_components(kinds, ref_template=template)
    return components


def _pretty(document: dict[str, Any]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(document, order="sorted"), indent=2) + b"\n"
