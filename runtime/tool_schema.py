"""What a tool takes, as a JSON Schema that models can keep to, in the form that their strict modes want.

That is: no field left out, none beside those named, no defaults.
"""

import re
from typing import Any

import msgspec
from msgspec import Struct

from runtime.ports import Tool

DIGEST = re.compile(r"[0-9a-f]{64}")
_FOR_NOBODY = frozenset({"default", "title"})


def parameters(arguments: type[Struct]) -> dict[str, Any]:
    """The schema of a tool's arguments, or of those that are chosen."""
    (_,), components = msgspec.json.schema_components([arguments], ref_template="#/$defs/{name}")
    own = components.pop(arguments.__name__)
    schema: dict[str, Any] = _strict(own)
    needed = _reached(schema, components)
    return schema | ({"$defs": {name: _strict(components[name]) for name in needed}} if needed else {})


def result(tool: Tool) -> dict[str, Any]:
    """The schema of what the tool returns."""
    return msgspec.json.schema(tool.result)


def digests(text: str) -> frozenset[str]:
    """All that could be a digest of a stored file, wherever it stands in a text."""
    return frozenset(DIGEST.findall(text.lower()))


def _strict(part: Any) -> Any:
    match part:
        case dict():
            kept = {name: _strict(value) for name, value in part.items() if name not in _FOR_NOBODY}
            if isinstance(part.get("properties"), dict):
                kept["properties"] = {name: _strict(value) for name, value in part["properties"].items()}
                kept |= {"additionalProperties": False, "required": list(kept["properties"])}
            return kept
        case list():
            return [_strict(one) for one in part]
        case _:
            return part


def _reached(schema: Any, components: dict[str, Any]) -> list[str]:
    """The components that a schema refers to, and what these refer to."""
    found: dict[str, None] = {}
    left: list[Any] = [schema]
    while left:
        match left.pop():
            case dict() as part:
                name = str(part.get("$ref", "")).rpartition("/")[2]
                if name and name not in found:
                    found[name] = None
                    left.append(components[name])
                left.extend(part.values())
            case list() as several:
                left.extend(several)
            case _:
                pass
    return list(found)
