"""What a client was sent of an answer while it was written, so that what follows only ever continues it.

A model may be asked again: its worker died, or its provider did. Then it writes from the beginning, and not always the same.
Of each attempt only what goes on from what was sent is forwarded; the recorded answer has the last word.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator

from contracts.chat import ChatMessage, Delta, ToolCallPart, Written

ATTEMPTS_MAX = 16  # remembered of one answer; the oldest is forgotten first
TEXT = (-1, "text")
Channel = tuple[int, str]
"""The text, or a field (`id`, `name`, `arguments`) of the tool call at an index."""


class _Said:
    """What was said so far on each channel."""

    def __init__(self) -> None:
        self._pieces: dict[Channel, list[str]] = {}

    def add(self, pieces: Iterable[tuple[Channel, str]]) -> None:
        for channel, piece in pieces:
            self._pieces.setdefault(channel, []).append(piece)

    def whole(self) -> dict[Channel, str]:
        for pieces in self._pieces.values():
            pieces[:] = ["".join(pieces)]
        return {channel: pieces[0] for channel, pieces in self._pieces.items()}


class _Attempt(_Said):
    """One time the model was asked. What follows a piece that was lost on the way is of no use."""

    def __init__(self) -> None:
        super().__init__()
        self._next = 0
        self._whole = True

    def follows(self, number: int) -> bool:
        self._whole = self._whole and number == self._next
        self._next += 1
        return self._whole


class Transcript:
    """Of one answer to one client."""

    def __init__(self) -> None:
        self._sent = _Said()
        self._attempts: OrderedDict[str, _Attempt] = OrderedDict()
        self._leading: _Attempt | None = None

    def more(self, written: Written) -> list[Delta]:
        """What this adds to what was sent; nothing, if it repeats it, contradicts it or is not whole."""
        attempt = self._attempts.get(written.attempt)
        if attempt is None:
            attempt = self._attempts[written.attempt] = _Attempt()
            if len(self._attempts) > ATTEMPTS_MAX:
                self._attempts.popitem(last=False)
        if not attempt.follows(written.number):
            return []
        pieces = list(_pieces(written.delta))
        attempt.add(pieces)
        if self._leading is not attempt and self._leading is not None:
            rest = _rest(self._sent.whole(), attempt.whole())
            if not rest:
                return []
            pieces = rest
        self._leading = attempt
        self._sent.add(pieces)
        return _deltas(pieces)

    def rest(self, answer: ChatMessage) -> list[Delta] | None:
        """What is missing of the recorded answer; None when that is not what was sent."""
        rest = _rest(self._sent.whole(), _of(answer))
        return None if rest is None else _deltas(rest)


def _rest(sent: dict[Channel, str], now: dict[Channel, str]) -> list[tuple[Channel, str]] | None:
    """What `now` has beyond `sent`; None unless it begins with all of it."""
    if not all(now.get(channel, "").startswith(text) for channel, text in sent.items()):
        return None
    rest = ((channel, text[len(sent.get(channel, "")) :]) for channel, text in now.items())
    return [(channel, text) for channel, text in rest if text]


def _pieces(delta: Delta) -> Iterator[tuple[Channel, str]]:
    if delta.text:
        yield TEXT, delta.text
    call = delta.tool_call
    if call is not None:
        for name, piece in (("id", call.id), ("name", call.name), ("arguments", call.arguments)):
            if piece:
                yield (call.index, name), piece


def _of(answer: ChatMessage) -> dict[Channel, str]:
    calls = (
        Delta(tool_call=_part(index, call.id, call.name, call.arguments))
        for index, call in enumerate(answer.tool_calls)
    )
    return {channel: piece for delta in (Delta(text=answer.content), *calls) for channel, piece in _pieces(delta)}


def _deltas(pieces: Iterable[tuple[Channel, str]]) -> list[Delta]:
    """The text first, then each call with all its fields."""
    text = "".join(piece for channel, piece in pieces if channel == TEXT)
    calls: dict[int, dict[str, str]] = {}
    for (index, name), piece in pieces:
        if index >= 0:
            calls.setdefault(index, {})[name] = piece
    found = [Delta(text=text)] if text else []
    return [*found, *(Delta(tool_call=ToolCallPart(index=index, **fields)) for index, fields in sorted(calls.items()))]


def _part(index: int, id: str, name: str, arguments: str) -> ToolCallPart:  # noqa: A002 - the field's name
    return ToolCallPart(index=index, id=id, name=name, arguments=arguments)
