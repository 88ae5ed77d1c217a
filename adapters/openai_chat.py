"""A chat model behind any OpenAI-compatible HTTP interface (Ollama, vLLM, OpenRouter, OpenAI …)."""

import asyncio
import logging
import math
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import httpx
from msgspec import Struct
from msgspec.structs import replace

from adapters.openai_prompt import FormError, form, repair_of, reply_to, request_of
from adapters.openai_wire import ANSWER_CHARS_MAX, LINE_BYTES_MAX, Answer, body, events, tokens_of
from adapters.refusals import KEY_REFUSED, detailed, retry_after_s, told
from adapters.section_stream import SectionStream
from contracts.chat import ChatReply, ChatRequest
from contracts.model import Allowance, Prompt, Reply, Usage
from runtime.errors import AllowanceError, FullError, KeyRefusedError, OutcomeError, UnavailableError
from runtime.model_ports import ANEW, Call

HEALTH_S_MAX = 5.0
ERROR_BYTES_MAX = 65_536
OUTPUT_TOKENS_MIN = 16  # of an answer that is worth asking for
_FORM_REFUSED = (400, 413, 415, 422)
_LATER = (408, 409, 425)
_MAX_TOKENS = re.compile(rb"\bmax_tokens\b")

_logger = logging.getLogger(__name__)


class Endpoint(Struct, frozen=True, kw_only=True):
    """One model of one provider; `served_as`: what its server calls it, if not `model`.

    Prices are per million tokens, so in millionths of their currency per token. `first_s` is until the first piece of an answer,
    `between_s` from one to the next, `whole_s` for all of it.
    """

    name: str
    base_url: str
    model: str
    served_as: str = ""
    api_key: str = ""
    connect_s: float = 5.0
    first_s: float = 60.0
    between_s: float = 30.0
    whole_s: float = 120.0
    connections_max: int = 32
    context_tokens_max: int = 0  # 0: unknown
    input_price: float = 0.0
    output_price: float = 0.0

    @property
    def sent_model(self) -> str:
        return self.served_as or self.model

    def priced(self, usage: Usage) -> Usage:
        """The usage with its cost, rounded up."""
        cost = usage.input_tokens * self.input_price + usage.output_tokens * self.output_price
        return replace(usage, cost_micros=math.ceil(round(cost, 6)))


