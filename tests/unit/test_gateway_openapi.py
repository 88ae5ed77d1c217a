"""The OpenAPI document is valid, complete, and what the routes really are; the page that shows it needs nothing else."""

import re
from typing import Any

import msgspec
from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway.docs_page import docs_page
from gateway.openapi import openapi_document
from gateway.routes import ROUTES
from gateway.rows import Does
from tests.gateway_world import World, run

DOCUMENT: dict[str, Any] = msgspec.json.decode(openapi_document(ROUTES))


def test_the_document_is_valid() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_every_row_is_an_operation_with_its_own_id() -> None:
    operations = {
        (method.upper(), path): operation
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
    }
    assert set(operations) == {(row.method, row.path) for row in ROUTES}
    assert len({operation["operationId"] for operation in operations.values()}) == len(ROUTES)


def test_every_example_is_what_its_row_takes() -> None:
    for row in ROUTES:
        if row.example is not None:
            encoded = msgspec.json.encode(row.example)
            assert msgspec.json.decode(encoded, type=row.request) == row.example


def test_every_row_documents_its_refusals() -> None:
    for row in ROUTES:
        responses = DOCUMENT["paths"][row.path][row.method.lower()]["responses"]
        assert str(row.status) in responses
        assert ("401" in responses) is (not row.public or row.path == "/v1/auth/token")


def test_exactly_the_commands_take_an_idempotency_key() -> None:
    for row in ROUTES:
        parameters = DOCUMENT["paths"][row.path][row.method.lower()]["parameters"]
        keyed = "Idempotency-Key" in [parameter["name"] for parameter in parameters]
        assert keyed is isinstance(row.action, Does), row.path


def test_the_documents_are_served_and_load_nothing() -> None:
    async def body() -> None:
        async with World() as world, world.client() as nobody:
            assert (await nobody.get("/openapi.json")).json() == DOCUMENT
            page = await nobody.get("/docs")
            assert page.headers["content-type"].startswith("text/html")
            assert "<script" not in page.text
            assert not re.findall(r"(?:src|href)=[\"']?(?!#|/openapi\.json)[^\"'> ]", page.text)
            for row in ROUTES:
                assert f"<code>{row.path}</code>" in page.text

    run(body)


def test_the_page_escapes_what_it_shows() -> None:
    hostile = msgspec.json.encode({**DOCUMENT, "info": {**DOCUMENT["info"], "title": "<script>x</script>"}})
    assert b"<script>" not in docs_page(hostile)
