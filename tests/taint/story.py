"""What happens in a world: items come, change, rise, are lowered, end; people ask, at whatever clearance they have then."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from random import Random

from msgspec import Struct

from contracts.domains import Clearance, Partition
from contracts.users import Role
from tests.taint.oracle import Item, Oracle, may_read
from tests.taint.world import Reader, Response, World

ROOT = Reader("root", "admin", Clearance.TOP_SECRET)
NAMES = ("ann", "ben", "cat")
ROLES: dict[str, tuple[Role, ...]] = {
    "ann": ("cross_domain_user",),
    "ben": ("sophia_user", "cross_domain_user", "read_only"),
    "cat": ("artemis_user", "admin", "cross_domain_user"),
}
LEVELS = tuple(Clearance)
TOPICS = ("harbour", "airport", "railway")
PARTITIONS: tuple[Partition, ...] = (
    "ceo_knowledge",
    "shared_knowledge",
    "sophia_business",
    "artemis_technical",
    "research_data",
)
CATEGORIES = ("risk_management", "strategic_planning", "market_intelligence")
CURATORS = {"admin", "cross_domain_user"}
TECHNICAL = " Which software would that need?"


class Question(Struct, frozen=True):
    """A question somebody put with a key, so that it can be put again."""

    by: str
    role: Role
    path: str
    body: dict[str, object]
    key: str


class Story:
    """A world, what is known of it, and what was found wrong. Each step draws from a stream of its own."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.oracle = Oracle()
        self.random = Random(0)  # noqa: S311 - a test's choices
        self.history: list[str] = []
        self.findings: list[str] = []
        self.questions: list[Question] = []
        self.sessions: dict[str, str] = {}
        self.alerts: dict[bytes, Clearance] = {}
        self.analyses: dict[str, str] = {}
        self.completions: dict[str, Question] = {}
        self.imported: dict[str, Item] = {}
        self.writes: dict[str, Question] = {}
        self.approvals: set[str] = set()
        self.shown = 0
        self.showable = 0

    def marker(self) -> str:
        return f"zq{self.random.getrandbits(40):010x}z"

    def level(self, at_least: Clearance = Clearance.PUBLIC, at_most: Clearance = Clearance.TOP_SECRET) -> Clearance:
        return self.random.choice([level for level in LEVELS if at_least <= level <= at_most])

    def reader(self) -> Reader:
        name = self.random.choice(NAMES)
        return Reader(name, self.random.choice(ROLES[name]), self.level())

    def item(self) -> Item | None:
        """One that is there; often one that its author may send again."""
        live = [item for item in self.oracle.items.values() if item.live(self.world.clock())]
        contributed = [item for item in live if item.id in self.writes]
        if contributed and self.random.random() < 0.4:
            return self.random.choice(contributed)
        return self.random.choice(live) if live else None

    async def ask(self, reader: Reader, method: str, path: str, body: object = None, **named: object) -> Response:
        """A request; what it led to is observed."""
        response = await self.world.ask(reader, method, path, body, **named)  # type: ignore[arg-type]
        self.observe()
        if response.status >= 500 or (b"event: problem" in response.body and b'"status":5' in response.body):
            self.findings.append(f"broken: {method} {path} {body} answers {response.status} {response.body[-2_000:]!r}")
        return response

    def observe(self) -> None:
        now = self.world.clock()
        self.findings += self.oracle.observe(self.world.broker, now)
        self.findings += self.oracle.heard(self.world.written, now)

    async def done(self, reader: Reader, method: str, path: str, body: object = None, **named: object) -> Response:
        """A request that must succeed, and whose outcome the oracle is told of before anything is observed."""
        response = await self.world.ask(reader, method, path, body, **named)  # type: ignore[arg-type]
        assert response.status < 300, (method, path, body, response)
        return response


def _fresh(story: Story) -> Item:
    random, now = story.random, story.world.clock()
    return Item(
        id="",
        marker=story.marker().encode(),
        level=story.level(),
        partition=random.choice(PARTITIONS),
        priority=random.randint(1, 10),
        category=random.choice(CATEGORIES),
        expires=now + timedelta(minutes=random.randint(1, 40)) if random.random() < 0.3 else None,
        versions=[],
    )


