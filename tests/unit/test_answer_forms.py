"""Answers that only quote, as JSON: what is filled in is what the schema allows, and what cannot be is refused by its name."""

import json
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from contracts.chat import ResponseFormat
from runtime.answer_forms import Form, Known, form_of
from runtime.errors import InvalidError

KNOWN = Known(answer="Churn was 4 %. [1]", quotes=("Churn was 4 %.",), confidence=0.4, found=True, model="quoting")


def wanted(schema: Any, **more: Any) -> ResponseFormat:
    content = json.dumps({"name": "form", "schema": schema, **more}).encode()
    return ResponseFormat(type="json_schema", json_schema=Raw(content))


def filled(schema: Any) -> Any:
    form = form_of(wanted(schema))
    assert form is not None
    return json.loads(form.filled(KNOWN))


def object_of(required: bool = True, **properties: Any) -> dict[str, Any]:
    named = list(properties) if required else []
    return {"type": "object", "properties": properties, "required": named, "additionalProperties": False}


def test_plain_text_has_no_form_and_any_object_has_all_that_is_known() -> None:
    assert form_of(None) is None
    assert form_of(ResponseFormat(type="text")) is None
    for any_object in (
        ResponseFormat(type="json_object"),
        ResponseFormat(type="json_schema"),
        ResponseFormat(type="json_schema", json_schema=Raw(b'{"name": "x"}')),
        wanted({}),
    ):
        form = form_of(any_object)
        assert form is not None
        assert json.loads(form.filled(KNOWN)) == msgspec.to_builtins(KNOWN) | {"quotes": list(KNOWN.quotes)}


def test_a_schema_is_filled_by_the_names_of_what_is_known() -> None:
    text, texts = {"type": "string"}, {"type": "array", "items": {"type": "string"}, "maxItems": 1}
    schema = object_of(
        answer={**text, "description": "The answer"},
        citations=texts,
        confidence={"type": "number", "minimum": 0, "maximum": 1},
        found={"type": "boolean"},
        city={"type": ["string", "null"], "maxLength": 3},
        kind={"const": "quoted"},
        detail={"anyOf": [{"type": "integer"}, {"type": "null"}]},
        inner={"$ref": "#/$defs/inner"},
    )
    schema["$defs"] = {"inner": object_of(summary=text, model=text)}
    schema["properties"]["mood"] = {"type": "string", "enum": ["good", "bad"]}  # It need not be there.
    assert filled(schema) == {
        "answer": KNOWN.answer,
        "citations": list(KNOWN.quotes),
        "confidence": 0.4,
        "found": True,
        "city": None,
        "kind": "quoted",
        "detail": None,
        "inner": {"summary": KNOWN.answer, "model": "quoting"},
    }


@pytest.mark.parametrize(
    ("schema", "where"),
    [
        (object_of(city={"type": "string"}), ".properties.city"),
        (object_of(answer={"type": "string", "maxLength": 9}), ".properties.answer"),
        (object_of(answer={"type": "string", "pattern": "^x"}), ".properties.answer"),
        (object_of(answer={"type": "integer"}), ".properties.answer"),
        (object_of(mood={"enum": ["good", "bad"]}), ".properties.mood"),
        (object_of(quotes={"type": "array", "minItems": 1}), ".properties.quotes"),
        (object_of(quotes={"type": "array", "maxItems": "x"}), ".properties.quotes"),
        (object_of(confidence={"type": "number", "minimum": 0.5}), ".properties.confidence"),
        (object_of(inner=object_of(place={"type": "string"})), ".properties.inner.properties.place"),
        (object_of(other={"$ref": "#/$defs/none"}), ".properties.other"),
        ({"type": "object", "required": ["answer"]}, ".properties.answer"),
        ({"type": "object", "required": [[]], "properties": {}}, ".properties.[]"),
        ({"type": "object", "allOf": [{}]}, ""),
        ({"type": "string"}, ""),
        ({"type": "null"}, ""),
        ({"const": 5}, ""),
        ({"$ref": "#"}, ""),
        ({"anyOf": [{"$ref": "#"}] * 10}, ""),
        ({"type": ["object", {}]} | object_of(required=True, x={"type": "string"}) | {"type": {}}, ""),
    ],
)
def test_what_cannot_be_filled_is_refused_by_its_name_with_what_can(schema: Any, where: str) -> None:
    with pytest.raises(InvalidError) as refused:
        form_of(wanted(schema))
    assert refused.value.field == f"$.response_format.json_schema.schema{where}"
    assert where == "" or "`answer`" in str(refused.value)


NAMES = st.sampled_from(["answer", "quotes", "confidence", "found", "model", "city", "summary"])
LEAVES = st.sampled_from(
    [
        {"type": "string"},
        {"type": "string", "maxLength": 4},
        {"type": "number", "minimum": 0},
        {"type": "number", "exclusiveMinimum": 0},
        {"type": "boolean"},
        {"type": "null"},
        {"type": ["string", "null"], "minLength": 2},
        {"type": "integer"},
        {"type": "array", "items": {"type": "string"}},
        {"type": "array", "items": {"type": "string"}, "maxItems": 0},
        {"type": "array", "items": {"type": "string", "maxLength": 2}},
        {"type": "array", "items": False},
        {"enum": ["a", None]},
        {"enum": ["a"], "type": "string"},
        {"const": [1]},
        {"not": {}},
        {"$ref": "#/$defs/one"},
        True,
    ]
)
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda several: {"anyOf": several}),
        st.tuples(st.dictionaries(NAMES, inner, max_size=4), st.lists(NAMES, max_size=3), st.booleans()).map(
            lambda one: {"type": "object", "properties": one[0], "required": one[1], "additionalProperties": one[2]}
        ),
    ),
    max_leaves=12,
)


ITSELF = {"$ref": "#/$defs/one"}
"""What means nothing but itself no validator comes to the end of; that a form refuses it stands above."""


@settings(max_examples=300)
@given(SCHEMAS, LEAVES.filter(lambda leaf: leaf != ITSELF))
def test_what_is_filled_in_is_always_allowed(schema: Any, one: Any) -> None:
    whole = {**schema, "$defs": {"one": one}} if isinstance(schema, dict) else schema
    try:
        form = Form(whole)
    except InvalidError:
        return
    for known in (KNOWN, Known(answer="")):
        jsonschema.Draft202012Validator(whole).validate(json.loads(form.filled(known)))
