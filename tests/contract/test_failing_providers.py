"""What a chain of providers does when they fail, hang, dribble, limit, talk nonsense or break off: over real HTTP."""

import asyncio
import json
import socket
from contextlib import ExitStack
from typing import Any

import pytest
from msgspec.structs import replace

from adapters.extractive import NAME, ExtractiveModel
from adapters.openai_chat import ERROR_BYTES_MAX
from adapters.openai_wire import LINE_BYTES_MAX
from adapters.provider_health import HealthChecks
from contracts.chat import Delta
from contracts.model import Allowance, ProviderStatus
from runtime.errors import AllowanceError, OutcomeError, UnavailableError
from runtime.model_ports import ANEW, Call
from tests.model_server import DRIP_S, Fault, ModelServer
from tests.providers import ASKED, PROMPT, Setting, ask, modes, run

STREAM = {"Content-Type": "text/event-stream"}
NO_MESSAGE = b'{"choices": [{"delta": {"content": 7}}]}'


@pytest.mark.parametrize(
    ("fault", "outcome", "told"),
    [
        ((500, {}, "oops"), "unavailable", False),
        ((503, {}, "x" * 2 * ERROR_BYTES_MAX), "unavailable", False),
        ((429, {"Retry-After": "9"}, "x" * 2 * ERROR_BYTES_MAX), "full", False),
        ((429, {"Retry-After": "9"}, "{}"), "full", False),
        ((401, {}, "no such key"), "unusable", False),
        ((200, STREAM, "data: [DONE]\n\n"), "unavailable", False),
        ((200, STREAM, "data: {\n\n"), "unusable", False),
        (Fault("reset"), "unavailable", False),
        (Fault("hang"), "unavailable", False),
        (Fault("reset", after=3), "unavailable", True),
        (Fault("end", after=3), "unavailable", True),
        (Fault("hang", after=3), "unavailable", True),
        (Fault("drip", after=3), "unavailable", True),
        (Fault("text", after=3, text="data: <html>\n\n"), "unusable", True),
        (Fault("text", after=3, text=f"data: {NO_MESSAGE.decode()}\n\n"), "unusable", True),
        (Fault("text", after=3, text='data: {"error": {"message": "overloaded"}}\n\n'), "unusable", True),
        (Fault("text", after=3, text='data: {"choices": [{"finish_reason": "tired"}]}\n\n'), "unusable", True),
        (Fault("flood", after=3, text="x" * 100_000), "unusable", True),
    ],
    ids=lambda value: str(value)[:60],
)
def test_whatever_is_wrong_with_one_the_next_one_answers_whole(
    servers: list[ModelServer], fault: Any, outcome: str, told: bool
) -> None:
    (servers[0].options.faults if isinstance(fault, Fault) else servers[0].options.failures).append(fault)

    async def body(setting: Setting) -> None:
        chain = setting.chain("a", "b", first_s=0.5, between_s=0.5, whole_s=0.8)
        deltas: list[Delta] = []
        reply = await ask(chain, on_delta=deltas.append)
        assert setting.telemetry.calls == [("a", outcome), ("b", "answered")]
        assert (ANEW in deltas) == told
        kept = deltas[deltas.index(ANEW) + 1 :] if told else deltas
        assert "".join(delta.text for delta in kept) == reply.message.content
        assert [server.calls[0].key for server in servers[:2]] == ["key", "key"]
        alone = setting.chain("c")
        assert (await ask(alone)).message == reply.message

    run(servers, body)


def test_where_all_answer_unusably_the_quoting_model_answers_and_says_so(servers: list[ModelServer]) -> None:
    prose = json.dumps({"choices": [{"message": {"content": "It is fine."}, "finish_reason": "stop"}]})
    for server in servers[:2]:
        server.options.failures = [(200, {}, prose)] * 2
    servers[2].options.faults = [Fault("text", after=9, text="data: nonsense\n\n")] * 2

    async def body(setting: Setting) -> None:
        chain = setting.chain("ab", "c", last=ExtractiveModel())
        deltas: list[Delta] = []
        reply = await chain.complete(PROMPT, Call("k", on_delta=deltas.append))
        assert setting.asked() == [1, 1, 1]
        assert (reply.model, reply.citations[0].evidence) == (NAME, "k")
        quoted = "".join(delta.text for delta in deltas[deltas.index(ANEW) + 1 :] if ANEW in deltas)
        assert all(text in quoted for text in reply.sections.values())
        assert reply.usage.output_tokens > len(quoted.split()), "what was of no use is counted in"
        assert setting.telemetry.calls[-1] == (NAME, "answered")
        with pytest.raises(OutcomeError, match="c did not answer"):
            await setting.chain("ab", "c").complete(PROMPT, Call("l"))

    run(servers, body)