class OpenAiChat:
    """One endpoint. It never retries by itself: the caller does, with the same idempotency key.

    An answer is asked for piece by piece and taken only whole: what breaks off was no answer.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        timeouts = httpx.Timeout(None, connect=endpoint.connect_s, pool=endpoint.connect_s)
        pool = httpx.Limits(
            max_connections=endpoint.connections_max, max_keepalive_connections=endpoint.connections_max
        )
        self._http = httpx.AsyncClient(
            base_url=endpoint.base_url.rstrip("/") + "/",
            timeout=timeouts,
            limits=pool,
            headers={"Authorization": f"Bearer {endpoint.api_key or 'none'}", "Content-Type": "application/json"},
        )
        self._takes_schema = True
        self._takes_max_tokens = True

    @property
    def name(self) -> str:
        return self.endpoint.name

    @property
    def models(self) -> tuple[str, ...]:
        return (self.endpoint.model,)

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.aclose()

    async def check(self) -> None:
        """Ask for the list of models, which costs nothing. Raises UnavailableError when that does not work, OutcomeError when it
        does and our key is refused."""
        try:
            async with asyncio.timeout(HEALTH_S_MAX):
                response = await self._http.get("models")
        except (httpx.HTTPError, TimeoutError) as error:
            raise UnavailableError(
                self.name, f"its list of models cannot be had ({str(error) or 'no answer'})"
            ) from error
        if response.status_code in KEY_REFUSED:
            why = detailed(response.status_code, response.content, self.endpoint.api_key)
            raise KeyRefusedError(f"its key is refused ({why}): check its api_key")
        if response.status_code >= 500:
            raise UnavailableError(self.name, f"its list of models cannot be had (HTTP {response.status_code})")

    async def complete(self, prompt: Prompt, call: Call) -> Reply:
        """See ChatModel. What it answers in another form it is asked once to put into this one, for the little that costs."""
        request, ends_at = request_of(prompt, self.endpoint.sent_model), self._ends_at()

        async def ask(key: str, *, schema: bool) -> Reply:
            shown = None if call.on_delta is None else SectionStream(prompt, call.on_delta)
            wanted = replace(request, response_format=form(prompt, schema=schema))
            reply = await self._chat(wanted, replace(call, key=key, on_delta=shown), ends_at)
            bounded = call.allowance is not None and self._affordable(0, call.allowance) is not None
            if reply.finish_reason == "length" and bounded:
                raise AllowanceError(f"{self.name} could not finish its answer with what was left", reply.usage)
            try:
                return reply_to(prompt, reply, self.name)
            except FormError as error:
                repair = repair_of(prompt, reply.message.content, self.endpoint.sent_model)
                if repair is None:
                    raise
                if shown is not None and shown.shown and call.on_delta is not None:
                    call.on_delta(ANEW)
                wanted = replace(repair, response_format=wanted.response_format)
                return await self._repaired(prompt, wanted, replace(call, key=f"{key}-form"), ends_at, error)

        if self._takes_schema:
            try:
                return await ask(call.key, schema=True)
            except _FormRefusedError:
                pass
        # A server that knows no JSON schema refused before it answered: nothing was paid for, and the body differs now.
        reply = await ask(f"{call.key}-json", schema=False)
        self._takes_schema = False
        return reply

    async def _repaired(
        self, prompt: Prompt, request: ChatRequest, call: Call, ends_at: float, failure: FormError
    ) -> Reply:
        """What it wrote, in the form; where that does not work, too, the first failure with what both have cost."""
        shown = None if call.on_delta is None else SectionStream(prompt, call.on_delta)
        allowance = None if call.allowance is None else call.allowance.less(failure.usage)
        try:
            reply = await self._chat(request, replace(call, allowance=allowance, on_delta=shown), ends_at)
            reply = replace(reply, usage=failure.usage + reply.usage)
            return reply_to(prompt, reply, self.name)
        except FormError as error:
            failure.usage = error.usage
        except (OutcomeError, UnavailableError) as error:
            failure.usage += error.usage
        raise failure

    def _ends_at(self) -> float:
        return asyncio.get_running_loop().time() + self.endpoint.whole_s

    async def chat(self, request: ChatRequest, call: Call) -> ChatReply:
        return await self._chat(request, call, self._ends_at())

    async def _chat(self, request: ChatRequest, call: Call, ends_at: float) -> ChatReply:
        asked = tokens_of(request)
        tokens_max = self._tokens_max(request, asked, call.allowance)

        async def ask(key: str, *, older: bool) -> ChatReply:
            content = body(request, self.endpoint.sent_model, tokens_max, older=older)
            answer = Answer(self.name, self.endpoint.sent_model, asked, call.on_delta)
            return await self._answer(content, answer, key, ends_at)

        if self._takes_max_tokens:
            try:
                return await ask(call.key, older=True)
            except _BoundRefusedError:
                if tokens_max is None:
                    raise
        reply = await ask(f"{call.key}-bound", older=False)  # Another body, so another key, as in `complete`.
        self._takes_max_tokens = False
        return reply

    async def _answer(self, content: bytes, answer: Answer, key: str, ends_at: float) -> ChatReply:
        try:
            async with self._in_time(answer, ends_at) as limit, self._posted(content, key) as response:
                if response.status_code != 200:
                    raise await self._error(response)
                async for data in self._pieces(response):
                    answer.take(data)
                    limit.taken()
            reply = answer.reply()
        except (OutcomeError, UnavailableError) as error:
            error.usage = self.endpoint.priced(error.usage)
            raise
        except httpx.PoolTimeout as error:
            raise FullError(self.name, f"its {self.endpoint.connections_max} connections are all in use", 1) from error
        except httpx.HTTPError as error:
            what = "its answer broke off" if answer.begun else "cannot be reached"
            raise UnavailableError(
                self.name, f"{what} ({str(error) or type(error).__name__})", usage=self.endpoint.priced(answer.paid)
            ) from error
        return replace(reply, usage=self.endpoint.priced(reply.usage))

    def _tokens_max(self, request: ChatRequest, asked: int, allowance: Allowance | None) -> int | None:
        """How long the answer may be at most. Raises OutcomeError when there is no room for one."""
        bounds = [request.tokens_max] if request.tokens_max else []
        if window := self.endpoint.context_tokens_max:
            if window - asked < OUTPUT_TOKENS_MIN:
                raise OutcomeError(
                    f"{self.name} takes {window} tokens at once; about {asked} are asked of it", code="refused"
                )
            bounds += [window - asked] if bounds else []  # Else the provider fills its window as it likes.
        if allowance is not None and (affordable := self._affordable(asked, allowance)) is not None:
            if affordable < OUTPUT_TOKENS_MIN:
                raise AllowanceError(
                    f"what is left does not do for {self.name}, of which about {asked} tokens are asked"
                )
            bounds.append(affordable)
        return min(bounds, default=None)

    def _affordable(self, asked: int, allowance: Allowance) -> int | None:
        """The tokens of an answer that the allowance does for, at this endpoint's prices; None: as many as it likes."""
        bounds: list[int] = []
        if allowance.tokens is not None:
            bounds.append(allowance.tokens - asked)
        if allowance.cost_micros is not None:
            left = allowance.cost_micros - asked * self.endpoint.input_price
            if left < 0:
                bounds.append(0)
            elif self.endpoint.output_price > 0:
                bounds.append(int(left / self.endpoint.output_price))
        return min(bounds, default=None)

    @asynccontextmanager
    async def _in_time(self, answer: Answer, ends_at: float) -> AsyncIterator["_Limit"]:
        """Ends what takes too long: to its first piece, between two, or as a whole."""
        limit = _Limit(self.endpoint, ends_at)
        try:
            async with limit.scope:
                yield limit
        except TimeoutError as error:
            what = "no further piece of an answer" if answer.begun else "no answer"
            raise UnavailableError(self.name, f"{what} within {limit.what}", usage=answer.paid) from error

    @asynccontextmanager
    async def _posted(self, content: bytes, key: str) -> AsyncIterator[httpx.Response]:
        headers = {"Idempotency-Key": key, "Accept": "text/event-stream, application/json"}
        async with self._http.stream("POST", "chat/completions", content=content, headers=headers) as response:
            yield response

    async def _pieces(self, response: httpx.Response) -> AsyncIterator[bytes]:
        """The chunks of the answer, or the whole one as the only chunk where the server does not stream."""
        if response.headers.get("content-type", "").startswith("text/event-stream"):
            async for data in events(response.aiter_bytes(), self.name):
                yield data
        else:
            yield await self._all(response, ANSWER_CHARS_MAX + LINE_BYTES_MAX)

    async def _all(self, response: httpx.Response, bytes_max: int) -> bytes:
        held = await _beginning(response, bytes_max + 1)
        if len(held) > bytes_max:
            raise OutcomeError(f"{self.name} answered more than {bytes_max} bytes")
        return held

    async def _error(self, response: httpx.Response) -> UnavailableError | OutcomeError:
        status, key = response.status_code, self.endpoint.api_key
        body = await _beginning(response, ERROR_BYTES_MAX)
        text = told(status, body, key)
        after_s = retry_after_s(response.headers.get("retry-after"), datetime.now(UTC))
        if status == 429:
            return FullError(self.name, text, after_s)
        if status >= 500 or status in _LATER:
            return UnavailableError(self.name, text, after_s)
        if status in KEY_REFUSED:
            _logger.warning("%s refused the request: %s", self.name, detailed(status, body, key))
            return KeyRefusedError(f"{self.name} refused the request: {text}")
        why = f"{self.name} refused the request: {text}"
        if status == 400 and _MAX_TOKENS.search(body):
            return _BoundRefusedError(why)
        return _FormRefusedError(why) if status in _FORM_REFUSED else OutcomeError(why)


