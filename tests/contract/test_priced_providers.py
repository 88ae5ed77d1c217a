"""What a chain of providers charges, and how it keeps to what may be spent: over real HTTP."""

import asyncio
from typing import Any

import pytest
from msgspec import Raw
from msgspec.structs import replace

from adapters.openai_prompt import form, request_of
from adapters.openai_wire import tokens_of
from adapters.provider_chain import BREAKS_MAX, ProviderChain
from contracts.chat import ChatMessage, ResponseFormat, ToolSpec
from contracts.model import Allowance, Usage
from runtime.errors import AllowanceError, OutcomeError, UnavailableError
from runtime.model_ports import Call
from tests.model_server import Fault, ModelServer
from tests.providers import ASKED, PROMPT, Setting, ask, run

PRICED: dict[str, Any] = {"input_price": 2.0, "output_price": 10.0}


def test_a_call_is_priced_and_what_unusable_answers_cost_is_counted_in(servers: list[ModelServer]) -> None:
    servers[0].options.faults = [Fault("text", after=9, text="data: nonsense\n\n")]

    async def body(setting: Setting) -> None:
        alone = (await ask(setting.chain("c", **PRICED))).usage
        assert alone.cost_micros == alone.input_tokens * 2 + alone.output_tokens * 10 > 0
        both = (await ask(setting.chain("a", "b", **PRICED))).usage
        assert both.tokens > alone.tokens
        assert both.cost_micros > alone.cost_micros
        assert (alone.estimated, both.estimated) == (False, True)

    run(servers, body)


def test_answers_that_break_off_are_paid_for_and_not_asked_for_without_end(servers: list[ModelServer]) -> None:
    servers[0].options.faults = [Fault("reset", after=9), Fault("end", after=9), *[Fault("end", after=9)] * BREAKS_MAX]

    async def body(setting: Setting) -> None:
        chain = setting.chain("a", **PRICED)
        alone = (await ask(setting.chain("b", **PRICED))).usage
        for _ in range(2):
            with pytest.raises(UnavailableError, match="broke off"):
                await ask(chain)
        servers[0].options.faults, later = [], servers[0].options.faults
        both = (await ask(chain)).usage
        assert both.cost_micros > 2 * alone.cost_micros
        assert (await ask(chain)).usage == alone  # What was lost is counted once.
        servers[0].options.faults = later
        for _ in range(BREAKS_MAX - 1):
            setting.now += 60
            with pytest.raises(UnavailableError):
                await ask(chain, key="other")
        with pytest.raises(OutcomeError, match=f"{BREAKS_MAX} answers were paid for") as caught:
            await ask(chain, key="other")
        assert caught.value.usage.input_tokens == BREAKS_MAX * tokens_of(ASKED)

    run(servers, body)


def test_nonsense_from_one_is_not_paid_for_without_end_while_the_other_is_away(servers: list[ModelServer]) -> None:
    servers[0].options.faults = [Fault("text", after=9, text="data: nonsense\n\n")] * BREAKS_MAX
    servers[1].options.failures = [(503, {}, "")] * BREAKS_MAX

    async def body(setting: Setting) -> None:
        chain = setting.chain("a", "b", **PRICED)
        for _ in range(BREAKS_MAX - 1):
            with pytest.raises(UnavailableError):
                await ask(chain)
        with pytest.raises(OutcomeError, match=f"{BREAKS_MAX} answers were paid for"):
            await ask(chain)

    run(servers, body)


def test_an_answer_is_never_longer_than_what_may_be_spent(servers: list[ModelServer]) -> None:
    async def body(setting: Setting) -> None:
        chain = setting.chain("a", **PRICED)
        asked = tokens_of(ASKED)
        for allowance, tokens_max in (
            (Allowance(tokens=100), 100 - asked),
            (Allowance(cost_micros=asked * 2 + 505), 50),
            (Allowance(tokens=100, cost_micros=asked * 2 + 205), 20),
        ):
            await ask(chain, allowance=allowance)
            assert servers[0].bodies[-1]["max_tokens"] == tokens_max
        with pytest.raises(AllowanceError, match="does not do for a"):
            await ask(chain, allowance=Allowance(tokens=asked + 5))
        assert setting.asked()[0] == 3
        needed = tokens_of(replace(request_of(PROMPT, "m"), response_format=form(PROMPT, schema=True)))
        with pytest.raises(AllowanceError, match="could not finish"):
            await chain.complete(PROMPT, Call("k", allowance=Allowance(tokens=needed + 20)))
        short = setting.chain("b", context_tokens_max=asked + 2)
        with pytest.raises(OutcomeError, match="tokens at once"):
            await ask(short)

    run(servers, body)


