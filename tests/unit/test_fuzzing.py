"""What the fuzzes leave out is shown by what they keep."""

import json
from typing import Any

import msgspec

from gateway.openapi import openapi_document
from gateway.routes import ROUTES
from tests.fuzzing import TEXT, alike_once


def fields(description: dict[str, Any]) -> dict[str, set[str]]:
    """Every form that a field of a schema has, by the field's name."""
    found: dict[str, set[str]] = {}
    for schema in description["components"]["schemas"].values():
        for name, field in schema.get("properties", {}).items():
            found.setdefault(name, set()).add(json.dumps(field))
    return found


def test_no_form_of_a_field_is_lost_where_what_is_alike_is_tried_once() -> None:
    document = openapi_document(ROUTES)
    before, after = msgspec.json.decode(document), alike_once(msgspec.json.decode(document))
    fixed = json.dumps({"enum": [TEXT]})
    assert fields(before) == {name: forms - {fixed} for name, forms in fields(after).items()}
    body = after["paths"]["/v1/events/{domain}/{kind}/{id}"]["post"]["requestBody"]["content"]["application/json"]
    kinds = [after["components"]["schemas"][one["$ref"].rpartition("/")[2]] for one in body["schema"]["anyOf"]]
    for name in ("title", "text", "origin"):
        forms = [json.dumps(kind["properties"][name]) for kind in kinds if name in kind["properties"]]
        limited = [form for form in forms if "pattern" in form]
        assert 0 < len(limited) == len(set(limited)) < len(forms)
