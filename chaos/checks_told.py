"""Checks of what clients were told against the logs: what was accepted is there, once, and says what was said."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from chaos.history import Finding, History, event_of
from chaos.journal import Told
from contracts import subjects
from contracts.analysis import AnalysisCompleted, AnalysisConcludedInPart
from contracts.conversation import Answered, AnsweredInPart, SessionEnded, SessionStarted
from contracts.envelope import Event, Stored
from contracts.facts import SignalRecorded
from contracts.ids import derived_id
from contracts.kernel import DeadLetter, Refused
from contracts.knowledge import Knowledge, KnowledgeAdded, KnowledgeDeleted, KnowledgeUpdated

EXPECTED: dict[str, tuple[type[Event], ...]] = {
    "session": (SessionStarted,),
    "end_session": (SessionEnded,),
    "add": (KnowledgeAdded,),
    "update": (KnowledgeUpdated,),
    "delete": (KnowledgeDeleted,),
    "fact": (SignalRecorded,),
    "published": (SignalRecorded,),
}
"""Of these commands one event is all that comes, at once."""


def check_told(history: History, by_id: dict[str, list[Told]], letters: Sequence[DeadLetter]) -> Iterator[Finding]:
    """All of this module's."""
    buried = {(letter.subject, letter.sequence) for letter in letters}
    for identity, told in by_id.items():
        if told[0].kind == "poison":
            yield from _poison(told, buried)
            continue
        if any(one.accepted for one in told) and not history.by_cause.get(identity):
            yield Finding("nothing accepted is lost", f"{_name(told)} was accepted, but no log holds its effect")
            continue
        yield from _answers(history, identity, told)
    yield from _letters(by_id, letters)


def _poison(told: list[Told], buried: set[tuple[str, int]]) -> Iterator[Finding]:
    for one in told:
        if one.accepted and (one.path, int(one.body["seq"])) not in buried:
            yield Finding("poison is put aside", f"{_name(told)} at {one.body['seq']} is not in the dead letters")


def _letters(by_id: dict[str, list[Told]], letters: Sequence[DeadLetter]) -> Iterator[Finding]:
    """No dead letter but the poison's, and each once."""
    poisoned = {told[0].path for told in by_id.values() if told[0].kind == "poison"}
    poisons = {(told[0].path, str(told[0].sent)) for told in by_id.values() if told[0].kind == "poison"}
    for letter in letters:
        if letter.subject not in poisoned or (letter.subject, letter.body.decode(errors="replace")) not in poisons:
            yield Finding("only poison is buried", f"{letter.subject} #{letter.sequence}: {letter.reason}")
    for identity, times in Counter(letter.id for letter in letters).items():
        if times > 1:
            yield Finding("only poison is buried", f"dead letter {identity} is there {times} times")


def _answers(history: History, identity: str, told: list[Told]) -> Iterator[Finding]:
    for one in told:
        match one.status:
            case 200 | 201 | 204 if one.kind != "published":
                yield from _same(history, identity, one)
            case 500 | 502:
                yield Finding("no error of ours", f"{_name([one])}: {one.status} {_detail(one)}")
            case status if 400 <= status < 500 and status != 429:
                yield from _refused(history, identity, one)
            case _:
                pass


def _same(history: History, identity: str, one: Told) -> Iterator[Finding]:
    """The event behind the answer says what the client was told."""
    wanted = EXPECTED.get(one.kind)
    records = history.by_cause[identity]
    if wanted is not None and not any(isinstance(event_of(stored), wanted) for stored in records):
        types = [stored.record.envelope.type for stored in records]
        yield Finding("what was told is true", f"{_name([one])}: told {one.status}, but the log has {types}")
        return
    match one.kind:
        case "ask":
            events = [event for event in _log_of(history, records) if _answers_turn(event, identity)]
            kind = AnsweredInPart if one.body.get("status") == "partial" else Answered
            said = [event for event in events if isinstance(event, kind)]
            answers = [event.answer if isinstance(event, AnsweredInPart) else event for event in said]
            if [answer.content for answer in answers] != [one.body["answer"]["content"]]:
                yield Finding("what was told is true", f"{_name([one])}: another answer than the log's")
        case "analysis":
            conclusion = AnalysisConcludedInPart if one.body.get("status") == "partial" else AnalysisCompleted
            ends = [event for event in _log_of(history, records) if isinstance(event, conclusion)]
            if [end.recommendations for end in ends] != [one.body["recommendations"]]:
                yield Finding("what was told is true", f"{_name([one])}: another conclusion than the log's")
        case "add" | "update":
            item = subjects.parse(records[0].subject).actor.id
            sent = msgspec.convert(one.sent, Knowledge)
            if one.body["id"] != item or msgspec.convert(one.body["knowledge"], Knowledge) != sent:
                yield Finding("what was told is true", f"{_name([one])}: told of another item")
            if one.kind == "add" and item != derived_id(identity, "knowledge_item"):
                yield Finding("what was told is true", f"{_name([one])}: {item} does not follow from the key")
        case _:
            pass


def _refused(history: History, identity: str, one: Told) -> Iterator[Finding]:
    """A good client is refused nothing here; where it was, the log must say so."""
    reasons = [
        event.reason for stored in history.by_cause.get(identity, []) if isinstance(event := event_of(stored), Refused)
    ]
    known = "" if _detail(one) in reasons else ", which the log does not know"
    yield Finding("nothing is refused", f"{_name([one])}: {one.status} {_detail(one)}{known}")


def _log_of(history: History, records: Sequence[Stored]) -> list[Event]:
    return [event_of(stored) for stored in history.logs[records[0].subject]]


def _answers_turn(event: Event, turn: str) -> bool:
    return isinstance(event, Answered | AnsweredInPart) and event.turn == turn


def _name(told: Sequence[Told]) -> str:
    one = told[0]
    return f"{one.kind} {one.id} of {one.client} ({one.path})"


def _detail(one: Told) -> str:
    body: Any = one.body
    return str(body.get("detail", "")) if isinstance(body, dict) else ""
