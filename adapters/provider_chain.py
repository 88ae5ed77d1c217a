"""Several chat providers in groups: equals take turns, the next group is asked when none of one answers."""

import asyncio
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from contracts.chat import ChatReply, ChatRequest, Delta
from contracts.model import NOTHING_USED, Allowance, Prompt, ProviderStatus, Reply, Usage
from runtime import breaker
from runtime.breaker import Breaker, Policy
from runtime.errors import AllowanceError, FullError, KeyRefusedError, OutcomeError, UnavailableError
from runtime.model_names import Served, names_of
from runtime.model_ports import ANEW, Call, ChatCompletions, ChatModel, OnDelta
from runtime.telemetry import MODEL_COST_TOTAL, MODEL_TOKENS_TOTAL, PROVIDER_CALLS_TOTAL, NoTelemetry, Telemetry

BREAKS_MAX = 5  # answers to one call that broke off or are of no use: each costs
BROKEN_CALLS_MAX = 10_000  # of which that is remembered
_NONE_LOST = 0, NOTHING_USED
UNHEALTHY_S = 30  # when to ask again where only unhealthy providers are left
Answered = TypeVar("Answered", Reply, ChatReply)

_logger = logging.getLogger(__name__)


class Provider(ChatModel, ChatCompletions, Protocol):
    """One endpoint: a model for prompts and for chats."""

    async def check(self) -> None:
        """Whether it is there, at no cost. Raises UnavailableError, OutcomeError where it is and will answer nothing to us."""
        ...


class Member:
    """A provider and what is known of it: its breaker, until when it rests (it said so), of its last check whether it is `ill`
    (then it is not asked) or `refuses` us (it is: what it says then tells why), and whether the last call was `refused` for our
    key: to some the list of models, which is what a check asks for, is open to everybody."""

    def __init__(self, provider: Provider, clock: Callable[[], float]) -> None:
        self.provider = provider
        self._clock = clock
        self.breaker = Breaker()
        self.rests_until = 0.0
        self.ill = ""
        self.refuses = ""
        self.refused = ""

    @property
    def trouble(self) -> str:
        """What an operator should know of."""
        return self.ill or self.refuses or self.refused

    def refusal(self, policy: Policy) -> tuple[str, float] | None:
        """Why it is not asked now and for how many seconds; None: it may be, and a half-open place is taken."""
        now = self._clock()
        if self.ill:
            return f"unhealthy ({self.ill})", UNHEALTHY_S
        if now < self.rests_until:
            return "it asked to be left alone for a while", self.rests_until - now
        self.breaker, admitted = breaker.admit(self.breaker, policy, now)
        return None if admitted else ("its circuit is open", breaker.retry_after_s(self.breaker, policy, now))

    def status(self) -> ProviderStatus:
        """For health reports."""
        rests_s, mode = self.rests_until - self._clock(), self.breaker.mode
        troubles = [
            self.trouble,
            "its last calls failed, so it is left alone for a while" if mode == "open" else "",
            f"it asked to be left alone for {math.ceil(rests_s)} s more" if rests_s > 0 else "",
        ]
        trouble = "; ".join(filter(None, troubles))
        detail = f"{trouble or 'healthy'}, circuit {mode.replace('_', '-')}"
        return ProviderStatus(self.provider.name, not trouble, detail)


class Tried(Struct):
    """What a call has met on its way through the providers."""

    waits_s: list[float] = []
    reasons: list[str] = []
    unusable: OutcomeError | None = None

    def later(self, provider: str, reason: str, wait_s: float) -> None:
        """It may answer after a while."""
        self.reasons.append(f"{provider}: {reason}")
        self.waits_s.append(wait_s)

    def error(self) -> UnavailableError | OutcomeError:
        """UnavailableError if any may come back (the shortest wait), else the last OutcomeError."""
        if self.unusable is not None and not self.waits_s:
            return self.unusable
        wait_s = max(1, math.ceil(min(self.waits_s, default=5.0)))
        return UnavailableError("every model", "; ".join(self.reasons) or "none is configured", wait_s)


Ask = Callable[[Provider, Call], Awaitable[Answered]]


