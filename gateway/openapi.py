"""The OpenAPI 3.1 document, made from the rows and the types they name."""

import re
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import msgspec

from contracts.domains import Domain
from contracts.http import EventView, Pending, Problem
from contracts.openai import OpenAiError
from gateway.identity import ROLE_PERMISSIONS
from gateway.openai_errors import MEDIA_ERROR
from gateway.problems import MEDIA_PROBLEM
from gateway.reading import MEDIA_STREAM
from gateway.rows import COUNTED, Does, Route

JsonObject = dict[str, Any]
_REF = "#/components/schemas/{name}"
_PATH_PARAMETER = re.compile(r"{(\w+)}")

PROBLEMS: dict[int, str] = {
    400: "The request cannot be read: not JSON, cut short, a malformed header.",
    401: "No token, or one that is not valid or has expired.",
    403: "A permission or a clearance is missing; `permission` names it.",
    404: "There is no such thing, or none that you may know of.",
    406: "None of the accepted media types is on offer.",
    408: "The body did not arrive in time.",
    409: "Refused: it conflicts with what is.",
    410: "Refused: what this is for has ended.",
    413: "The body is over the limit.",
    415: "The body is not JSON.",
    422: "A field is wrong (`errors` names it), or an Idempotency-Key was used for another request.",
    429: "A limit is reached; Retry-After says when to try again.",
    500: "A fault of ours; the log has the cause.",
    502: "Accepted, tried and failed for good; `detail` says why.",
    503: "A dependency is down or we are full; Retry-After says when to try again.",
    504: "Accepted and worked on, but not finished in time.",
}
_DESCRIPTION = """Ask Sophia (business) and Artemis (technical) questions; every step is an event that survives a crash, \
can be read back and be proved.

**Waiting.** Commands answer when they are done, at most `Prefer: wait=N` seconds later (default 30, at most 120); then, or \
at once with `Prefer: respond-async`, with 202 and a `status_url`, as soon as something is found there (a second at most; a \
refusal known by then is the answer). With `Accept: text/event-stream` they send `progress` events and at last one `answer` \
or `problem`, or `pending` (as with 202) when we can follow them no longer. Streams and waits end with your token; you may \
have a tenth of a gateway's streams (else 429).

**Limits.** A user may ask each path so often a minute and an hour: `RateLimit-Policy` and `RateLimit` say how often and what \
is left, 429 with `Retry-After` when to come again.

**Repeating.** With an `Idempotency-Key` a command is done once, however often it is sent; a repeat gets the first one's \
result. The key is bound to asker, method, path and body. Operations that record nothing (signing in, searching, storing a \
file under its digest) take no key: repeat them as you like.

**Clearance.** Nothing above your clearance is shown, in any form; what you may not know of does not exist (404).

**Errors** are problem documents (RFC 9457); paths of OpenAI's API answer errors as that does.

**Roles.** """


def openapi_document(routes: Sequence[Route]) -> bytes:
    """The document as JSON."""
    named = [kind for row in routes for kind in (row.request, row.reply) if kind not in (None, bytes)]
    named += [Pending, EventView, Problem, OpenAiError]
    schemas, components = msgspec.json.schema_components(named, ref_template=_REF)
    by_type = {id(kind): schema for kind, schema in zip(named, schemas, strict=True)}
    paths: dict[str, JsonObject] = {}
    for row in routes:
        paths.setdefault(row.path, {})[row.method.lower()] = _operation(row, by_type)
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "Diarchy",
                "version": _version(),
                "description": _DESCRIPTION + _roles(),
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": [{"url": "/"}],
            "tags": [{"name": name} for name in dict.fromkeys(_tag(row) for row in routes)],
            "paths": paths,
            "components": {
                "schemas": components,
                "responses": {str(status): _problem(status) for status in PROBLEMS},
                "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
            },
        }
    )


def _operation(row: Route, schemas: dict[int, JsonObject]) -> JsonObject:
    needs = " or ".join(f"`{permission}`" for permission in row.permissions) or "any valid token"
    operation: JsonObject = {
        "operationId": _operation_id(row),
        "summary": row.summary,
        "description": f"Needs: {'nothing' if row.public else needs}. Rate limit: {row.limit}.",
        "tags": [_tag(row)],
        "parameters": [*_path_parameters(row), *_query_parameters(row), *_header_parameters(row)],
        "responses": _responses(row, schemas),
        "security": [] if row.public else [{"bearer": []}],
    }
    if row.request is bytes:
        file = {"application/octet-stream": {"schema": {"type": "string", "format": "binary", "minLength": 1}}}
        operation["requestBody"] = {"required": True, "content": file}
    elif row.request is not None:
        media: JsonObject = {"schema": schemas[id(row.request)]}
        if row.example is not None:
            media["example"] = msgspec.to_builtins(row.example)
        operation["requestBody"] = {"required": not row.optional, "content": {"application/json": media}}
    return operation


