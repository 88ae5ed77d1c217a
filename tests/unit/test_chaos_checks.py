"""The checks of `just chaos` find what they are for: a sound history passes, each planted fault is named."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from chaos.checks_logs import check_logs
from chaos.checks_outside import check_calls
from chaos.checks_told import check_told
from chaos.history import History
from chaos.journal import Kind, Told
from chaos.model import Timed
from chaos.strikes import Strike, Struck
from contracts import subjects
from contracts.catalogue import tag
from contracts.conversation import Answered, Asked, SessionStarted
from contracts.domains import Clearance, Domain
from contracts.envelope import Envelope, Event, Record, Stored
from contracts.ids import derived_id, timed_id
from contracts.kernel import DeadLetter, EffectRecorded
from contracts.subjects import ActorRef
from runtime.chain import GENESIS, seal

START = datetime(2026, 11, 21, tzinfo=UTC)
ACTOR = ActorRef(Domain.SOPHIA, "conversation", "sophia-1")
LOG = subjects.log(ACTOR)
TURN = timed_id(1_000_000, "ask")
ANSWER = timed_id(2_000_000, "answer")
CONTENT = "Two customers."


def answered(content: str = CONTENT) -> Answered:
    return Answered(
        turn=TURN,
        content=content,
        team="client_analysis",
        confidence=0.5,
        evidence=(),
        collaboration_needed=False,
        collaborators=(),
        contributions=(),
        model="m",
        label=Clearance.PUBLIC,
    )


def envelope(identity: str, kind: type[Event], cause: str) -> Envelope:
    return Envelope(
        id=identity,
        type=tag(kind),
        time=START,
        correlation=TURN,
        principal="ann",
        source=Domain.SOPHIA,
        causation=cause,
    )


def log_of(*commits: tuple[str, Sequence[Event]]) -> list[Stored]:
    """A sealed log: each message with its events."""
    found: list[Stored] = []
    prev = GENESIS
    for cause, events in commits:
        for number, event in enumerate(events):
            made = envelope(derived_id(cause, LOG, number), type(event), cause)
            record = seal(made, msgspec.json.encode(event), prev)
            prev = record.envelope.hash or GENESIS
            found.append(Stored(LOG, len(found) + 1, record))
    return found


def effect(reaction: str, number: int, name: str, sequence: int) -> Stored:
    entry = EffectRecorded(effect=number, name=name, arguments="", result=msgspec.Raw(b"null"))
    made = envelope(derived_id(reaction, "effect", number), EffectRecorded, reaction)
    return Stored(subjects.run(ACTOR, reaction), sequence, Record(made, msgspec.json.encode(entry)))


STARTED = SessionStarted(owner="ann", title="", context_type="business")
ASKED = Asked(turn=TURN, by="ann", text="Who?")
SOUND = log_of((TURN, [STARTED, ASKED]), (ANSWER, [answered()]))
ASKED_ID, ANSWERED_ID = (stored.record.envelope.id for stored in SOUND[1:])
RUNS = [effect(ASKED_ID, 0, "chat", 4), effect(ANSWERED_ID, 0, "index", 5)]


def told(status: int = 200, kind: Kind = "ask", **other: Any) -> Told:
    body = {"answer": {"content": CONTENT}, "seq": 9, "detail": "why"}
    fields = {"path": "/v1/sophia/ask", "body": body, **other}
    return Told(id=TURN, kind=kind, client="ann", attempt=1, status=status, after=0, at=1, **fields)


def letter(**other: Any) -> DeadLetter:
    fields = {"id": "l", "subject": "sophia.pub.1.signal.x", "sequence": 9, "body": b"poison", **other}
    return DeadLetter(reason="unreadable", attempts=1, time="", **fields)


def test_a_sound_history_passes() -> None:
    history = History([*SOUND, *RUNS])
    poison = told(kind="poison", path="sophia.pub.1.signal.x", sent="poison")
    assert list(check_logs(history)) == []
    assert list(check_told(history, {TURN: [told(), told(503), told(0)]}, [])) == []
    assert list(check_told(history, {TURN: [told()], "p": [poison]}, [letter()])) == []
    assert list(check_calls(history, [Timed(f"{ASKED_ID}:0", "a", START.timestamp() - 1)], [])) == []


@pytest.mark.parametrize(
    ("check", "records"),
    [
        ("hash chain", [SOUND[0], SOUND[2], *RUNS]),
        (
            "hash chain",
            [
                *SOUND[:2],
                replace(SOUND[2], record=replace(SOUND[2].record, body=msgspec.json.encode(answered("Forged.")))),
                *RUNS,
            ],
        ),
        ("event ids", [*SOUND, SOUND[2], *RUNS]),
        ("one effect a message", [*log_of((TURN, [STARTED, ASKED]), (ANSWER, [answered()]), (TURN, [STARTED])), *RUNS]),
        ("all or nothing", [*log_of((TURN, [STARTED]), (ANSWER, [answered()]), (TURN, [ASKED])), *RUNS]),
        ("one answer a question", [*SOUND[:2], RUNS[0]]),
        ("one answer a question", [*log_of((TURN, [STARTED, ASKED]), (ANSWER, [answered(), answered()])), *RUNS]),
        ("each effect once", [*SOUND, *RUNS, effect(ASKED_ID, 0, "chat", 6)]),
        ("each effect once", [*SOUND, *RUNS, effect(ASKED_ID, 2, "chat", 6)]),
        ("every reaction ran", [*SOUND, RUNS[0]]),
    ],
)
def test_a_faulty_log_is_found(check: str, records: list[Stored]) -> None:
    assert check in {finding.check for finding in check_logs(History(records))}


@pytest.mark.parametrize(
    ("check", "journal", "letters"),
    [
        ("nothing accepted is lost", {timed_id(5, "lost"): [told(202)]}, []),
        ("what was told is true", {TURN: [told(body={"answer": {"content": "Another answer."}})]}, []),
        ("what was told is true", {TURN: [told(204, kind="end_session")]}, []),
        ("no error of ours", {TURN: [told(500)]}, []),
        ("nothing is refused", {TURN: [told(409)]}, []),
        ("only poison is buried", {TURN: [told()]}, [letter()]),
        ("poison is put aside", {"p": [told(kind="poison")]}, []),
    ],
)
def test_a_broken_promise_is_found(check: str, journal: dict[str, list[Told]], letters: list[DeadLetter]) -> None:
    found = check_told(History([*SOUND, *RUNS]), journal, letters)
    assert check in {finding.check for finding in found}


def test_a_second_payment_is_found_unless_the_worker_had_been_paused() -> None:
    history = History([*SOUND, *RUNS])
    key, paid = f"{ASKED_ID}:0", START.timestamp()
    first, repeat = Timed(key, "a", paid - 2), Timed(key, "a", paid - 1)
    late = Timed(key, "a", paid + 5)
    assert list(check_calls(history, [first, repeat], [])) == []
    assert len(list(check_calls(history, [first, late], []))) == 1
    pause = Strike(number=1, after_s=0, victim="sophia", kind="pause", pause_s=3)
    woken = Struck(strike=pause, pid=1, began=paid + 1, ended=paid + 4)
    assert list(check_calls(history, [first, late], [woken])) == []
    assert len(list(check_calls(history, [first, Timed(key, "b", paid - 1)], []))) == 1
    assert len(list(check_calls(history, [], []))) == 1