def test_the_quoting_model_does_not_answer_for_who_is_only_away_nor_where_the_budget_is_spent(
    servers: list[ModelServer],
) -> None:
    servers[0].options.failures = [(503, {}, "")]

    async def body(setting: Setting) -> None:
        chain = setting.chain("a", last=ExtractiveModel())
        with pytest.raises(UnavailableError):
            await chain.complete(PROMPT, Call("k"))
        with pytest.raises(AllowanceError):
            await chain.complete(PROMPT, Call("k", allowance=Allowance(tokens=20)))
        servers[0].options.faults = [Fault("text", after=9, text="data: nonsense\n\n")]
        with pytest.raises(OutcomeError, match="a did not answer"):
            await ask(chain)  # A chat is had with the model that was asked for.

    run(servers, body)


def test_a_line_without_end_is_not_kept(servers: list[ModelServer]) -> None:
    servers[0].options.faults = [Fault("flood", text="x" * 100_000)]

    async def body(setting: Setting) -> None:
        with pytest.raises(OutcomeError, match=f"more than {LINE_BYTES_MAX} bytes"):
            await ask(setting.chain("a"))

    run(servers, body)


def test_a_slow_stream_that_goes_on_is_waited_for(servers: list[ModelServer]) -> None:
    servers[0].options.faults = [Fault("drip", after=2)]

    async def body(setting: Setting) -> None:
        slow = await ask(setting.chain("a", first_s=5, between_s=DRIP_S * 50, whole_s=30))
        assert slow.message == (await ask(setting.chain("b"))).message

    run(servers, body)


def test_half_an_answer_in_sections_is_never_taken(servers: list[ModelServer]) -> None:
    servers[0].options.faults = [Fault("end", after=after) for after in (0, 1, 5, 30)]

    async def body(setting: Setting) -> None:
        chain, alone = setting.chain("a", "b"), setting.chain("c")
        whole = await alone.complete(PROMPT, Call("k"))
        for _ in range(4):
            deltas: list[Delta] = []
            reply = await chain.complete(PROMPT, Call("k", on_delta=deltas.append))
            assert replace(reply, usage=whole.usage, model=whole.model) == whole
        servers[2].options.faults = [Fault("end", after=5)]
        with pytest.raises(UnavailableError, match="broke off"):
            await alone.complete(PROMPT, Call("k"))

    run(servers, body)


def test_a_breaker_opens_is_half_open_and_closes(servers: list[ModelServer]) -> None:
    servers[0].options.failures = [(503, {}, "down")] * 6

    async def body(setting: Setting) -> None:
        chain = setting.chain("a", "b")
        for number in range(8):
            await ask(chain, key=f"call {number}")
        assert setting.asked()[:2] == [5, 8]
        assert modes(chain) == {"a": "open", "b": "closed"}
        assert setting.telemetry.calls[-2:] == [("a", "skipped"), ("b", "answered")]
        setting.now += 59.9
        await ask(chain)
        assert setting.asked()[0] == 5
        setting.now += 0.2
        await ask(chain)
        assert (setting.asked()[0], modes(chain)["a"]) == (6, "open")  # Its trial failed.
        setting.now += 60
        for number, mode in enumerate(("half_open", "half_open", "closed")):
            await ask(chain)
            assert (setting.asked()[0], modes(chain)["a"]) == (7 + number, mode)

    run(servers, body)


def test_one_calls_quick_repeats_do_not_take_every_provider_away(servers: list[ModelServer]) -> None:
    """Both fail for a moment, and a run asks again and again meanwhile: once they are back they are asked, its own call first."""
    for server in servers[:2]:
        server.options.failures = [(503, {}, "restarting")] * 20

    async def body(setting: Setting) -> None:
        chain = setting.chain("a", "b")
        for _ in range(20):
            with pytest.raises(UnavailableError):
                await ask(chain, key="repeated")
        assert (setting.asked()[:2], modes(chain)) == ([20, 20], {"a": "closed", "b": "closed"})
        assert (await ask(chain, key="repeated")).message.content
        assert setting.telemetry.calls[-1] == ("a", "answered")

    run(servers, body)


