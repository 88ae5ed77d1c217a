"""The exits of what is kept of those who ask: sessions, analyses, and what agents remember of them."""

from contracts.domains import Clearance, Partition
from tests.taint.oracle import markers, markers_of, may_read
from tests.taint.story import TOPICS, Story
from tests.taint.telling import told
from tests.taint.world import Reader

HOMES: dict[str, Partition] = {"sophia": "sophia_business", "artemis": "artemis_technical"}


async def sessions(story: Story, reader: Reader) -> None:
    allowed = markers_of(story.oracle.visible(reader, own=True))
    told(story, await story.ask(reader, "GET", "/v1/sessions"), allowed)
    for session, owner in story.sessions.items():
        told(story, await story.ask(reader, "GET", f"/v1/sessions/{session}"), allowed)
        domain = session.partition("-")[0]
        expected = (
            _questions(story, reader, session) if may_read(reader, HOMES[domain]) and reader.name == owner else ()
        )
        told(story, await story.ask(reader, "GET", f"/v1/sessions/{session}/messages"), allowed, expected)


async def analyses(story: Story, reader: Reader) -> None:
    allowed = markers_of(story.oracle.visible(reader, own=True))
    told(story, await story.ask(reader, "GET", "/v1/analyses"), allowed)
    for analysis, owner in story.analyses.items():
        expected = _questions(story, reader, analysis) if reader.name == owner else ()
        told(story, await story.ask(reader, "GET", f"/v1/analyses/{analysis}"), allowed, expected)


async def memories(story: Story, reader: Reader) -> None:
    """What agents remember of somebody: of what he was told himself, and no more of it than he is cleared for."""
    allowed = markers_of(story.oracle.visible(reader, own=True))
    response = await story.ask(reader, "GET", "/v1/memories", limit="200")
    told(story, response, allowed)
    agents_asked = {one.by for one in story.questions if one.body.get("model") != "echo"}
    if reader.clearance is Clearance.TOP_SECRET and reader.name in agents_asked:
        story.shown += bool(markers(response.body))
        story.showable += 1
    for agent in HOMES:
        body = {"agent": agent, "query": f"The {story.random.choice(TOPICS)} programme"}
        told(story, await story.ask(reader, "POST", "/v1/memories/search", body), allowed)


async def alerts(story: Story, reader: Reader) -> None:
    """Everybody hears of the alerts that he is cleared for, and may acknowledge no other."""
    may = {marker for marker, level in story.alerts.items() if level <= reader.clearance}
    told(story, await story.ask(reader, "GET", "/v1/alerts", limit="200"), may, may)
    for identity in sorted({one.actor for one in story.oracle.records.values() if one.kind == "alert"}):
        told(story, await story.ask(reader, "GET", f"/v1/alerts/{identity}"), may)
        told(story, await story.ask(reader, "POST", f"/v1/alerts/{identity}/acknowledge", {"note": "seen"}), may)


def _questions(story: Story, reader: Reader, actor: str) -> set[bytes]:
    """The questions of a session or analysis, if nothing in it is above the reader."""
    records = [one for one in story.oracle.records.values() if one.actor == actor and one.lane == "log"]
    cleared = all(story.oracle.need(record, reader) <= reader.clearance for record in records)
    return markers_of(records) & set(story.oracle.askers) if cleared else set()
