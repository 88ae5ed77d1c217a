"""The exits: every way in which somebody can be told something, and what he may be told there."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from contracts.curating import SummaryDomain
from contracts.domains import Clearance, Domain
from tests.taint.approving import approvals
from tests.taint.collaborating import collaborating, collaborations
from tests.taint.keeping import alerts, analyses, memories, sessions
from tests.taint.oracle import markers, markers_of
from tests.taint.story import PARTITIONS, ROOT, TOPICS, Question, Story, asked, content
from tests.taint.telling import pieced, shown_records, streamed, told, unnamed
from tests.taint.world import STREAM, Reader

LIVE = {"accept": STREAM}
SUMMARISED: dict[SummaryDomain, set[str]] = {
    "business": {"strategic_planning", "risk_management"},
    "technical": {"strategic_planning", "risk_management"},
    "market": {"market_intelligence"},
}
"""Which of the story's categories matter to whom."""


# Items ---------------------------------------------------------------------------------------------------------------


async def search(story: Story, reader: Reader) -> None:
    wanted = story.random.sample(PARTITIONS, story.random.randint(1, len(PARTITIONS)))
    body = {"query": f"The {story.random.choice(TOPICS)} programme", "limit": 50, "partitions": wanted}
    await _warm(story, "POST", "/v1/knowledge/search", body)
    response = await story.ask(reader, "POST", "/v1/knowledge/search", body)
    items = story.oracle.items_for(reader, story.world.clock())
    may = {item.marker for item in items if item.partition in wanted}
    told(story, response, may, may if response.status == 200 and len(may) <= 20 else ())


async def listing(story: Story, reader: Reader) -> None:
    response = await story.ask(reader, "GET", "/v1/knowledge?limit=200")
    may = {item.marker for item in story.oracle.items_for(reader, story.world.clock())}
    told(story, response, may, may)


async def item(story: Story, reader: Reader) -> None:
    may = {item.id: item.marker for item in story.oracle.items_for(reader, story.world.clock())}
    for identity in list(story.oracle.items):
        response = await story.ask(reader, "GET", f"/v1/knowledge/{identity}")
        told(story, response, {may[identity]} if identity in may else (), {may[identity]} if identity in may else ())
        if identity not in may and response.status != 404:
            story.findings.append(f"leak: {identity} answers {response.status} {response.body!r}")


async def versions(story: Story, reader: Reader) -> None:
    """What items said before, as a list and one by one."""
    for one in list(story.oracle.items.values()):
        may = story.oracle.versions_for(reader, one, story.world.clock())
        response = await story.ask(reader, "GET", f"/v1/knowledge/{one.id}/versions")
        told(story, response, may, may)
        if not may and response.status != 404:
            story.findings.append(f"leak: the versions of {one.id} answer {response.status} {response.body!r}")
        number = story.random.randint(1, len(one.versions))
        told(story, await story.ask(reader, "GET", f"/v1/knowledge/{one.id}/versions/{number}"), may)


async def summary(story: Story, reader: Reader) -> None:
    """What matters strategically, labelled as what it quotes, also if somebody else asked for it before."""
    domain = story.random.choice(list(SUMMARISED))
    path = f"/v1/knowledge/summary?domain={domain}&horizon=year"
    await _warm(story, "GET", path, None)
    response = await story.ask(reader, "GET", path)
    items = story.oracle.items_for(reader, story.world.clock())
    levels = {item.marker: item.level for item in items}
    told(story, response, levels)
    wanted = SUMMARISED[domain]
    relevant = {one.marker for one in items if one.category in wanted}
    story.shown += bool(relevant & markers(response.body))
    story.showable += bool(relevant)
    quoted = [levels[marker] for marker in markers(response.body) if marker in levels]
    if quoted and Clearance(msgspec.json.decode(response.body)["label"]) < max(quoted):
        story.findings.append(f"label: {response.body!r} quotes what is {max(quoted).value}")