async def _beginning(response: httpx.Response, bytes_max: int) -> bytes:
    """The body, or so much of it."""
    held = bytearray()
    async for more in response.aiter_bytes():
        held += more
        if len(held) >= bytes_max:
            break
    return bytes(held[:bytes_max])


class _FormRefusedError(OutcomeError):
    """The server refused the request as it was written, before it answered."""

    code = "refused"


class _BoundRefusedError(_FormRefusedError):
    """It named `max_tokens`: some models know the bound of an answer by its newer name only."""


class _Limit:
    """The next moment at which an answer takes too long."""

    def __init__(self, endpoint: Endpoint, ends_at: float) -> None:
        self._endpoint = endpoint
        self._ends_at = ends_at
        self._seconds = 0.0
        self.scope = asyncio.timeout_at(self._next_at(endpoint.first_s))

    @property
    def what(self) -> str:
        return f"{self._seconds:g} s"

    def taken(self) -> None:
        """A piece came."""
        self.scope.reschedule(self._next_at(self._endpoint.between_s))

    def _next_at(self, wait_s: float) -> float:
        """When it takes too long: after a wait, at the latest when the whole does."""
        next_at = asyncio.get_running_loop().time() + wait_s
        self._seconds = wait_s if next_at < self._ends_at else self._endpoint.whole_s
        return min(next_at, self._ends_at)
