"""What a terminal is shown: trees by causation, tables that fit, and nothing that steers the terminal."""

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.console import Console, RenderableType

from contracts.collaboration import Missing
from contracts.conversation import Contribution
from contracts.domains import Clearance, Domain
from contracts.http import AnswerReply, EventView, Turn
from contracts.ids import derived_id, new_id
from contracts.model import Citation, Evidence
from contracts.span import Span
from deploy import rendering
from deploy.asking import noted
from deploy.progress import Steps
from deploy.rendering import EFFECT, Node, forest

START = datetime(2026, 1, 31, 12, tzinfo=UTC)
RUN = new_id()


def event(
    type_name: str, *, cause: str, reaction: str | None = None, domain: Domain = Domain.SOPHIA, **more: object
) -> EventView:
    number = int(str(more.get("at", 0)))
    return EventView(
        domain=domain,
        sequence=number + 1,
        kind=type_name.split(".", maxsplit=1)[0],
        actor="a",
        id=str(more.get("id") or new_id()),
        type=type_name,
        time=START + timedelta(milliseconds=number),
        correlation=RUN,
        principal="dana",
        label=Clearance.INTERNAL,
        causation=cause,
        reaction=reaction,
        effect=str(more["effect"]) if "effect" in more else None,
    )


def effect(of: EventView, number: int, name: str, at: int) -> EventView:
    identity = derived_id(of.id, "effect", number)
    return event(EFFECT, cause=of.id, reaction=of.id, domain=of.domain, id=identity, effect=name, at=at)


def run_of_two_domains() -> list[EventView]:
    asked = event("conversation.asked.v1", cause=RUN, at=1)
    question = derived_id(asked.id, "ask", 1)
    requested = event(
        "collaboration.requested.v1", cause=question, reaction=asked.id, domain=Domain.ARTEMIS, at=3, id=new_id()
    )
    concluded = event(
        "collaboration.concluded.v1",
        cause=derived_id(requested.id, "tell", 0),
        reaction=requested.id,
        domain=Domain.ARTEMIS,
        at=5,
    )
    answered = event("conversation.answered.v1", cause=derived_id(asked.id, "tell", 0), reaction=asked.id, at=8)
    return [
        event("conversation.started.v1", cause=RUN),
        asked,
        effect(asked, 0, "search", 2),
        requested,
        effect(requested, 0, "chat", 4),
        concluded,
        effect(asked, 1, "ask", 6),
        answered,
    ]


def names(nodes: list[Node]) -> list[object]:
    return [
        (node.event.effect or node.event.type.split(".")[1], names(node.children))
        if node.children
        else (node.event.effect or node.event.type.split(".")[1])
        for node in nodes
    ]


def printed(*shown: RenderableType) -> str:
    text = StringIO()
    Console(file=text, width=100, highlight=False, color_system=None).print(*shown)
    return text.getvalue()


def test_a_run_is_a_tree_over_domains() -> None:
    expected = [
        "started",
        ("asked", ["search", ("ask", [("requested", ["chat", "concluded"])]), "answered"]),
    ]
    assert names(forest(run_of_two_domains())) == expected
    assert names(forest(run_of_two_domains()[::-1])) == expected


@given(st.sets(st.integers(0, 7)))
def test_whatever_is_not_visible_every_visible_event_is_shown_once(hidden: set[int]) -> None:
    events = [one for number, one in enumerate(run_of_two_domains()) if number not in hidden]

    def count(nodes: list[Node]) -> int:
        return sum(1 + count(node.children) for node in nodes)

    assert count(forest(events)) == len(events)


def test_the_tree_is_printed_with_labels_and_times_in_100_columns() -> None:
    lines = [line.rstrip() for line in printed(rendering.run_tree(run_of_two_domains())).splitlines()]
    assert lines[0] == f"request {RUN} of dana"
    assert lines[3].startswith("├─ sophia conversation conversation.started.v1")
    assert lines[3].endswith("internal   0.000 s")
    assert any(line.startswith("   │  └─ artemis collaboration collaboration.requested.v1") for line in lines)
    assert lines[-1] == "5 events and 3 effects in artemis, sophia"
    assert max(map(len, lines)) <= 100