def test_who_asks_to_be_left_alone_is_and_it_counts_for_nothing(servers: list[ModelServer]) -> None:
    servers[0].options.failures = [(429, {"Retry-After": "17"}, "{}")] * 10

    async def body(setting: Setting) -> None:
        chain = setting.chain("a", "b")
        for number in range(10):
            await ask(chain)
            await ask(chain)
            assert setting.asked()[0] == number + 1
            setting.now += 16.9
            await ask(chain)
            assert setting.asked()[0] == number + 1
            setting.now += 0.2
        assert modes(chain)["a"] == "closed"
        await ask(chain)
        assert setting.telemetry.calls[-1] == ("a", "answered")

    run(servers, body)


def test_when_all_limit_the_shortest_wait_is_told(servers: list[ModelServer]) -> None:
    servers[0].options.failures = [(429, {"Retry-After": "99999"}, "{}")]
    servers[1].options.failures = [(429, {"Retry-After": "40"}, "{}")]

    async def body(setting: Setting) -> None:
        chain = setting.chain("a", "b")
        with pytest.raises(UnavailableError) as caught:
            await ask(chain)
        assert caught.value.retry_after_s == 40
        setting.now += 40
        await ask(chain)
        assert setting.telemetry.calls[-2:] == [("a", "skipped"), ("b", "answered")]
        setting.now += 560  # However long it asked for: ten minutes at most.
        await ask(chain)
        assert setting.telemetry.calls[-1] == ("a", "answered")

    run(servers, body)


def test_equals_take_turns_and_the_next_group_waits(servers: list[ModelServer]) -> None:
    async def body(setting: Setting) -> None:
        chain = setting.chain("ab", "c")
        for _ in range(6):
            await ask(chain)
        assert setting.asked() == [3, 3, 0]
        servers[0].options.failures = [(500, {}, "")] * 5
        for number in range(10):
            await ask(chain, key=f"call {number}")
        assert modes(chain)["a"] == "open"
        assert setting.asked()[2] == 0
        servers[1].options.failures = [(429, {"Retry-After": "5"}, "")]
        await ask(chain)
        assert setting.asked()[2] == 1

    run(servers, body)


def test_two_servers_that_call_their_models_the_same_are_told_apart(servers: list[ModelServer]) -> None:
    async def body(setting: Setting) -> None:
        chain = setting.chain("a", "b")
        assert chain.models == ("a", "b", "m")
        for name in ("b", "a", "b"):
            reply = await chain.chat(replace(ASKED, model=name), Call("k"))
            assert reply.model == f"{name}/m"
        assert setting.asked() == [1, 2, 0]
        servers[1].options.failures = [(503, {}, "")] * 2
        with pytest.raises(UnavailableError):
            await chain.chat(replace(ASKED, model="b"), Call("k"))
        assert setting.asked() == [1, 3, 0]
        servers[0].options.failures = [(503, {}, "")]
        servers[1].options.failures = []
        assert (await chain.chat(ASKED, Call("k"))).model == "b/m"  # The model, of whoever has it.
        spent = setting.telemetry.tokens
        assert spent[("b", "m", "input")] == 3 * spent[("a", "m", "input")] > 0
        served = setting.chain("c", model="large", served_as="default")
        assert served.models == ("c", "large")
        assert (await served.chat(replace(ASKED, model="large"), Call("k"))).model == "c/default"
        assert servers[2].bodies[-1]["model"] == "default"

    run(servers, body)


def test_a_group_is_asked_for_by_its_name(servers: list[ModelServer]) -> None:
    async def body(setting: Setting) -> None:
        chain = setting.chain("ab", "c", named=("near", ""))
        assert chain.models == ("a", "b", "c", "near", "m")
        for _ in range(4):
            await chain.chat(replace(ASKED, model="near"), Call("k"))
        assert setting.asked() == [2, 2, 0]

    run(servers, body)