def _responses(row: Route, schemas: dict[int, JsonObject]) -> JsonObject:
    content: JsonObject = {}
    if row.reply is not None:
        content[row.media] = {"schema": schemas[id(row.reply)]}
    elif row.status != 204:
        content[row.media] = {"schema": {"type": "string"}}
    headers = {"Diarchy-Correlation-Id": {"schema": {"type": "string", "format": "uuid"}}}
    done: JsonObject = {"description": "Done.", "headers": headers}
    if content:
        done["content"] = content
    responses: JsonObject = {str(row.status): done}
    if row.streams:
        stream = {MEDIA_STREAM: {"schema": {"type": "string", "description": _stream_text(row)}}}
        if row.status == 200:
            content.update(stream)
        else:
            responses["200"] = {"description": "The stream.", "content": stream}
    if isinstance(row.action, Does):
        pending = {"application/json": {"schema": schemas[id(Pending)]}}
        location = {"Location": {"schema": {"type": "string"}}}
        responses["202"] = {"description": "Accepted, not finished.", "headers": location, "content": pending}
    for status in _problems(row):
        if row.errors == "openai":
            if status != 422:  # told as 400
                responses[str(status)] = _problem(status, MEDIA_ERROR, "OpenAiError")
        else:
            responses[str(status)] = {"$ref": f"#/components/responses/{status}"}
    return responses


def _problems(row: Route) -> list[int]:
    """Which errors the row can answer with."""
    found = {400, 406, 422, 500, 503}
    if not row.public or row.limit == "sign_in":
        found |= {401}
    if not row.public:
        found |= {403}
    if "{" in row.path:
        found |= {404}
    if row.method != "GET" and "{" in row.path:
        found |= {409}
    if row.method != "GET":  # A body that is not taken is refused, not ignored.
        found |= {408, 413}
        if row.request is not bytes:
            found |= {415}
    if row.streams or row.limit in COUNTED:
        found |= {429}
    if row.errors == "openai":  # Such a path names a model, which there may not be, or which may answer unusably.
        found |= {404, 502}
    if isinstance(row.action, Does):
        found |= {404, 409, 410, 429, 502} | ({504} if row.errors == "openai" else set())
    return sorted(found)


def _problem(status: int, media: str = MEDIA_PROBLEM, shape: str = "Problem") -> JsonObject:
    response: JsonObject = {
        "description": PROBLEMS[status],
        "content": {media: {"schema": {"$ref": _REF.format(name=shape)}}},
    }
    if status in (429, 503):
        response["headers"] = {"Retry-After": {"schema": {"type": "integer"}}}
    if status == 401:
        response["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
    return response


def _path_parameters(row: Route) -> list[JsonObject]:
    schemas: dict[str, JsonObject] = {
        "domain": {"type": "string", "enum": [domain.value for domain in Domain]},
        "correlation": {"type": "string", "format": "uuid"},
    }
    token = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,128}$"}
    return [
        {"name": name, "in": "path", "required": True, "schema": schemas.get(name, token)}
        for name in _PATH_PARAMETER.findall(row.path)
    ]


def _query_parameters(row: Route) -> list[JsonObject]:
    if row.query is None:
        return []
    schema, components = msgspec.json.schema_components([row.query], ref_template=_REF)
    fields: JsonObject = components[schema[0]["$ref"].rpartition("/")[2]]["properties"]
    return [
        {"name": name, "in": "query", "required": False, "schema": _inlined(field, components)}
        for name, field in fields.items()
    ]


def _inlined(field: JsonObject, components: JsonObject) -> JsonObject:
    """A parameter's schema without references and without null, which a query string cannot say."""
    choices = [choice for choice in field.get("anyOf", [field]) if choice.get("type") != "null"]
    chosen = {**choices[0], **{key: value for key, value in field.items() if key not in ("anyOf", "default")}}
    if "$ref" in chosen:
        chosen = {**components[chosen.pop("$ref").rpartition("/")[2]], **chosen}
    if field.get("default") is not None:
        chosen["default"] = field["default"]
    if "enum" in chosen:
        chosen["enum"] = [value for value in chosen["enum"] if value is not None]
        chosen["type"] = "string"
    return chosen


def _header_parameters(row: Route) -> list[JsonObject]:
    parameters: list[JsonObject] = []
    if isinstance(row.action, Does):
        key = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"}
        parameters.append(_header("Idempotency-Key", key, "Makes a repeat of this request harmless."))
    if isinstance(row.action, Does):
        parameters.append(_header("Prefer", {"type": "string"}, "`wait=10` or `respond-async`."))
    if row.streams:
        parameters.append(_header("Last-Event-ID", {"type": "string"}, "Go on with a stream after this event."))
    return parameters


def _header(name: str, schema: JsonObject, description: str) -> JsonObject:
    return {"name": name, "in": "header", "required": False, "schema": schema, "description": description}


def _stream_text(row: Route) -> str:
    if isinstance(row.action, Does):
        if row.action.chunks is not None:
            return "Chunks without names, then `[DONE]`; or an error instead."
        return (
            "`progress` events (EventView), then one `answer` (the reply), `problem` (Problem) or `pending` (Pending)."
        )
    return "`event` events (EventView) until your token expires, then one `problem` (Problem)."


def _operation_id(row: Route) -> str:
    words = [word for word in re.split(r"[^A-Za-z0-9]+", row.path.removeprefix("/v1")) if word]
    return "_".join([row.method.lower(), *words])


def _tag(row: Route) -> str:
    words = row.path.strip("/").split("/")
    return words[1] if words[0] == "v1" else "operation"


def _roles() -> str:
    return "; ".join(
        f"`{role}`: {', '.join(sorted(permissions)) if role != 'admin' else 'everything'}"
        for role, permissions in ROLE_PERMISSIONS.items()
    )


def _version() -> str:
    try:
        return version("diarchy")
    except PackageNotFoundError:
        return "0"