async def change(story: Story, reader: Reader) -> None:
    """Who tries to change what he may not see, or to have it analysed, learns nothing, and changes nothing."""
    may = {item.id for item in story.oracle.items_for(reader, story.world.clock())}
    hidden = [one for one in story.oracle.items.values() if one.id not in may and one.live(story.world.clock())]
    if not hidden or reader.role not in {"admin", "cross_domain_user"}:
        return
    identity = story.random.choice(hidden).id
    before = len(story.oracle.records)
    body = {"title": "x", "content": "y", "category": "risk_management", "confidentiality": "public"}
    lower = {"confidentiality": "public", "reason": "curious"}
    for method, path, sent in (("PUT", "", body), ("DELETE", "", None), ("POST", "/declassify", lower)):
        response = await story.ask(reader, method, f"/v1/knowledge/{identity}{path}", sent)
        told(story, response, ())
        denied = response.status == 403 and path and reader.role != "admin"
        if (response.status != 404 and not denied) or len(story.oracle.records) != before:
            story.findings.append(f"leak: {method} {identity} answers {response.status} {response.body!r}")
    over = {"question": "What is wrong with it?", "sources": [identity]}
    response = await story.ask(reader, "POST", "/v1/artemis/ask", over)
    told(story, response, ())
    if f"there is no knowledge item {identity}".encode() not in response.body:
        story.findings.append(f"leak: handing over {identity} answers {response.status} {response.body!r}")


async def rewritten(story: Story, reader: Reader) -> None:
    """What somebody wrote, sent again with the same key or another, cleared otherwise since: the item as it may be read now.

    Of what was deleted only with the same: an import that is made again brings it back, as it should.
    """
    for identity, first in story.writes.items():
        reader = Reader(first.by, first.role, reader.clearance)
        one = story.oracle.items[identity]
        may = story.oracle.versions_for(reader, one, story.world.clock())
        same = story.random.random() < 0.5 or first.path == "/v1/knowledge" or one.deleted
        key = first.key if same else f"{first.key}-{story.marker()}"
        response = await story.ask(reader, "POST", first.path, first.body, headers={"idempotency-key": key})
        mine = one.level <= reader.clearance
        told(story, response, may | (markers(msgspec.json.encode(first.body)) if mine else set()))


async def lowering(story: Story, reader: Reader) -> None:
    """Only a permission lowers an item, and only as an act of its own."""
    items = [one for one in story.oracle.items_for(reader, story.world.clock()) if one.level > Clearance.PUBLIC]
    if not items or reader.role not in {"sophia_user", "artemis_user", "read_only", "cross_domain_user"}:
        return
    one = story.random.choice(items)
    body = {**content(one), "confidentiality": "public"}
    update = await story.ask(reader, "PUT", f"/v1/knowledge/{one.id}", body)
    lower = {"confidentiality": "public", "reason": "curious"}
    act = await story.ask(reader, "POST", f"/v1/knowledge/{one.id}/declassify", lower)
    if update.status != (409 if reader.role == "cross_domain_user" else 403) or act.status != 403:
        story.findings.append(f"lowered: {one.id} by {reader}: {update} {act}")


# Answers -------------------------------------------------------------------------------------------------------------


async def answer(story: Story, reader: Reader) -> None:
    await _answered(story, reader, {})


async def answer_stream(story: Story, reader: Reader) -> None:
    await _answered(story, reader, LIVE)


async def collaboration(story: Story, reader: Reader) -> None:
    """An answer that rests on what both other domains replied."""
    await _answered(story, msgspec.structs.replace(reader, role="cross_domain_user"), {}, collaborate=True)


async def _answered(story: Story, reader: Reader, headers: dict[str, str], **more: object) -> None:
    if reader.role == "read_only":
        reader = msgspec.structs.replace(reader, role="cross_domain_user")
    path, body, _ = asked(story, reader)
    if story.random.random() < 0.5:
        same = re.sub("zq[0-9a-f]+z ", "", str(body["question"]))
        await story.ask(ROOT, "POST", "/v1/sophia/ask", {"question": same})
    response = await story.ask(reader, "POST", path, {**body, **more}, headers=headers)
    now = story.world.clock()
    told(story, response, story.oracle.tellable(reader, now))
    if response.status == 403:
        story.findings.append(f"leak: a fresh answer is withheld: {response.body!r}")
    turns = [data for name, data in streamed(response.body) if name == "answer"] if headers else []
    turns += [response.json()] if response.status == 200 and not headers else []
    for turn in turns:
        _labelled(story, reader, turn)
        live = {one.marker for one in story.oracle.items_for(reader, now)}
        found = markers(msgspec.json.encode(turn)) & live
        if len(live) > 4:  # One of three topics is asked for, in some of the partitions.
            story.shown += bool(found)
            story.showable += 1
    if headers:
        events = [data for name, data in streamed(response.body) if name == "progress"]
        shown_records(story, reader, response, events, story.oracle.visible(reader))


