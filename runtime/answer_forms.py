"""JSON forms of an answer that only quotes: which JSON Schemas can be filled from what such an answer knows, and filling them.

What is known has names: `answer` (the text), `quotes` (the sentences it rests on), `confidence` (0 to 1), `found` (whether
anything was) and `model`. A schema is filled property by property: by these names, what has a constant by that, what may be
null by null, and what need not be there not at all. Whether a schema can be filled does not depend on the answer, so it is
known before one is asked for. A keyword that may forbid what would be filled in, or that is unknown here, makes it refused.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET, Struct

from contracts.chat import ResponseFormat
from runtime.errors import InvalidError

DEPTH_MAX = 16  # of schemas in one another; one that refers to itself ends there
STEPS_MAX = 2_000  # schemas looked at; alternatives within alternatives would be without end
FIELD = "$.response_format"

_SAYS_NOTHING = frozenset(
    {"type", "title", "description", "default", "examples", "$schema", "$comment", "$defs", "definitions"}
)
_RESTRICTS: Mapping[str, frozenset[str]] = {
    "object": frozenset({"properties", "required", "additionalProperties", "minProperties", "maxProperties"}),
    "array": frozenset({"items", "maxItems", "minItems", "uniqueItems", "contains", "prefixItems"}),
    "string": frozenset({"minLength", "maxLength", "pattern", "format"}),
    "number": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}),
}
"""Keywords that say something of values of one type only."""

_OBSERVED: Mapping[str, frozenset[str]] = {
    "object": frozenset({"properties", "required", "additionalProperties"}),
    "array": frozenset({"items", "maxItems"}),
    "number": frozenset({"minimum", "maximum"}),
}
"""Those that are kept to."""

_TYPES = ("object", "array", "string", "number", "boolean", "null")
_NAMED = {
    "answer": ("answer", "text", "content", "response", "reply", "result", "summary", "output", "message"),
    "quotes": (
        "quotes",
        "sentences",
        "citations",
        "evidence",
        "sources",
        "findings",
        "statements",
        "points",
        "key_points",
    ),
    "confidence": ("confidence", "score", "certainty"),
    "found": ("found", "answered", "known"),
    "model": ("model",),
}
_KNOWN = {name: known for known, names in _NAMED.items() for name in names}
REMEDY = (
    "a model that only quotes fills `answer` (string), `quotes` (array of strings), `confidence` (number, 0 to 1), `found` "
    "(boolean) and `model` (string): let other properties be null or left out, or ask a configured language model"
)


class Known(Struct, frozen=True, kw_only=True):
    """What an answer that only quotes has to say."""

    answer: str
    quotes: tuple[str, ...] = ()
    confidence: float = 0.0
    found: bool = False
    model: str = ""


class Form:
    """A form that can be filled."""

    def __init__(self, schema: Mapping[str, Any] | None) -> None:
        """`schema`: a JSON Schema of an object; None: any object. Raises InvalidError, naming what cannot be filled."""
        self._schema = schema
        self.filled(Known(answer=""))

    def filled(self, known: Known) -> str:
        """The JSON."""
        whole = known if self._schema is None else _Filling(self._schema, known).whole()
        return msgspec.json.encode(whole).decode()


def form_of(wanted: ResponseFormat | None) -> Form | None:
    """The form that is asked for; None: plain text. Raises InvalidError where it cannot be filled."""
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return Form(None)
    given = msgspec.json.decode(b"null" if wanted.json_schema is UNSET else bytes(wanted.json_schema))
    schema = given.get("schema") if isinstance(given, dict) else None
    return Form(schema if isinstance(schema, dict) and schema else None)


class _Filling:
    def __init__(self, root: Mapping[str, Any], known: Known) -> None:
        self._root = root
        self._known = known
        self._left = STEPS_MAX

    def whole(self) -> object:
        filled = self._of(self._root, "", f"{FIELD}.json_schema.schema", 0)
        if not isinstance(filled, dict):
            raise InvalidError("must be the schema of an object", f"{FIELD}.json_schema.schema")
        return filled

    def _of(self, schema: object, name: str, path: str, depth: int) -> object:
        """A value that the schema allows, for a property of this name. Raises InvalidError."""
        self._left -= 1
        if not isinstance(schema, dict) or depth > DEPTH_MAX or self._left < 0:
            raise _unknown("is too deep, or no schema", path)
        for choice in ("$ref", "const", "enum", "anyOf"):
            if choice in schema:
                self._only(schema, _SAYS_NOTHING | {choice}, path)
                return self._chosen(choice, schema[choice], name, path, depth)
        kinds = schema.get("type", "object" if "properties" in schema else None)
        if isinstance(kinds, list):
            return self._first([({**schema, "type": kind}, path) for kind in kinds], name, path, depth)
        if not isinstance(kinds, str) or kinds not in _TYPES:
            raise _unknown(f"has the type {kinds!r}", path)
        others = frozenset(key for kind, keys in _RESTRICTS.items() if kind != kinds for key in keys)
        self._only(schema, _SAYS_NOTHING | others | _OBSERVED.get(kinds, frozenset()), path)
        return self._value(kinds, schema, name, path, depth)

    def _only(self, schema: Mapping[str, Any], allowed: frozenset[str], path: str) -> None:
        if beyond := sorted(schema.keys() - allowed):
            raise _unknown(f"uses {', '.join(beyond)}", path)

    def _chosen(self, choice: str, given: object, name: str, path: str, depth: int) -> object:
        if choice == "const":
            return given
        if choice == "$ref":
            return self._of(self._referred(given, path), name, path, depth + 1)
        if not isinstance(given, list):
            raise _unknown(f"has an {choice} that is no list", path)
        if choice == "anyOf":
            return self._first([(one, f"{path}.anyOf[{at}]") for at, one in enumerate(given)], name, path, depth)
        if len(given) != 1 and None not in given:
            raise _unknown("is a choice", path)
        return None if None in given else given[0]

    def _first(self, several: Sequence[tuple[object, str]], name: str, path: str, depth: int) -> object:
        """The first alternative that can be filled: what is known before null."""
        last = [one for one in several if isinstance(one[0], dict) and one[0].get("type") == "null"]
        for schema, at in [*(one for one in several if one not in last), *last]:
            try:
                return self._of(schema, name, at, depth + 1)
            except InvalidError:
                continue
        raise _unknown("has no alternative that is known", path)

    def _referred(self, reference: object, path: str) -> object:
        found: object = self._root
        for step in str(reference).removeprefix("#").split("/")[1:]:
            found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
        if not str(reference).startswith("#") or found is None:
            raise _unknown("refers to what is not in the schema", path)
        return found

    def _value(self, kind: str, schema: Mapping[str, Any], name: str, path: str, depth: int) -> object:
        known = self._known
        match kind, _KNOWN.get(name.lower()):
            case "null", _:
                return None
            case "object", _:
                return self._object(schema, path, depth)
            case "string", "answer":
                return known.answer
            case "string", "model":
                return known.model
            case "boolean", "found":
                return known.found
            case "number", "confidence" if _number(schema, "minimum", 0) <= 0 and _number(schema, "maximum", 1) >= 1:
                return known.confidence
            case "array", "quotes" if _of_texts(schema):
                return list(known.quotes[: max(0, int(_number(schema, "maxItems", len(known.quotes))))])
            case _:
                raise _unknown("cannot be filled", path)

    def _object(self, schema: Mapping[str, Any], path: str, depth: int) -> dict[str, object]:
        properties, required = schema.get("properties", {}), schema.get("required", [])
        if not isinstance(properties, dict) or not isinstance(required, list):
            raise _unknown("is no schema of an object", path)
        filled: dict[str, object] = {}
        for name, one in properties.items():
            try:
                filled[name] = self._of(one, name, f"{path}.properties.{name}", depth + 1)
            except InvalidError:
                if name in required:
                    raise
        for name in required:
            if name not in list(filled):
                raise _unknown("is required and not described", f"{path}.properties.{name}")
        return filled


def _unknown(what: str, path: str) -> InvalidError:
    return InvalidError(f"{what}; {REMEDY}", path)


def _number(schema: Mapping[str, Any], key: str, default: float) -> float:
    """A bound; what is none forbids everything."""
    given = schema.get(key, default)
    return given if isinstance(given, int | float) else float("nan")


def _of_texts(schema: Mapping[str, Any]) -> bool:
    """Whether any list of texts is allowed, but perhaps for its length."""
    items, length = schema.get("items", {"type": "string"}), _number(schema, "maxItems", 0)
    plain = isinstance(items, dict) and items.keys() - _SAYS_NOTHING == set() and items.get("type") == "string"
    return plain and length >= 0