def test_a_provider_whose_connections_are_all_in_use_hands_on_and_is_not_blamed(servers: list[ModelServer]) -> None:
    servers[0].options.faults = [Fault("hang", after=1)]

    async def body(setting: Setting) -> None:
        chain = setting.chain("a", "b", connections_max=1, connect_s=0.2)
        first = asyncio.create_task(ask(chain, key="held"))
        assert await asyncio.to_thread(servers[0].hanging.wait, 10)
        await ask(chain)
        assert setting.telemetry.calls == [("a", "full"), ("b", "answered")]
        assert modes(chain)["a"] == "closed"
        first.cancel()
        await asyncio.wait([first])
        setting.now += 1
        await ask(chain)  # The call that was given up gave its connection back.
        assert setting.telemetry.calls[-1] == ("a", "answered")

    run(servers, body)


def test_a_host_that_does_not_take_connections_is_given_up_in_time(servers: list[ModelServer]) -> None:
    async def body(setting: Setting) -> None:
        with ExitStack() as stack:
            full = stack.enter_context(socket.socket())
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            for _ in range(3):  # The kernel queues one more than it was told; then it answers nobody.
                waiting = stack.enter_context(socket.socket())
                waiting.settimeout(0)
                waiting.connect_ex(full.getsockname())
            chain = setting.chain("a", base_url=f"http://127.0.0.1:{full.getsockname()[1]}/v1", connect_s=0.2)
            with pytest.raises(UnavailableError, match="cannot be reached"):
                await ask(chain)

    run(servers, body)


def test_the_unhealthy_are_left_alone_until_they_are_healthy(servers: list[ModelServer]) -> None:
    servers[0].options.models_status = 503

    async def body(setting: Setting) -> None:
        chain = setting.chain("a", "b")
        health = HealthChecks(chain.members, setting.telemetry)
        await health.check()
        assert setting.telemetry.healthy == {"a": 0, "b": 1}
        await ask(chain)
        assert setting.asked()[:2] == [0, 1]
        ill, well = (member.status() for member in chain.members)
        assert (ill.usable, well) == (False, ProviderStatus("b", usable=True, detail="healthy, circuit closed"))
        assert "HTTP 503" in ill.detail
        servers[0].options.models_status = 404  # Not every server has such a list; it is there, and that will do.
        await health.check()
        await ask(chain)
        assert setting.asked()[:2] == [1, 1]

    run(servers, body)


def test_who_asked_to_be_left_alone_is_not_called_healthy(servers: list[ModelServer]) -> None:
    servers[0].options.failures = [(429, {"Retry-After": "17"}, "{}")]

    async def body(setting: Setting) -> None:
        chain = setting.chain("a", "b")
        await ask(chain)
        setting.now += 5
        resting = ProviderStatus("a", usable=False, detail="it asked to be left alone for 12 s more, circuit closed")
        assert chain.members[0].status() == resting
        setting.now += 12
        assert chain.members[0].status() == ProviderStatus("a", usable=True, detail="healthy, circuit closed")

    run(servers, body)


def test_a_refused_key_is_told_of_and_the_provider_still_asked(servers: list[ModelServer]) -> None:
    servers[0].options.models_status = 401

    async def body(setting: Setting) -> None:
        chain = setting.chain("a", "b")
        health = HealthChecks(chain.members, setting.telemetry)
        await health.check()
        status = chain.members[0].status()
        assert not status.usable
        assert "check its api_key" in status.detail
        assert setting.telemetry.healthy == {"a": 0, "b": 1}
        await ask(chain)
        assert setting.asked()[:2] == [1, 0]  # What it answers says more than its list of models.
        servers[0].options.models_status = 200
        await health.check()
        assert chain.members[0].status().usable

    run(servers, body)


def test_health_is_asked_for_again_and_again_with_jitter(servers: list[ModelServer]) -> None:
    async def body(setting: Setting) -> None:
        waits: list[tuple[float, float]] = []

        def jitter(low: float, high: float) -> float:
            waits.append((low, high))
            return 0.0

        health = HealthChecks(setting.chain("a").members, setting.telemetry, jitter=jitter)
        await health.start()
        for _ in range(3):
            assert await asyncio.to_thread(servers[0].asked_for_models.acquire, timeout=10)
        await health.stop()
        assert set(waits) == {(0.8, 1.2)}

    run(servers, body)
