"""The exits of what domains are asked for: directly, as a list, and one by one."""

import msgspec

from contracts.domains import Clearance
from tests.taint.oracle import markers, markers_of
from tests.taint.story import Story, asked
from tests.taint.telling import told
from tests.taint.world import Reader

KIND = "collaboration"
SHOWN_MAX = 3


async def collaborating(story: Story, reader: Reader) -> None:
    """Somebody asks the CEO's domain himself; the outcome is labelled at least as what it tells."""
    reader = msgspec.structs.replace(reader, role="cross_domain_user")
    _, question, _ = asked(story, reader)
    body = {**question, "domain": "ceo", "request_type": "strategic_alignment", "needs_ceo_context": True}
    response = await story.ask(reader, "POST", "/v1/collaborations", body)
    now = story.world.clock()
    told(story, response, story.oracle.tellable(reader, now))
    if response.status == 201:
        outcome = response.json()
        needed = story.oracle.join(markers(response.body), reader.name, now)
        if Clearance(outcome["label"]) < needed:
            story.findings.append(f"label: an outcome is {outcome['label']} and tells what is {needed.value}")
        story.shown += outcome["status"] == "completed"
        story.showable += 1


async def collaborations(story: Story, reader: Reader) -> None:
    """What was asked, by whoever reads; an administrator sees everybody's."""
    visible = [record for record in story.oracle.visible(reader, own=True) if record.kind == KIND]
    response = await story.ask(reader, "GET", "/v1/collaborations", limit="200")
    allowed = markers_of(visible)
    told(story, response, allowed)
    found = response.json()["collaborations"]
    story.shown += bool(found)
    story.showable += bool(found)
    for one in found:
        if Clearance(one["label"]) > reader.clearance or (reader.role != "admin" and one["by"] != reader.name):
            story.findings.append(f"leak: {one['id']} of {one['by']}, {one['label']}, in a list of {reader}")
    known = sorted({record.actor for record in story.oracle.records.values() if record.kind == KIND})
    for identity in story.random.sample(known, min(SHOWN_MAX, len(known))):
        told(story, await story.ask(reader, "GET", f"/v1/collaborations/{identity}"), allowed)
