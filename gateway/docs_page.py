"""The OpenAPI document as one readable HTML page: no script, nothing loaded from anywhere."""

import re
from html import escape
from typing import Any

import msgspec

_STYLE = """
:root{color-scheme:dark light;--back:#12151b;--card:#1b2029;--text:#e6e9ef;--dim:#98a2b3;--line:#2c3442;--accent:#7cc4ff}
@media (prefers-color-scheme:light){
:root{--back:#f6f7f9;--card:#fff;--text:#1a1f2b;--dim:#5b6475;--line:#d9dee7;--accent:#0b63b5}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:62rem;padding:1.5rem;background:var(--back);color:var(--text);font:1rem/1.5 system-ui,sans-serif}
h1{margin:0 0 .5rem}h2{margin:2rem 0 .75rem;text-transform:capitalize}h3{font-size:1rem;margin:1rem 0 .35rem}
a{color:var(--accent)}code,pre{font:0.85rem/1.45 ui-monospace,monospace;overflow-wrap:anywhere}
pre{background:var(--back);border:1px solid var(--line);border-radius:6px;padding:.75rem;overflow:auto}
details{background:var(--card);border:1px solid var(--line);border-radius:8px;margin:.5rem 0;padding:.6rem .9rem}
summary{cursor:pointer}summary b{display:inline-block;min-width:4.2rem;color:var(--accent)}
summary span,small,.dim{color:var(--dim)}table{border-collapse:collapse;width:100%}
td,th{border-top:1px solid var(--line);padding:.3rem .5rem;text-align:left;vertical-align:top}
@media (max-width:40rem){body{padding:.75rem}summary span{display:block}}
"""
_CODE = re.compile(r"`([^`]+)`")
_BOLD = re.compile(r"\*\*([^*]+)\*\*")
JsonObject = dict[str, Any]


def docs_page(document: bytes) -> bytes:
    """The page for an OpenAPI document given as JSON."""
    api: JsonObject = msgspec.json.decode(document)
    info = api["info"]
    sections = "".join(_section(api, tag["name"]) for tag in api["tags"])
    schemas = "".join(_schema(name, schema) for name, schema in sorted(api["components"]["schemas"].items()))
    page = (
        f"<!doctype html><html lang=en><head><meta charset=utf-8><title>{escape(info['title'])} API</title>"
        f'<meta name=viewport content="width=device-width,initial-scale=1"><style>{_STYLE}</style></head><body>'
        f"<h1>{escape(info['title'])} API <small>{escape(info['version'])}</small></h1>{_text(info['description'])}"
        f'<p><a href="/openapi.json">openapi.json</a></p>{sections}<h2>Schemas</h2>{schemas}</body></html>'
    )
    return page.encode()


def _section(api: JsonObject, tag: str) -> str:
    operations = "".join(
        _operation(api, method, path, operation)
        for path, methods in api["paths"].items()
        for method, operation in methods.items()
        if tag in operation["tags"]
    )
    return f"<h2>{escape(tag)}</h2>{operations}"


def _operation(api: JsonObject, method: str, path: str, operation: JsonObject) -> str:
    parts = [_text(operation["description"]), _parameters(operation["parameters"])]
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        parts.append(f"<h3>Body <small>{escape(media)}</small></h3><p>{_type(content['schema'])}</p>")
        if "example" in content:
            parts.append(f"<pre>{_json(content['example'])}</pre>")
    rows = "".join(_response(api, status, response) for status, response in sorted(operation["responses"].items()))
    parts.append(f"<h3>Answers</h3><table>{rows}</table>")
    head = f"<b>{method.upper()}</b> <code>{escape(path)}</code> <span>{escape(operation['summary'])}</span>"
    return f'<details id="{escape(operation["operationId"])}"><summary>{head}</summary>{"".join(parts)}</details>'


def _parameters(parameters: list[JsonObject]) -> str:
    if not parameters:
        return ""
    rows = "".join(
        f"<tr><td><code>{escape(parameter['name'])}</code><td class=dim>{escape(parameter['in'])}"
        f"<td>{_type(parameter['schema'])}<td>{_inline(parameter.get('description', ''))}"
        for parameter in parameters
    )
    return f"<h3>Parameters</h3><table>{rows}</table>"


def _response(api: JsonObject, status: str, response: JsonObject) -> str:
    if "$ref" in response:
        response = api["components"]["responses"][response["$ref"].rpartition("/")[2]]
    kinds = ", ".join(
        f"{_type(content['schema'])} <small>{escape(media)}</small>"
        for media, content in response.get("content", {}).items()
    )
    return f"<tr><td><code>{status}</code><td>{_inline(response['description'])}<td>{kinds}"


def _schema(name: str, schema: JsonObject) -> str:
    about = _text(schema.get("description", ""))
    body = f"<pre>{_json({key: value for key, value in schema.items() if key not in ('title', 'description')})}</pre>"
    return f'<details id="schema-{escape(name)}"><summary><code>{escape(name)}</code></summary>{about}{body}</details>'


def _type(schema: JsonObject) -> str:
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#schema-{name}">{name}</a>'
    if "anyOf" in schema:
        return " | ".join(_type(choice) for choice in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    return f"<code>{escape(str(schema.get('type', 'any')))}</code>"


def _json(value: object) -> str:
    return escape(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def _text(markdown: str) -> str:
    return "".join(f"<p>{_inline(part)}</p>" for part in markdown.split("\n\n") if part.strip())


def _inline(markdown: str) -> str:
    return _BOLD.sub(r"<b>\1</b>", _CODE.sub(r"<code>\1</code>", escape(markdown)))
