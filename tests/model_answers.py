"""What the model server answers: functions of the request alone, in OpenAI's form."""

import base64
import hashlib
import json
import math
import re
import struct
from collections.abc import Iterator, Sequence
from typing import Any

DIMENSIONS = 384
PIECE_CHARS = 7  # of a streamed answer, so that words and escapes are cut in two


Script = Sequence[tuple[str, dict[str, object]]]
"""Tools to call with their arguments, one a step; `$FILE` stands for the first digest that the chat names."""


def completion(request: dict[str, Any], script: Script = ()) -> dict[str, Any]:
    """A chat completion that follows from the request and the script alone."""
    texts = [str(message.get("content") or "") for message in request.get("messages", [])]
    whole = "\n".join(texts)
    digest = hashlib.sha256(whole.encode()).hexdigest()
    last = texts[-1] if texts else ""
    schema = ((request.get("response_format") or {}).get("json_schema") or {}).get("schema")
    if schema:
        content = json.dumps(_of(schema, "", digest, last))
    elif request.get("response_format"):
        names = re.findall(r"^- (\w+):", texts[0] if texts else "", re.MULTILINE)
        sections = {name: _words(name, digest, last) for name in names}
        content = json.dumps({"sections": sections, "cited": ["1"], "confidence": _share(digest)})
    else:
        content = _words("answer", digest, last)
    message: dict[str, Any] = {"role": "assistant", "content": content}
    function = _function(request, script, whole)
    if function is not None:
        call = {"id": f"call_{digest[:12]}", "type": "function", "function": function}
        content, message = "", {"role": "assistant", "content": None, "tool_calls": [call]}
    finish = "tool_calls" if "tool_calls" in message else "stop"
    tokens_max = request.get("max_tokens") or 10**9
    if len(content.split()) > tokens_max:
        finish, content = "length", " ".join(content.split()[:tokens_max])
        message["content"] = content
    read, written = len(whole.split()), len(content.split())
    return {
        "id": f"chatcmpl-{digest[:24]}",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": request.get("model", "test-model"),
        "choices": [{"index": 0, "finish_reason": finish, "message": message}],
        "usage": {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written},
    }


def _function(request: dict[str, Any], script: Script, whole: str) -> dict[str, str] | None:
    """The tool to call now: the next of the script; without one the first there is, once."""
    if not request.get("tools"):
        return None
    messages = request["messages"]
    if script:
        step = sum(message["role"] == "assistant" for message in messages)
        if step >= len(script):
            return None
        file = re.search(r"\b[0-9a-f]{64}\b", whole)
        name, arguments = script[step]
        return {"name": name, "arguments": json.dumps(arguments).replace("$FILE", file[0] if file else "")}
    if messages[-1]["role"] == "tool":
        return None
    last = str(messages[-1].get("content") or "")
    return {"name": request["tools"][0]["function"]["name"], "arguments": json.dumps({"text": last})}


def chunks(whole: dict[str, Any]) -> Iterator[str]:
    """A completion as the events of a stream: its text in small pieces, the reason to end, the usage, the end."""
    message = whole["choices"][0]["message"]
    head = {**whole, "object": "chat.completion.chunk"}
    del head["usage"]

    def event(delta: dict[str, Any], finish: str | None = None) -> str:
        return json.dumps({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    yield event({"role": "assistant", "content": ""})
    content = message["content"] or ""
    for at in range(0, len(content), PIECE_CHARS):
        yield event({"content": content[at : at + PIECE_CHARS]})
    for index, call in enumerate(message.get("tool_calls") or []):
        function = call["function"]
        yield event({"tool_calls": [{**call, "index": index, "function": {**function, "arguments": ""}}]})
        for at in range(0, len(function["arguments"]), PIECE_CHARS):
            piece = function["arguments"][at : at + PIECE_CHARS]
            yield event({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    yield event({}, whole["choices"][0]["finish_reason"])
    yield json.dumps({**head, "choices": [], "usage": whole["usage"]})
    yield "[DONE]"


def _of(schema: dict[str, Any], name: str, digest: str, echo: str) -> object:
    match schema.get("type"):
        case "object":
            return {key: _of(value, key, digest, echo) for key, value in schema.get("properties", {}).items()}
        case "array":
            return ["1"]
        case "number" | "integer":
            return _share(digest)
        case _:
            return _words(name, digest, echo)


def _words(name: str, digest: str, echo: str) -> str:
    return f"{name} {digest[:12]}: {' '.join(echo.split())[:200]} [1]"


def _share(digest: str) -> float:
    return round(0.5 + int(digest[:4], 16) / 0xFFFF / 2, 4)


def embeddings(request: dict[str, Any]) -> dict[str, Any]:
    """Unit vectors of the texts' words: texts that share words are near one another."""
    given = request.get("input", [])
    texts: list[str] = [given] if isinstance(given, str) else list(map(str, given))
    size = int(request.get("dimensions") or DIMENSIONS)
    data = []
    for index, text in enumerate(texts):
        vector = vector_of(text, size)
        packed: object = vector
        if request.get("encoding_format") == "base64":
            packed = base64.b64encode(struct.pack(f"<{size}f", *vector)).decode()
        data.append({"object": "embedding", "index": index, "embedding": packed})
    tokens = sum(len(text.split()) for text in texts)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "model": request.get("model", "test-model"), "data": data, "usage": usage}


def vector_of(text: str, size: int = DIMENSIONS) -> list[float]:
    """The unit vector of a text: each word adds to three places that its hash names."""
    vector = [0.0] * size
    for word in re.findall(r"\w+", text.lower()) or [""]:
        digest = hashlib.sha256(word.encode()).digest()
        for at in range(0, 12, 4):
            vector[int.from_bytes(digest[at : at + 3]) % size] += 1.0 if digest[at + 3] % 2 else -1.0
    norm = math.sqrt(sum(value * value for value in vector))
    return [value / norm for value in vector] if norm else [1.0, *[0.0] * (size - 1)]
