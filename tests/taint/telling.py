"""What a response tells: markers, records and labels, held against what may be told."""

from collections.abc import Iterable
from typing import Any

import msgspec

from contracts.domains import Clearance, Domain
from tests.taint.oracle import Known, markers
from tests.taint.story import Story
from tests.taint.world import Reader, Response


def told(story: Story, response: Response, allowed: Iterable[bytes], expected: Iterable[bytes] = ()) -> None:
    """Note a leak for every marker that is not allowed; of the expected ones, how many were there."""
    seen, may = markers(response.body + pieced(response.body)), set(allowed)
    for marker in sorted(seen - may):
        story.findings.append(f"leak: {marker.decode()} in {response.body[:2_000]!r}")
    wanted = set(expected)
    story.shown += len(wanted & seen)
    story.showable += len(wanted)


def shown_records(
    story: Story, reader: Reader, response: Response, events: Iterable[dict[str, Any]], allowed: list[Known]
) -> None:
    """Note a leak for every record that is not allowed, even if nothing is told of it but that it is there."""
    may = {record.place for record in allowed}
    for event in events:
        place = (Domain(event["domain"]), event["sequence"])
        if place not in may:
            story.findings.append(f"leak: record {place} in {response.body[:2_000]!r}")
            continue
        needed = story.oracle.need(story.oracle.records[place], reader)
        if Clearance(event["label"]) < needed:
            story.findings.append(f"label: record {place} is shown as {event['label']} and is {needed.value}")


def streamed(body: bytes) -> list[tuple[str, Any]]:
    """Name and data of each event of a stream."""
    found: list[tuple[str, Any]] = []
    for block in body.replace(b"\r\n", b"\n").split(b"\n\n"):
        fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if b": " in line and line[:1] != b":")
        if b"data" in fields and b"event" in fields:
            found.append((fields[b"event"].decode(), msgspec.json.decode(fields[b"data"])))
    return found


def pieced(body: bytes) -> bytes:
    """What the pieces of a chat's stream say together."""
    chunks = unnamed(body) if b"chat.completion.chunk" in body else []
    return "".join(one["delta"].get("content", "") for chunk in chunks for one in chunk.get("choices", ())).encode()


def unnamed(body: bytes) -> list[Any]:
    """The data of a stream in OpenAI's form, without the mark of its end."""
    texts = [line[6:] for line in body.replace(b"\r\n", b"\n").split(b"\n") if line.startswith(b"data: ")]
    return [msgspec.json.decode(text) for text in texts if text != b"[DONE]"]