def _labelled(story: Story, reader: Reader, turn: dict[str, Any]) -> None:
    """An answer's label is at least the join of what it tells, and so is each evidence's."""
    for part in (turn["answer"], *turn["answer"]["evidence"]):
        needed = story.oracle.join(markers(msgspec.json.encode(part)), reader.name, story.world.clock())
        if Clearance(part["label"]) < needed:
            story.findings.append(f"label: {part['label']} on what is {needed.value}: {str(part)[:1_000]}")


async def repeat(story: Story, reader: Reader) -> None:
    await _repeated(story, reader, {})


async def repeat_stream(story: Story, reader: Reader) -> None:
    await _repeated(story, reader, LIVE)


async def _repeated(story: Story, reader: Reader, headers: dict[str, str]) -> None:
    """The same question with the same key, by who put it, cleared otherwise since; or by somebody else: then it is another."""
    if not story.questions:
        return
    first: Question = story.random.choice(story.questions)
    reader = Reader(first.by, first.role, reader.clearance)
    response = await story.ask(
        reader, "POST", first.path, first.body, headers={"idempotency-key": first.key, **headers}
    )
    allowed = story.oracle.visible(reader, own=True)
    told(story, response, markers_of(allowed) | markers(msgspec.json.encode(first.body)))
    shown_records(
        story, reader, response, [data for name, data in streamed(response.body) if name == "progress"], allowed
    )
    if reader.clearance is Clearance.TOP_SECRET:
        story.shown += response.status == 200
        story.showable += 1


async def chat(story: Story, reader: Reader) -> None:
    await _chatted(story, reader, stream=False)


async def chat_stream(story: Story, reader: Reader) -> None:
    await _chatted(story, reader, stream=True)


async def _chatted(story: Story, reader: Reader, *, stream: bool) -> None:
    """In OpenAI's form: a question of a session, or a model as it is."""
    if reader.role == "read_only":
        reader = msgspec.structs.replace(reader, role="cross_domain_user")
    path, question, _ = asked(story, reader)
    parts = path.split("/")
    metadata = {key: value for key, value in question.items() if key == "confidentiality"}
    model = parts[2] if parts[3] == "ask" else parts[3].partition("-")[0]
    if parts[2] == "sessions":
        metadata["session"] = parts[3]
    elif story.random.random() < 0.2:
        model = "echo"
    body: dict[str, object] = {
        "model": model,
        "messages": [{"role": "user", "content": question["question"]}],
        "stream": stream,
        "metadata": metadata,
    }
    key = f"k{story.random.getrandbits(40):x}"
    path = "/v1/chat/completions"
    response = await story.ask(reader, "POST", path, body, headers={"idempotency-key": key})
    if response.status != 200:
        told(story, response, story.oracle.tellable(reader, story.world.clock()))
        if response.status == 403:
            story.findings.append(f"leak: a fresh answer is withheld: {response.body!r}")
        return
    chunks = unnamed(response.body) if stream else [response.json()]
    told(story, response, story.oracle.tellable(reader, story.world.clock()))
    label = Clearance(chunks[-1]["diarchy"]["label"])
    needed = story.oracle.join(markers(response.body + pieced(response.body)), reader.name, story.world.clock())
    if label < needed:
        story.findings.append(f"label: a chat is {label.value} and tells what is {needed.value}")
    live = {one.marker for one in story.oracle.items_for(reader, story.world.clock())}
    if model == "echo" or len(live) > 4:
        story.shown += bool((live | set(story.oracle.askers)) & markers(response.body + pieced(response.body)))
        story.showable += model != "echo" or bool(markers(str(question).encode()))
    first = Question(reader.name, reader.role, path, body, key)
    story.questions.append(first)
    story.completions[chunks[-1]["id"]] = first
    if "session" in chunks[-1]["diarchy"]:
        story.sessions[chunks[-1]["diarchy"]["session"]] = reader.name


