"""Memory: what one agent remembers of one person; what is too much of a kind makes room for what is newer."""

import hashlib
from datetime import datetime
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from actors.findable import make_findable
from contracts.memory import (
    MEMORY,
    RETENTION,
    ForgetMemory,
    Forgotten,
    MemoryKind,
    Remember,
    Remembered,
    Revised,
    ReviseMemory,
)
from runtime.actor import Actor, Recorded
from runtime.effects import Effects
from runtime.errors import Rejected

Recordable = Remembered | Revised | Forgotten


FORGOTTEN_MAX = 1_000
"""Ids that are known to have been forgotten: their messages may come again, for some minutes."""


class Kept(Struct, frozen=True):
    """What is known of a memory; of what it says only the SHA-256, to know it again."""

    said: str

    owner: str
    kind: MemoryKind
    session: str
    expires: datetime | None


def _digest(title: str, text: str) -> str:
    return hashlib.sha256(f"{title}\0{text}".encode()).hexdigest()


class State(Struct, frozen=True):
    """What is kept, oldest first, by id; and the ids that were forgotten last."""

    kept: dict[str, Kept] = {}
    forgotten: tuple[str, ...] = ()


def decide(state: State, message: Remember | ReviseMemory | ForgetMemory) -> list[Recordable]:
    match message:
        case Remember():
            return _remember(state, message)
        case ReviseMemory():
            held = _held(state, message.id)
            if held.said == _digest(message.title, message.text):
                return []
            return [
                Revised(
                    id=message.id,
                    owner=held.owner,
                    kind=held.kind,
                    title=message.title,
                    text=message.text,
                    session=held.session,
                    expires=held.expires,
                )
            ]
        case ForgetMemory():
            if message.id in state.forgotten:
                return []
            _held(state, message.id)
            return [Forgotten(id=message.id, why="asked")]
        case _:
            assert_never(message)


def _remember(state: State, message: Remember) -> list[Recordable]:
    if message.id in state.kept or message.id in state.forgotten:
        return []
    policy = RETENTION[message.kind]
    latest = None if policy.kept is None else message.at + policy.kept
    ends = [moment for moment in (message.expires, latest) if moment is not None]
    remembered = Remembered(
        id=message.id,
        owner=message.owner,
        kind=message.kind,
        title=message.title,
        text=message.text,
        session=message.session,
        expires=min(ends, default=None),
    )
    alike = [id_ for id_, one in state.kept.items() if one.kind == message.kind]
    gone = alike[: max(0, len(alike) + 1 - policy.memories_max)]
    return [remembered, *(Forgotten(id=one, why="room") for one in gone)]


def _held(state: State, id_: str) -> Kept:
    if id_ not in state.kept:
        raise Rejected("no such memory", "not_found")
    return state.kept[id_]


def evolve(state: State, event: Recordable) -> State:
    match event:
        case Remembered() | Revised():
            kept = Kept(_digest(event.title, event.text), event.owner, event.kind, event.session, event.expires)
            return replace(state, kept={**state.kept, event.id: kept})
        case Forgotten():
            left = {id_: one for id_, one in state.kept.items() if id_ != event.id}
            return State(left, (*state.forgotten, event.id)[-FORGOTTEN_MAX:])
        case _:
            assert_never(event)


async def react(recorded: Recorded[Recordable], effects: Effects) -> None:
    await make_findable(recorded, effects)


memory = Actor(MEMORY, State(), decide, evolve, react)
