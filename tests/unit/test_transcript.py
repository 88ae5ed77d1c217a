"""What a client is sent of an answer while it is written: always the beginning of one text, and at last the recorded one."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from contracts.chat import ChatMessage, Delta, ToolCall, ToolCallPart, Written
from contracts.domains import Clearance
from gateway.transcript import ATTEMPTS_MAX, Transcript

TEXT = "one two three four"
CALL = ToolCall(id="call_1", name="weather", arguments='{"city": "Oslo"}')
CALLING = ChatMessage(role="assistant", content="Let me see.", tool_calls=(CALL,))


def written(attempt: str, number: int, delta: Delta) -> Written:
    return Written(run="r", reaction="e", effect=0, attempt=attempt, number=number, label=Clearance.PUBLIC, delta=delta)


def pieces(text: str, attempt: str = "a", size: int = 4) -> list[Written]:
    parts = [text[at : at + size] for at in range(0, len(text), size)]
    return [written(attempt, number, Delta(text=part)) for number, part in enumerate(parts)]


def sent(transcript: Transcript, announced: Sequence[Written]) -> str:
    return "".join(delta.text for one in announced for delta in transcript.more(one))


def rest(transcript: Transcript, text: str) -> str | None:
    found = transcript.rest(ChatMessage(role="assistant", content=text))
    return None if found is None else "".join(delta.text for delta in found)


def test_one_attempt_is_sent_as_it_comes_and_nothing_is_left() -> None:
    transcript = Transcript()
    assert [sent(transcript, [one]) for one in pieces("abcdefgh")] == ["abcd", "efgh"]
    assert transcript.rest(ChatMessage(role="assistant", content="abcdefgh")) == []


def test_a_second_attempt_goes_on_where_the_first_ended() -> None:
    transcript = Transcript()
    assert sent(transcript, pieces(TEXT)[:3]) == TEXT[:12]
    again = pieces(TEXT, "b", size=5)
    assert [sent(transcript, [one]) for one in again] == ["", "", TEXT[12:15], TEXT[15:]]
    assert rest(transcript, TEXT) == ""


def test_an_attempt_that_writes_otherwise_is_held_back_and_contradicted_at_the_end() -> None:
    transcript = Transcript()
    assert sent(transcript, pieces(TEXT)[:2]) == TEXT[:8]
    assert sent(transcript, pieces("one 2 three", "b")) == ""
    assert rest(transcript, "one 2 three") is None
    assert rest(transcript, TEXT) == TEXT[8:]


def test_what_follows_a_lost_piece_waits_for_the_recorded_answer() -> None:
    transcript = Transcript()
    first, _lost, *others = pieces(TEXT)
    assert sent(transcript, [first, *others]) == first.delta.text
    assert rest(transcript, TEXT) == TEXT[4:]
    late = Transcript()
    assert sent(late, pieces(TEXT)[1:]) == ""
    assert rest(late, TEXT) == TEXT


def test_a_tool_call_is_one_however_often_it_is_begun() -> None:
    begun = ToolCallPart(index=0, id=CALL.id, name=CALL.name)
    half, whole = ToolCallPart(index=0, arguments='{"city"'), ToolCallPart(index=0, arguments=CALL.arguments)
    transcript = Transcript()
    first = [Delta(text=CALLING.content), Delta(tool_call=begun), Delta(tool_call=half)]
    assert [transcript.more(written("a", number, one)) for number, one in enumerate(first)] == [[one] for one in first]
    again = [Delta(text=CALLING.content), Delta(tool_call=begun), Delta(tool_call=whole)]
    more = [transcript.more(written("b", number, one)) for number, one in enumerate(again)]
    assert more == [[], [], [Delta(tool_call=ToolCallPart(index=0, arguments=': "Oslo"}'))]]
    assert transcript.rest(CALLING) == []
    assert Transcript().rest(CALLING) == [
        Delta(text=CALLING.content),
        Delta(tool_call=ToolCallPart(index=0, id=CALL.id, name=CALL.name, arguments=CALL.arguments)),
    ]
    other = Transcript()
    other.more(written("a", 0, Delta(tool_call=ToolCallPart(index=0, id="call_9", name=CALL.name))))
    assert other.rest(CALLING) is None


def test_the_attempts_remembered_are_bounded() -> None:
    transcript = Transcript()
    for number in range(3 * ATTEMPTS_MAX):
        transcript.more(written(f"a{number}", 0, Delta(text="one")))
    assert len(transcript._attempts) == ATTEMPTS_MAX


@given(st.data())
def test_whatever_is_announced_the_client_reads_a_beginning_and_then_the_answer(data: st.DataObject) -> None:
    """Attempts of two texts that begin alike, cut anywhere, torn off, with losses, among one another."""
    texts = ["aab", "aabbbaab", "aabbc"]
    announced: list[Written] = []
    for number in range(data.draw(st.integers(1, 4))):
        text = data.draw(st.sampled_from(texts))
        attempt = pieces(text, f"a{number}", data.draw(st.integers(1, 5)))
        attempt = attempt[: data.draw(st.integers(0, len(attempt)))]
        announced += [one for one in attempt if data.draw(st.integers(0, 9))]
    order = data.draw(st.permutations(range(len(announced)))) if data.draw(st.booleans()) else range(len(announced))
    transcript = Transcript()
    read = sent(transcript, [announced[at] for at in order])
    assert any(text.startswith(read) for text in texts)
    for text in texts:
        left = rest(transcript, text)
        assert (left is None) is not text.startswith(read)
        assert left is None or read + left == text
