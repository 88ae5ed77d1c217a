"""The exit of what people are to agree to."""

from contracts.domains import Clearance
from tests.taint.story import NAMES, ROOT, Story, asked, lift
from tests.taint.telling import told
from tests.taint.world import Reader


async def approvals(story: Story, reader: Reader) -> None:
    """What people are to agree to: exactly what a tool is given, and so all that was read for it."""
    if not story.approvals or story.random.random() < 0.5:
        await _asked_with_approval(story)
    if story.random.random() < 0.5:
        story.history.append(f"meanwhile {await lift(story)}")
    listed = await story.ask(reader, "GET", "/v1/approvals?which=all&limit=200")
    told(story, listed, ())
    seen = {one["id"] for one in listed.json()["approvals"]}
    requests = [one for one in story.oracle.records.values() if one.kind == "approval" and one.actor in story.approvals]
    first = {one.actor: one for one in reversed(requests)}
    may = [one for one in first.values() if story.oracle.need(one, reader) <= reader.clearance]
    sure = {one.actor for one in story.oracle.certain(reader, may)}
    for one in first.values():
        response = await story.ask(reader, "GET", f"/v1/approvals/{one.actor}")
        told(story, response, one.markers if one in may else ())
        shown = response.status == 200
        if one not in may and (one.actor in seen or response.status != 404):
            story.findings.append(f"leak: the approval {one.actor} is there: {response.body!r}")
        if shown and Clearance(response.json()["label"]) < story.oracle.need(one, reader):
            story.findings.append(f"label: the approval {one.actor} is shown as {response.json()['label']}")
        story.shown += one.actor in sure & seen and shown
        story.showable += one.actor in sure
    if story.random.random() < 0.3:
        await _decided(story)


async def _asked_with_approval(story: Story) -> None:
    """Somebody asks a question of which one tool waits for whoever is cleared."""
    asker = Reader(story.random.choice(NAMES), "cross_domain_user", story.level())
    _, body, _ = asked(story, asker)
    roles = ("admin", "sophia_user", "artemis_user", "cross_domain_user", "read_only")
    rule = {"tools": ["business_insight"], "roles": roles, "expires_s": 3_600}
    body = {**body, "team": "business_insight", "collaborate": False, "approval": rule}
    with story.world.parking():
        response = await story.ask(asker, "POST", "/v1/sophia/ask", body, headers={"prefer": "wait=0"})
    if response.status == 202:
        run = response.json()["correlation_id"]
        waits = (one for one in story.oracle.records.values() if one.correlation == run and one.kind == "approval")
        story.approvals |= {one.actor for one in waits}


async def _decided(story: Story) -> None:
    """What waits goes on, or does not run."""
    waiting = (await story.ask(ROOT, "GET", "/v1/approvals")).json()["approvals"]
    for one in waiting:
        path, body = f"/v1/approvals/{one['id']}", {"digest": one["digest"]}
        if story.random.random() < 0.5:
            await story.ask(ROOT, "POST", f"{path}/grant", body)
        else:
            await story.ask(ROOT, "POST", f"{path}/deny", {"reason": "not now"})