async def add(story: Story) -> str:
    item = _fresh(story)
    response = await story.done(ROOT, "POST", "/v1/knowledge", content(item))
    item.id = response.json()["id"]
    item.versions.append((item.marker, item.level, item.partition))
    story.oracle.put(item)
    story.observe()
    return f"{item.marker.decode()} is added to {item.partition} as {item.level.value}, until {item.expires}"


async def update(story: Story) -> str:
    """Something new at the same level or a higher one, perhaps in another partition."""
    item = story.item()
    if item is None:
        return "nothing to update"
    item.marker = story.marker().encode()
    item.level = story.level(at_least=item.level) if story.random.random() < 0.5 else item.level
    if story.random.random() < 0.3:
        item.partition = story.random.choice(PARTITIONS)
    return await _replaced(story, item)


async def lift(story: Story) -> str:
    """The same words at a higher level."""
    item = story.item()
    if item is None or item.level is Clearance.TOP_SECRET:
        return "nothing to lift"
    item.level = story.level(at_least=LEVELS[item.level.rank + 1])
    return await _replaced(story, item)


async def _replaced(story: Story, item: Item) -> str:
    await story.done(ROOT, "PUT", f"/v1/knowledge/{item.id}", content(item))
    item.versions.append((item.marker, item.level, item.partition))
    story.oracle.put(item)
    story.observe()
    return f"{item.id} says {item.marker.decode()} as {item.level.value} in {item.partition}"


async def follow(story: Story) -> str:
    """An item is what its source is now, but never lower than it was; also one that had ended."""
    key = f"{story.random.randrange(3)}.md"
    before = story.imported.get(key)
    said = _fresh(story)
    response = await story.done(
        ROOT, "POST", "/v1/knowledge/imports", {"collection": "handbook", "key": key, "knowledge": content(said)}
    )
    if before is not None:
        said.level, said.versions = max(said.level, before.level), before.versions
    said.id = response.json()["id"]
    said.versions.append((said.marker, said.level, said.partition))
    story.imported[key] = said
    story.oracle.put(said)
    story.observe()
    return f"{said.id} follows its source: {said.marker.decode()} as {said.level.value}, until {said.expires}"


async def contribute(story: Story) -> str:
    """Somebody adds an item of his own or lets one follow its source, and may send the same again later."""
    reader = story.reader()
    said = _fresh(story)
    if reader.role not in CURATORS or said.level > reader.clearance or not may_read(reader, said.partition):
        return "nobody contributes"
    path, body = "/v1/knowledge", content(said)
    number = len(story.writes)
    if story.random.random() < 0.7:
        path, body = "/v1/knowledge/imports", {"collection": "own", "key": f"{number}.md", "knowledge": content(said)}
    key = f"k{story.random.getrandbits(40):x}"
    response = await story.done(reader, "POST", path, body, headers={"idempotency-key": key})
    said.id = response.json()["id"]
    said.versions.append((said.marker, said.level, said.partition))
    story.oracle.put(said)
    story.observe()
    story.writes[said.id] = Question(reader.name, reader.role, path, body, key)
    return f"{reader} contributes {said.id}: {said.marker.decode()} as {said.level.value}"


async def declassify(story: Story) -> str:
    item = story.item()
    if item is None or item.level is Clearance.PUBLIC:
        return "nothing to declassify"
    item.level = story.level(at_most=LEVELS[item.level.rank - 1])
    body = {"confidentiality": item.level.value, "reason": "announced"}
    await story.done(ROOT, "POST", f"/v1/knowledge/{item.id}/declassify", body)
    item.versions.append((item.marker, item.level, item.partition))
    story.observe()
    return f"{item.id} with {item.marker.decode()} is lowered to {item.level.value}"


async def delete(story: Story) -> str:
    item = story.item()
    if item is None:
        return "nothing to delete"
    await story.done(ROOT, "DELETE", f"/v1/knowledge/{item.id}")
    item.deleted = True
    story.observe()
    return f"{item.id} with {item.marker.decode()} is deleted"


async def wait(story: Story) -> str:
    minutes = story.random.randint(1, 25)
    late = story.random.random() < 0.5
    await story.world.advance(timedelta(minutes=minutes), fire=not late)
    story.observe()
    return f"{minutes} minutes pass{', timers are late' if late else ''}"


