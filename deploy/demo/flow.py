"""The demo: the embedded stack, a made-up company and our own source, one question to both domains, and how it was answered."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from msgspec import Struct
from rich.progress import TaskID

from contracts.domains import Clearance
from contracts.http import AskQuestion, EventView, Run, Trace, Turn
from contracts.trace import SpanRecord
from deploy.asking import Asking, path_for, streamed
from deploy.client import Gateway, GatewayError, LocalKey, OnWait, operator
from deploy.folder_import import read_folder
from deploy.importing import post_items, until_searchable
from deploy.items import Defaults, Item, source_item
from deploy.progress import Starting, Steps
from deploy.rendering import EFFECT, progress_line
from deploy.secret import Secret
from deploy.settings import Nats, Postgres, Qdrant, Settings
from deploy.stack import PARTS, started, url_of
from gateway.identity import Principal
from runtime.errors import DiarchyError
from runtime.waterfall import shape

COMPANY = Path(__file__).parent / "company"
QUESTION = "question.txt"
PACKAGES = ("contracts", "runtime", "adapters", "actors", "projections", "gateway", "deploy")
ASKER = Principal(username="demo", roles=("cross_domain_user",), clearance=Clearance.RESTRICTED)
CONCURRENCY = 16
SETTLE_S_MAX = 20.0
SETTLE_PAUSE_S = 0.3
SETTLED_LOOKS = 2  # so many looks in a row that find the same


class Wanted(Struct, frozen=True, kw_only=True):
    """What is demonstrated; `question` empty: the company's own. `scratch` is for what the demo itself writes."""

    question: str
    with_source: bool
    scratch: Path


class Shown(Struct, frozen=True, kw_only=True):
    """What the demo found out, and how long each part took, in seconds."""

    question: str
    turn: Turn
    events: tuple[EventView, ...]
    spans: tuple[SpanRecord, ...]
    whole: bool
    start_s: float
    import_s: float
    documents: int
    answer_s: float
    settle_s: float


def embedded(settings: Settings) -> Settings:
    """The settings with servers of our own, whatever is configured; models stay as configured."""
    return msgspec.structs.replace(
        settings, nats=Nats(), postgres=Postgres(), qdrant=Qdrant(), url="", token=Secret(), ready_fd=-1
    )


@asynccontextmanager
async def demonstrated(settings: Settings, wanted: Wanted) -> AsyncIterator[tuple[Settings, Shown]]:
    """The stack, still running, and what it showed; stopped at the end of the block. Raises DiarchyError."""
    with Steps() as steps:
        began = time.monotonic()
        with Starting(PARTS, steps) as starting:
            async with started(settings, starting) as supervisor:
                starting.done()
                start_s = time.monotonic() - began
                shown = await _show(supervisor.settings, wanted, steps, start_s)
                steps.close()
                yield supervisor.settings, shown


async def _show(settings: Settings, wanted: Wanted, steps: Steps, start_s: float) -> Shown:
    key = LocalKey(settings.jwt_key)
    began = time.monotonic()
    async with Gateway(url_of(settings), key.source(operator(settings))) as gateway:
        documents = await _import(gateway, _items(wanted), steps)
    import_s = time.monotonic() - began
    question = wanted.question or (COMPANY / QUESTION).read_text().strip()
    async with Gateway(url_of(settings), key.source(ASKER)) as gateway:
        began = time.monotonic()
        turn = await _ask(gateway, question, steps)
        answer_s = time.monotonic() - began
        began = time.monotonic()
        step = steps.begin("Collecting the run and its trace")
        events, spans, whole = await _settled(gateway, turn.correlation_id or "", steps, step)
        steps.end(step)
    return Shown(
        question=question,
        turn=turn,
        events=events,
        spans=spans,
        whole=whole,
        start_s=start_s,
        import_s=import_s,
        documents=documents,
        answer_s=answer_s,
        settle_s=time.monotonic() - began,
    )