class _Told:
    """An OnDelta that knows whether it was told anything, and takes it back before another provider begins."""

    def __init__(self, on_delta: OnDelta | None) -> None:
        self._on_delta = on_delta
        self._begun = False

    @property
    def on_delta(self) -> OnDelta | None:
        """What to tell; None where nobody listens."""
        return None if self._on_delta is None else self

    def __call__(self, delta: Delta) -> None:
        if self._on_delta is not None:
            self._begun = True
            self._on_delta(delta)

    def begin(self) -> None:
        if self._begun:
            self(ANEW)
            self._begun = False


class ProviderChain:
    """Ordered fallback over groups, round robin within one, a circuit breaker a provider; itself a ChatModel and ChatCompletions.

    A prompt may be answered by any of them, a chat by those that its model's name means (`runtime/model_names.py`). `named` are
    the groups' names, empty for who stands alone.

    An unavailable provider and one that answers unusably both hand on to the next; only unavailability counts against its
    breaker, and of one call, however often it is repeated, once: a run that asks again and again while all are away for a moment
    does not have them left alone for a minute. One that answers 429 rests for as long as it said, which counts for nothing. When
    none answers: `Tried.error`. What unusable answers have cost, and those that broke off, is in the usage of the answer that
    was taken, or in the error, and is no longer there to be spent. A call whose answers break off or are of no use again and
    again has failed for good: OutcomeError. `last` then answers a prompt, if it is given; a chat is never had with another
    model than the one that was asked for.
    """

    def __init__(
        self,
        groups: Sequence[Sequence[Provider]],
        *,
        named: Sequence[str] = (),
        last: ChatModel | None = None,
        policy: Policy | None = None,
        clock: Callable[[], float] = time.monotonic,
        telemetry: Telemetry | None = None,
    ) -> None:
        self._groups = [[Member(provider, clock) for provider in group] for group in groups]
        if not self._groups or not all(self._groups):
            raise ValueError("a chain needs at least one model, and so does each of its groups")
        names = [*named, *[""] * len(groups)]
        served = [
            Served(provider.name, name, model)
            for name, group in zip(names, groups, strict=False)
            for provider in group
            for model in provider.models
        ]
        self._named = {one.name: frozenset(one.providers) for one in names_of(served)}
        self._last = last
        self._policy = policy or Policy()
        self._clock = clock
        self._telemetry = telemetry or NoTelemetry()
        self._turns = [0 for _ in groups]
        self._broken: OrderedDict[str, tuple[int, Usage]] = OrderedDict()

    @property
    def name(self) -> str:
        return " > ".join(" = ".join(member.provider.name for member in group) for group in self._groups)

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(self._named)

    @property
    def members(self) -> list[Member]:
        """All, in their order."""
        return [member for group in self._groups for member in group]

    async def complete(self, prompt: Prompt, call: Call) -> Reply:
        told = _Told(call.on_delta)
        try:
            return await self._first(None, call, told, lambda provider, call: provider.complete(prompt, call))
        except AllowanceError:
            raise  # What may be spent is spent: that ends a run, whoever could answer for nothing.
        except OutcomeError as error:
            if self._last is None:
                raise
            _logger.warning("%s answers instead: %s", self._last.name, error)
            told.begin()
            spent = replace(call, on_delta=told.on_delta, allowance=_less(call.allowance, error.usage))
            reply = await self._last.complete(prompt, spent)
            self._telemetry.count(PROVIDER_CALLS_TOTAL, provider=self._last.name, outcome="answered")
            return replace(reply, usage=error.usage + reply.usage)

    async def chat(self, request: ChatRequest, call: Call) -> ChatReply:
        told = _Told(call.on_delta)
        return await self._first(request.model, call, told, lambda provider, call: provider.chat(request, call))

    def _in_turn(self, model: str | None) -> Iterator[Member]:
        """Those that the name means, group by group; of a group another one comes first with each call."""
        meant = None if model is None else self._named.get(model, frozenset())
        for at, group in enumerate(self._groups):
            able = [member for member in group if meant is None or member.provider.name in meant]
            if able:
                start, self._turns[at] = self._turns[at] % len(able), self._turns[at] + 1
                yield from able[start:] + able[:start]

    async def _first(self, model: str | None, call: Call, told: _Told, ask: Ask[Answered]) -> Answered:
        key, tried = call.key, Tried()
        if self._broken.get(key, _NONE_LOST)[0] >= BREAKS_MAX:  # And then whoever asked gave up waiting.
            tried.unusable = OutcomeError(f"{BREAKS_MAX} answers were paid for and none is of use")
            raise self._given_up(tried, key)
        for member in self._in_turn(model):
            name = member.provider.name
            outcome = "answered"
            try:
                if refusal := member.refusal(self._policy):
                    outcome = "skipped"
                    tried.later(name, *refusal)
                    continue
                told.begin()
                left = _less(call.allowance, self._broken.get(key, _NONE_LOST)[1])
                asking = ask(member.provider, replace(call, on_delta=told.on_delta, allowance=left))
                answer = await self._watched(member, key, asking)
            except UnavailableError as error:
                outcome = "full" if isinstance(error, FullError) else "unavailable"
                tried.later(name, str(error), error.retry_after_s)
                self._lost(key, member, error.usage)
            except OutcomeError as error:
                outcome = "unusable"
                self._lost(key, member, error.usage)
                tried.reasons.append(f"{name}: {error}")
                tried.unusable = error
            else:
                self._count(member, answer.usage)
                _, paid = self._broken.pop(key, _NONE_LOST)
                return replace(answer, usage=paid + answer.usage)
            finally:
                self._telemetry.count(PROVIDER_CALLS_TOTAL, provider=name, outcome=outcome)
        raise self._given_up(tried, key)

    def _count(self, member: Member, usage: Usage) -> None:
        telemetry, provider = self._telemetry, member.provider
        labels = {"provider": provider.name, "model": provider.models[0]}
        telemetry.count(MODEL_TOKENS_TOTAL, usage.input_tokens, **labels, direction="input")
        telemetry.count(MODEL_TOKENS_TOTAL, usage.output_tokens, **labels, direction="output")
        telemetry.count(MODEL_COST_TOTAL, usage.cost_micros / 1e6, **labels)

    def _lost(self, key: str, member: Member, usage: Usage) -> None:
        """Something was paid for an answer of no use. Kept at once: whoever asks may give up waiting and ask again."""
        if usage != NOTHING_USED:
            self._count(member, usage)
            breaks, paid = self._broken.pop(key, _NONE_LOST)
            self._broken[key] = breaks + 1, paid + usage
            if len(self._broken) > BROKEN_CALLS_MAX:
                self._broken.popitem(last=False)

    def _given_up(self, tried: Tried, key: str) -> UnavailableError | OutcomeError:
        """The error of a call that nobody answered. What was of no use was paid for: not without end, and it is counted."""
        breaks, paid = self._broken.get(key, _NONE_LOST)
        error = tried.error()
        if isinstance(error, UnavailableError):
            if breaks < BREAKS_MAX:
                return error
            error = OutcomeError(f"{breaks} answers were paid for and none is of use: {error}")
        self._broken.pop(key, None)
        error.usage = paid
        return error

    async def _watched(self, member: Member, key: str, answering: Awaitable[Answered]) -> Answered:
        """The member's answer; its breaker is told how it went."""
        try:
            answer = await answering
        except FullError as error:
            member.rests_until = self._clock() + error.retry_after_s
            member.breaker = breaker.released(member.breaker)
            raise
        except UnavailableError:
            member.breaker = breaker.failed(member.breaker, self._policy, self._clock(), key)
            raise
        except OutcomeError as error:
            member.breaker = breaker.succeeded(member.breaker, self._policy)  # It is there; its answer is bad.
            if isinstance(error, KeyRefusedError):
                member.refused = "the key of its last call was refused: check its api_key"
            raise
        except asyncio.CancelledError:
            member.breaker = breaker.released(member.breaker)
            raise
        member.breaker, member.refused = breaker.succeeded(member.breaker, self._policy), ""
        return answer


def _less(allowance: Allowance | None, spent: Usage) -> Allowance | None:
    return None if allowance is None else allowance.less(spent)


class NamedModels:
    """ChatCompletions of several: the first that has a model of the wanted name is asked."""

    def __init__(self, *parts: ChatCompletions) -> None:
        self._parts = parts

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(model for part in self._parts for model in part.models))

    async def chat(self, request: ChatRequest, call: Call) -> ChatReply:
        for part in self._parts:
            if request.model in part.models:
                return await part.chat(request, call)
        raise OutcomeError(f"there is no model {request.model!r}; there are {', '.join(self.models)}")