def test_what_an_unusable_answer_cost_is_no_longer_there_for_the_next_provider(servers: list[ModelServer]) -> None:
    servers[0].options.faults = [Fault("text", after=9, text="data: nonsense\n\n")]

    async def body(setting: Setting) -> None:
        chain = setting.chain("a", "b", "c", **PRICED)
        asked = tokens_of(ASKED)
        reply = await ask(chain, allowance=Allowance(tokens=100))
        lost = servers[1].bodies[0]["max_tokens"] - (100 - asked)
        assert lost < -asked
        assert reply.usage.tokens <= 100
        servers[0].options.faults = [Fault("text", after=9, text="data: nonsense\n\n")]
        with pytest.raises(AllowanceError, match="does not do for c") as caught:
            await ask(chain, allowance=Allowance(tokens=2 * asked + 20))
        assert caught.value.usage.tokens > 0
        assert setting.asked() == [2, 1, 0]

    run(servers, body)


def test_a_call_that_cannot_fit_is_not_begun(servers: list[ModelServer]) -> None:
    """Its tools, its form and letters of several bytes count, too."""
    tool = ToolSpec(name="weather", description="The weather of a city. " * 20)
    schema = ResponseFormat(type="json_schema", json_schema=Raw(b'{"schema": {"description": "%s"}}' % (b"long " * 80)))
    said = (ChatMessage(role="user", content="\u5929\u6c14" * 60),)

    async def body(setting: Setting) -> None:
        chain = setting.chain("a")
        for request in (
            replace(ASKED, tools=(tool,)),
            replace(ASKED, response_format=schema),
            replace(ASKED, messages=said),
            replace(ASKED, messages=ASKED.messages * 12),
        ):
            with pytest.raises(AllowanceError, match="does not do for a"):
                await chain.chat(request, Call("k", allowance=Allowance(tokens=100)))
        assert setting.asked()[0] == 0

    run(servers, body)


def test_a_cheaper_provider_is_asked_where_the_dearer_one_does_not_fit(servers: list[ModelServer]) -> None:
    async def body(setting: Setting) -> None:
        dear = setting.chain("a", input_price=1_000.0).members[0].provider
        cheap = setting.chain("b", input_price=1.0).members[0].provider
        chain = ProviderChain([[dear], [cheap]])
        reply = await ask(chain, allowance=Allowance(cost_micros=500))
        assert reply.usage == replace(reply.usage, cost_micros=reply.usage.input_tokens)
        assert setting.asked()[:2] == [0, 1]
        assert reply.usage != Usage()

    run(servers, body)


def test_what_was_paid_is_remembered_of_a_call_that_is_given_up(servers: list[ModelServer]) -> None:
    servers[0].options.faults = [Fault("text", after=9, text="data: nonsense\n\n")] * BREAKS_MAX
    servers[1].options.faults = [Fault("hang")] * BREAKS_MAX

    async def body(setting: Setting) -> None:
        chain = setting.chain("a", "b", **PRICED)
        for _ in range(BREAKS_MAX):
            servers[1].hanging.clear()
            call = asyncio.create_task(ask(chain))
            assert await asyncio.to_thread(servers[1].hanging.wait, 10)
            call.cancel()
            await asyncio.wait([call])
        with pytest.raises(OutcomeError, match=f"{BREAKS_MAX} answers were paid for") as caught:
            await ask(chain)
        assert caught.value.usage.input_tokens == BREAKS_MAX * tokens_of(ASKED)
        assert setting.asked()[:2] == [BREAKS_MAX, BREAKS_MAX]

    run(servers, body)


@pytest.mark.parametrize(
    "refused", ["'max_tokens' is not supported; use 'max_completion_tokens'", "max_tokens is unknown"]
)
def test_the_newer_name_of_the_bound_is_taken_and_remembered(servers: list[ModelServer], refused: str) -> None:
    servers[0].options.failures = [(400, {}, refused)]

    async def body(setting: Setting) -> None:
        chain = setting.chain("a")
        for _ in range(2):
            await ask(chain, allowance=Allowance(tokens=100))
        names = [sorted(name for name in body if name.startswith("max_")) for body in servers[0].bodies]
        assert names == [["max_tokens"], ["max_completion_tokens"], ["max_completion_tokens"]]
        assert [call.key for call in servers[0].calls] == ["key", "key-bound", "key-bound"]
        servers[1].options.failures = [(400, {}, refused)]
        with pytest.raises(OutcomeError, match="max_tokens"):  # No bound was sent: there is nothing to name otherwise.
            await ask(setting.chain("b"))

    run(servers, body)
