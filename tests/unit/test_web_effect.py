"""Research on the web as an effect: journaled, kept as blobs, bounded; a question that is too confidential never leaves."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from adapters.memory_web import MemoryWeb
from contracts.domains import Clearance
from contracts.web import WebFindings, WebLink, WebPage, web_id
from runtime.actor import Actor, Recorded
from runtime.effects import Effects
from runtime.errors import OutcomeError
from runtime.researching import EXCERPT_CHARS_MAX, NO_RESEARCH, Research, excerpt
from tests.kernel_world import Add, Added, Note, Sum, World, decide, evolve

QUERY = "market for hosted telephony"


def _page(name: str, text: str) -> WebPage:
    return WebPage(url=f"https://pages.test/{name}", title=name, text=text, media_type="text/html")


PAGES = [
    _page("report", "The market for hosted telephony grew.\n\nRoses want sun."),
    _page("mirror", "The market for hosted telephony grew.\n\nRoses want sun."),
    _page("empty", ""),
    _page("rival", "Norvik sells hosted telephony."),
]


class Gone(MemoryWeb):
    """Names a page that is not there."""

    async def find(self, query: str, *, limit: int) -> list[WebLink]:
        found = await super().find(query, limit=limit)
        return [WebLink(url="https://pages.test/gone", title="Gone"), *found]


class Hanging(MemoryWeb):
    """Never answers."""

    async def find(self, query: str, *, limit: int) -> list[WebLink]:  # noqa: ARG002 - the port's
        await asyncio.Event().wait()
        raise AssertionError


def researched(
    setup: Research, *, label: Clearance = Clearance.PUBLIC, permitted: bool = True
) -> tuple[WebFindings | str, World, Clearance]:
    """What a reaction was given, or why nothing; and the label of what it told of it."""
    given: list[WebFindings | str] = []

    async def react(recorded: Recorded[Added], effects: Effects) -> None:  # noqa: ARG001 - the form of all
        if permitted:
            effects.grant(("sophia:read",))
        try:
            given.append(await effects.research(f"  {QUERY}\n", sources_max=3))
        except OutcomeError as error:
            given.append(str(error))
        await effects.tell(Note(text="done"))

    world = World(Actor("counter", Sum(), decide, evolve, react))
    world.outside = msgspec.structs.replace(world.outside, research=setup)

    async def body() -> Clearance:
        async with world:
            await world.send(Add(amount=1), label=label)
            return (await world.events(at_least=2))[1].record.envelope.label

    told = run(body())
    return given[0], world, told


def run(body: Coroutine[Any, Any, Clearance]) -> Clearance:
    return asyncio.run(asyncio.wait_for(body, 20))


def setup(make: Callable[[list[WebPage]], MemoryWeb] = MemoryWeb, **changes: Any) -> Research:
    return Research(web=make(PAGES), **changes)


def test_pages_are_read_once_each_kept_whole_and_quoted_where_they_speak_to_the_question() -> None:
    found, world, told = researched(setup(Gone))
    assert isinstance(found, WebFindings)
    assert found.query == QUERY
    assert [(one.url, one.rank) for one in found.sources] == [
        ("https://pages.test/report", 2),
        ("https://pages.test/rival", 4),
    ]
    assert [(one.url, one.reason) for one in found.unread] == [
        ("https://pages.test/gone", "https://pages.test/gone answers 404")
    ]
    report = found.sources[0]
    assert report.id == web_id("https://pages.test/report")
    assert report.excerpt == "The market for hosted telephony grew."
    assert asyncio.run(world.outside.blobs.get(report.content)) == PAGES[0].text.encode()
    assert told is Clearance.PUBLIC


def test_a_question_more_confidential_than_the_limit_is_not_sent_and_says_so() -> None:
    web = Hanging(PAGES)
    found, _, told = researched(Research(web=web, label_max=Clearance.INTERNAL), label=Clearance.CONFIDENTIAL)
    assert isinstance(found, WebFindings)
    assert found.sources == ()
    assert "confidential" in found.withheld
    assert "web.label_max" in found.withheld
    assert told is Clearance.CONFIDENTIAL


def test_an_asker_without_the_permission_has_none_done() -> None:
    found, _, _ = researched(setup(), permitted=False)
    assert found == "research on the web needs the permission sophia:read, which the asker lacks"


def test_where_none_is_configured_it_says_so() -> None:
    found, _, _ = researched(NO_RESEARCH)
    assert found == WebFindings(query=QUERY)


def test_an_engine_that_is_away_or_hangs_keeps_nobody_waiting() -> None:
    away = MemoryWeb(PAGES)
    away.away = True
    assert researched(Research(web=away))[0] == "there is no web research now: memory is unavailable: it is away"
    hung = researched(setup(Hanging, s_max=0.05))[0]
    assert hung == "there is no web research now: it took longer than 0.05 s"


@given(st.text(max_size=3_000), st.text(max_size=60))
def test_an_excerpt_is_made_of_the_text_and_no_longer_than_may_be(text: str, query: str) -> None:
    found = excerpt(text, query)
    assert len(found) <= EXCERPT_CHARS_MAX
    assert all(part.removesuffix("…").strip() in text for part in found.split("\n\n"))