def _items(wanted: Wanted) -> list[Item]:
    found = read_folder(COMPANY)
    if found.failures:
        raise DiarchyError(f"{found.failures[0].path}: {found.failures[0].reason}")
    items = [item for item in found.items if item.key != QUESTION]
    if wanted.with_source:
        items.append(source_item("diarchy", _own_source(wanted.scratch / "diarchy"), {}, Defaults()))
    return items


def _own_source(target: Path) -> Path:
    """A copy of our packages alone: beside them may stand anything, be it a checkout or an installation."""
    root = Path(__file__).parents[2]
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
        shutil.copytree(root / package, target / package, ignore=ignored, dirs_exist_ok=True)
    project = root / "pyproject.toml"
    if project.exists():
        shutil.copy(project, target)
    return target


async def _import(gateway: Gateway, items: list[Item], steps: Steps) -> int:
    step = steps.begin("Importing the company", len(items))
    imported = await post_items(
        gateway,
        items,
        collection="demo",
        concurrency=CONCURRENCY,
        on_count=lambda done: steps.advance(step, done),
        on_wait=_told(steps),
    )
    if imported.failures:
        raise DiarchyError(f"{imported.failures[0].path} was not imported: {imported.failures[0].reason}")
    steps.end(step)
    step = steps.begin("Making it searchable", len(imported.runs))
    if await until_searchable(gateway, imported.runs, lambda done: steps.advance(step, done)):
        raise DiarchyError("not everything could be found within a minute; see the embedding role's log")
    steps.end(step)
    return len(imported.runs)


async def _ask(gateway: Gateway, question: str, steps: Steps) -> Turn:
    step = steps.begin("Asking Sophia")
    seen = 0

    def progress(view: EventView) -> None:
        nonlocal seen
        seen += 1
        steps.advance(step, seen)
        steps.note(step, progress_line(view))

    # The question itself is internal: so the run shows how the label rises with what is read.
    body = AskQuestion(question=question, confidentiality=Clearance.INTERNAL)
    asking = Asking(path=path_for("sophia", None), question=body)
    turn = await streamed(gateway, asking, progress, _told(steps))
    steps.end(step)
    return turn


async def _settled(
    gateway: Gateway, run: str, steps: Steps, step: TaskID
) -> tuple[tuple[EventView, ...], tuple[SpanRecord, ...], bool]:
    """Events and spans of the run once neither grows any more and the trace is whole: one root, no orphan."""
    end = time.monotonic() + SETTLE_S_MAX
    events: tuple[EventView, ...] = ()
    spans: tuple[SpanRecord, ...] = ()
    looks = 0
    while looks < SETTLED_LOOKS and time.monotonic() < end:
        before = len(events), len(spans)
        try:
            events = (await gateway.get(f"/v1/runs/{run}", Run)).events
            spans = (await gateway.get(f"/v1/traces/{run}", Trace)).spans
        except GatewayError as error:
            if error.status != 404:  # The read model is a moment behind.
                raise
        steps.advance(step, len(spans))
        same = (len(events), len(spans)) == before and shape(spans).is_whole and _projected(spans)
        looks = looks + 1 if same else 0
        await asyncio.sleep(SETTLE_PAUSE_S)
    return events, spans, looks >= SETTLED_LOOKS


def _projected(spans: tuple[SpanRecord, ...]) -> bool:
    return any(span.service == "projector" for span in spans)


def _told(steps: Steps) -> OnWait:
    return lambda seconds, why: steps.say(f"{why}; again in {seconds:g} s")


def count_line(shown: Shown) -> str:
    """What the demo took."""
    effects = sum(event.type == EFFECT for event in shown.events)
    total_s = shown.start_s + shown.import_s + shown.answer_s + shown.settle_s
    return (
        f"{total_s:.1f} s: started in {shown.start_s:.1f} s, {shown.documents} documents imported and searchable in "
        f"{shown.import_s:.1f} s, answered in {shown.answer_s:.1f} s\n"
        f"{len(shown.events) - effects} events, {effects} effects, {len(shown.spans)} spans; one root, no orphans"
        + ("" if shown.whole else ": NOT so in this trace")
    )