async def fact(story: Story) -> str:
    domain, kind = story.random.choice(
        (("sophia", "business_insight.v1"), ("artemis", "code_analysis.v1"), ("ceo", "strategic_alert.v1"))
    )
    marker, topic, level = story.marker(), story.random.choice(TOPICS), story.level()
    body: dict[str, object] = {
        "type": kind,
        "title": f"The {topic} programme {marker}",
        "text": f"The {topic} programme {marker} has grown by a third this year.",
        "origin": "monitor",
        "confidentiality": level.value,
    }
    if domain == "ceo":
        body["alert_priority"] = story.random.randint(1, 10)
        story.alerts[marker.encode()] = level
    story.oracle.said[marker.encode()] = level
    await story.done(ROOT, "POST", f"/v1/events/{domain}/signal/s{story.random.getrandbits(40):x}", body)
    story.observe()
    return f"{domain} learns the fact {marker} as {level.value}"


async def question(story: Story) -> str:
    """Somebody asks, in a session of his own or a new one, and may put the question again later."""
    reader = story.reader()
    path, body, level = asked(story, reader)
    key = f"k{story.random.getrandbits(40):x}"
    response = await story.ask(reader, "POST", path, body, headers={"idempotency-key": key})
    if response.status == 200:
        story.questions.append(Question(reader.name, reader.role, path, body, key))
        story.sessions[response.json()["session"]] = reader.name
    return f"{reader} asks {path} {body['question']!r} as {level.value}: {response.status}"


async def analysis(story: Story) -> str:
    reader = Reader("ann", "cross_domain_user", story.level())
    _, body, level = asked(story, reader)
    wanted = {"subject": str(body["question"])[:200], "question": body["question"]}
    if "confidentiality" in body:
        wanted["confidentiality"] = body["confidentiality"]
    response = await story.ask(reader, "POST", "/v1/analyses", wanted)
    if response.status == 201:
        story.analyses[response.json()["id"]] = reader.name
    return f"{reader} has analysed {body['question']!r} as {level.value}: {response.status}"


def asked(story: Story, reader: Reader) -> tuple[str, dict[str, object], Clearance]:
    """Path, body and label of a question; the oracle knows of it. A question in a session is at least as the asker says."""
    random = story.random
    marker, topic = f"{story.marker()} ", random.choice(TOPICS)
    if random.random() < 0.4:
        marker = ""  # What others have asked in the same words may be answered from a cache.
    body: dict[str, object] = {"question": f"How is the {topic} programme {marker}doing?"}
    if random.random() < 0.4:
        body["question"] = f"{body['question']}{TECHNICAL}"
    level = reader.clearance
    if random.random() < 0.6:
        level = story.level(at_most=reader.clearance)
        body["confidentiality"] = level.value
    if marker:
        story.oracle.asked(marker.strip().encode(), reader.name, level)
    domain = "artemis" if reader.role == "artemis_user" or random.random() < 0.3 else "sophia"
    if reader.role == "sophia_user":
        domain = "sophia"
    own = [session for session, owner in story.sessions.items() if owner == reader.name and session.startswith(domain)]
    if own and random.random() < 0.5:
        return f"/v1/sessions/{random.choice(own)}/messages", body, level
    return f"/v1/{domain}/ask", body, level


def content(item: Item) -> dict[str, object]:
    """What the item says, as it is sent. Whatever sentence of it is quoted tells its marker."""
    topic, marker = TOPICS[int(item.marker[2:4], 16) % len(TOPICS)], item.marker.decode()
    return {
        "title": f"The {topic} programme {marker}",
        "content": f"The {topic} programme {marker} needs more budget than planned. "
        f"We should review the software of the {topic} programme {marker} this quarter.",
        "category": item.category,
        "confidentiality": item.level.value,
        "strategic_priority": item.priority,
        "partition": item.partition,
        **({"expires": item.expires.isoformat()} if item.expires else {}),
    }


Act = Callable[[Story], Awaitable[str]]
ACTS: tuple[tuple[Act, int], ...] = (
    (add, 6),
    (update, 4),
    (lift, 5),
    (follow, 4),
    (contribute, 4),
    (declassify, 4),
    (delete, 2),
    (wait, 3),
    (fact, 2),
    (question, 6),
    (analysis, 1),
)
"""What may happen, and how often in comparison."""