def turn(title: str, content: str, text: str = "t") -> Turn:
    item = Evidence(id="1", title=title, text=text, label=Clearance.RESTRICTED, score=0.5, source="a.md")
    added = Contribution(
        domain=Domain.CEO, request_type="strategic_alignment", status="failed", summary=title, confidence=0
    )
    reply = AnswerReply(
        content=content,
        team="sales_intelligence",
        confidence=0.875,
        evidence=(item,),
        collaboration_needed=True,
        collaborators=(Domain.CEO,),
        contributions=(added,),
        model="extractive-v1",
        label=Clearance.RESTRICTED,
        citations=(
            Citation(section="summary", sentence=Span(0, 1), number=1, evidence="1", quote=Span(0, len(text))),
            Citation(section="risks", sentence=Span(0, 1), number=1, evidence="1", quote=Span(0, len(text))),
            Citation(section="risks", sentence=Span(0, 1), number=2, evidence="unseen", quote=Span(0, 1)),
            Citation(section="risks", sentence=Span(0, 1), number=1, evidence="1"),
        ),
    )
    return Turn(id="1", session="s", question="?", by="dana", status="answered", asked=START, answer=reply)


def test_an_answer_shows_text_contributions_evidence_and_confidence() -> None:
    text = printed(rendering.answer(turn("[bold]Plan[/bold]", "## Summary\nWe lose.\n\n- one\n- two")))
    assert "## " not in text
    assert "• one" in text
    assert "[bold]Plan[/bold]" in text  # A title is no markup.
    assert "failed: " in text
    assert "confidence 0.88 · team sales_intelligence · model extractive-v1 · confidentiality restricted" in text


def test_what_is_quoted_is_shown_once_with_its_number_and_place() -> None:
    text = printed(rendering.answer(turn("Plan", "We lose. [1]", "We lose\nsince May.")))
    assert text.count("We lose since May.") == 1
    (line,) = (line for line in text.splitlines() if "We lose since May." in line)
    assert line.split()[0] == "1"
    assert line.split()[-1] == "0–18"


@given(st.text(max_size=80), st.text(max_size=200))
def test_no_document_can_steer_the_terminal_or_break_the_page(title: str, content: str) -> None:
    text = printed(rendering.answer(turn(title + "\x1b[31m\x07", content + "\x1b]0;x\x07", content + "\x1b]0;x\x07")))
    assert all(character == "\n" or character.isprintable() for character in text)


def test_a_failed_turn_says_why() -> None:
    failed = Turn(id="1", session="s", question="?", by="d", status="failed", asked=START, failure="the model refused")
    assert printed(rendering.answer(failed)).strip() == "the model refused"


def test_an_answer_in_part_says_what_it_goes_without_and_where_the_rest_will_be() -> None:
    missing = (Missing(domain=Domain.ARTEMIS, request_type="technical_feasibility_analysis", why="it is away"),)
    part = replace(turn("Plan", "We lose."), status="partial", missing=missing, status_url="/v1/sessions/s/messages")
    text = printed(rendering.answer(part))
    assert "without Artemis (it is away) until that has come: /v1/sessions/s/messages" in text
    text = printed(rendering.answer(replace(part, failure="cancelled: by dana")))
    assert "without Artemis (it is away) and will be: cancelled: by dana" in text


def test_lines_for_events_and_for_who_waits() -> None:
    asked, search = run_of_two_domains()[1:3]
    assert "sophia    conversation.asked.v1" in rendering.event_line(asked)
    assert f"run {RUN}" in rendering.event_line(asked)
    assert rendering.progress_line(asked) == "sophia: conversation.asked"
    waits = replace(asked, type="approval.requested.v1", actor="a1")
    assert rendering.progress_line(waits) == "it waits for people's approval: diarchy approvals show a1"
    assert rendering.progress_line(search) == "sophia: effect search"


def test_that_people_are_waited_for_stays_to_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal each note is written over the one before."""
    asked = run_of_two_domains()[1]
    lines: list[str] = []
    with Steps() as steps:
        monkeypatch.setattr(steps, "say", lines.append)
        step = steps.begin("Asking Sophia")
        note = noted(steps, step)
        note(replace(asked, type="approval.requested.v1", actor="a1"))
        note(asked)
        assert steps._progress.tasks[step].fields["note"] == "sophia: conversation.asked"
    assert lines == ["it waits for people's approval: diarchy approvals show a1"]


def test_shortened_is_one_line_of_so_many_characters() -> None:
    assert rendering.shortened("a\n  b\tc", 10) == "a b c"
    assert rendering.shortened("abcdef", 4) == "abc…"