async def completion(story: Story, reader: Reader) -> None:
    """An answer in OpenAI's form once more, for who asked for it, cleared otherwise since, and for others."""
    for identity, first in story.completions.items():
        name = first.by if story.random.random() < 0.7 else reader.name
        asker = Reader(name, first.role if name == first.by else reader.role, reader.clearance)
        response = await story.ask(asker, "GET", f"/v1/chat/completions/{identity}")
        told(story, response, markers_of(story.oracle.visible(asker, own=True)))
        if name == first.by and asker.clearance is Clearance.TOP_SECRET:
            story.shown += response.status == 200
            story.showable += 1


# What was recorded ---------------------------------------------------------------------------------------------------


async def events(story: Story, reader: Reader) -> None:
    await _events(story, reader, "log")


async def journals(story: Story, reader: Reader) -> None:
    await _events(story, reader, "run")


async def _events(story: Story, reader: Reader, lane: str) -> None:
    allowed = [record for record in story.oracle.visible(reader) if record.lane == lane]
    after: str | None = story.world.beginning
    seen: set[bytes] = set()
    while after is not None:
        response = await story.ask(reader, "GET", "/v1/events", limit="200", lane=lane, after=after)
        told(story, response, markers_of(allowed))
        shown_records(story, reader, response, response.json()["events"], allowed)
        seen |= markers(response.body)
        after = response.json()["next"]
    certain = markers_of(story.oracle.certain(reader, allowed))
    story.shown += len(certain & seen)
    story.showable += len(certain)


async def live(story: Story, reader: Reader) -> None:
    response = await story.ask(reader, "GET", "/v1/events", headers=LIVE, limit="200", after=story.world.beginning)
    allowed = [record for record in story.oracle.visible(reader) if record.lane == "log"]
    told(story, response, markers_of(allowed), markers_of(story.oracle.certain(reader, allowed)))
    shown_records(story, reader, response, [data for _, data in streamed(response.body)], allowed)


async def run(story: Story, reader: Reader) -> None:
    correlation = story.random.choice([record.correlation for record in story.oracle.records.values()])
    response = await story.ask(reader, "GET", f"/v1/runs/{correlation}")
    allowed = [record for record in story.oracle.visible(reader) if record.correlation == correlation]
    told(story, response, ())
    shown = response.json()["events"] if response.status == 200 else []
    shown_records(story, reader, response, shown, allowed)
    certain = {record.place for record in story.oracle.certain(reader, allowed)}
    story.shown += len(certain & {(Domain(one["domain"]), one["sequence"]) for one in shown})
    story.showable += len(certain)


async def trace(story: Story, reader: Reader) -> None:
    """A trace is all or nothing."""
    correlation = story.random.choice([record.correlation for record in story.oracle.records.values()])
    response = await story.ask(reader, "GET", f"/v1/traces/{correlation}")
    whole = [record for record in story.oracle.records.values() if record.correlation == correlation]
    allowed = all(story.oracle.need(record, reader) <= reader.clearance for record in whole)
    told(story, response, ())
    if response.status == 200 and not allowed:
        story.findings.append(f"leak: the trace of {correlation}")
    sure = story.oracle.certain(reader, story.oracle.visible(reader))
    mine = {record.place for record in sure} >= {record.place for record in whole}
    story.shown += mine and response.status == 200
    story.showable += mine


async def _warm(story: Story, method: str, path: str, body: object) -> None:
    """Somebody who may see everything asks the same first."""
    if story.random.random() < 0.5:
        await story.ask(ROOT, method, path, body)


Exit = Callable[[Story, Reader], Awaitable[None]]
EXITS: dict[str, Exit] = {
    one.__name__: one
    for one in (
        search,
        listing,
        item,
        versions,
        summary,
        change,
        lowering,
        rewritten,
        answer,
        answer_stream,
        collaboration,
        collaborating,
        collaborations,
        approvals,
        repeat,
        repeat_stream,
        chat,
        chat_stream,
        completion,
        events,
        journals,
        live,
        run,
        trace,
        sessions,
        analyses,
        memories,
        alerts,
    )
}
