"""Rpc over core NATS: request and reply, announcements. Errors travel by name, spans by `traceparent`."""

import asyncio
import logging
from collections.abc import Callable

import msgspec
from msgspec import Struct

from adapters.jetstream import Broker, Msg, SilenceError
from contracts import subjects
from runtime.errors import InvalidError, OutcomeError, UnavailableError
from runtime.ports import Handler
from runtime.telemetry import SPAN_RPC, SPAN_SERVE, NoTelemetry, Telemetry

CALLS_MAX = 64  # calls of one service handled at once
WAITING_MAX = 1_000  # more of them wait; beyond that a caller is told at once that the service is busy
ERROR_HEADER = "Diarchy-Error"

_log = logging.getLogger(__name__)


class _Failure(Struct, omit_defaults=True):
    """The body of an error reply; `subject` is the field or the dependency, `told` what of the reason is for those outside."""

    reason: str
    subject: str = ""
    retry_after_s: int = 5
    told: str = ""


class NatsRpc:
    """An Rpc; services share one subject by queue group, so each request goes to one of them."""

    def __init__(
        self,
        broker: Broker,
        telemetry: Telemetry | None = None,
        *,
        calls_max: int = CALLS_MAX,
        waiting_max: int = WAITING_MAX,
    ) -> None:
        self._broker = broker
        self._calls_max = calls_max
        self._waiting_max = waiting_max
        self._telemetry = telemetry or NoTelemetry()

    async def call(self, subject: str, body: bytes, *, timeout_s: float) -> bytes:
        with self._telemetry.span(SPAN_RPC, attributes={"subject": subject}) as span:
            headers = {"traceparent": span.traceparent} if span.traceparent else None
            try:
                msg = await self._broker.request(subject, body, headers=headers, timeout_s=timeout_s)
            except SilenceError as silence:
                raise UnavailableError(subjects.served_by(subject), silence.reason) from silence
            name = (msg.headers or {}).get(ERROR_HEADER)
            if name is None:
                return msg.data
            error = _raised(name, msg.data)
            span.fail(str(error))
            raise error

    async def serve(self, subject: str, handler: Handler) -> None:
        free = asyncio.Semaphore(self._calls_max)
        waiting = 0

        async def answer(msg: Msg) -> None:
            nonlocal waiting
            try:
                async with free:
                    reply, headers = await self._handle(subject, handler, msg)
            finally:
                waiting -= 1
            await self._reply(msg, reply, headers)

        def take(msg: Msg) -> None:
            nonlocal waiting
            if waiting < self._calls_max + self._waiting_max:
                waiting += 1
                self._broker.spawn(answer(msg), name=f"serve {subject}")
            else:
                self._broker.spawn(self._reply(msg, *_failure(UnavailableError(subject, "too busy", 1))), name="busy")

        await self._broker.subscribe(subject, take, queue="services")
        await self._known()

    async def announce(self, subject: str, body: bytes) -> None:
        try:
            await self._broker.publish(subject, body)
        except UnavailableError as error:
            _log.debug("%s not announced: %s", subject, error)

    async def listen(self, subject: str, handler: Callable[[str, bytes], None]) -> None:
        def take(msg: Msg) -> None:
            try:
                handler(msg.subject, msg.data)
            except Exception:  # noqa: BLE001 - one listener's mistake must not end the subscription
                _log.exception("listening to %s failed", subject)

        await self._broker.subscribe(subject, take)

    async def _known(self) -> None:
        """Return when the server knows what this connection subscribed to: a message to ourselves, sent behind it, comes back.

        nats-py's own `flush` does not tell: its PING goes ahead of what still waits to be sent.
        """
        while True:
            await self._broker.wait_connected()
            reply, answer = self._broker.expect("our own inbox")
            try:
                self._broker.send(self._broker.checked(reply, b""))
                await answer
            except UnavailableError as error:
                _log.info("not served yet: %s", error)
            else:
                return
            finally:
                answer.cancel()

    async def _handle(self, subject: str, handler: Handler, msg: Msg) -> tuple[bytes, dict[str, str] | None]:
        parent = (msg.headers or {}).get("traceparent")
        with self._telemetry.span(f"{SPAN_SERVE} {subject}", parent=parent) as span:
            try:
                return await handler(msg.data), None
            except (UnavailableError, InvalidError, OutcomeError) as error:
                span.fail(str(error))
                return _failure(error)
            except Exception as error:  # noqa: BLE001 - the caller must get an answer, and never an exception's insides
                _log.exception("serving %s failed", subject)
                span.fail(type(error).__name__)
                return _failure(None)

    async def _reply(self, msg: Msg, body: bytes, headers: dict[str, str] | None) -> None:
        if not msg.reply:
            return
        try:
            await self._broker.publish(msg.reply, body, headers=headers)
        except InvalidError as error:
            await self._broker.publish(
                msg.reply, *(_failure(OutcomeError(str(error)))[:1]), headers={ERROR_HEADER: "outcome"}
            )
        except UnavailableError as error:
            _log.debug("reply lost: %s", error)


def _failure(error: UnavailableError | InvalidError | OutcomeError | None) -> tuple[bytes, dict[str, str]]:
    match error:
        case UnavailableError():
            name, failure = "unavailable", _Failure(str(error), error.dependency, error.retry_after_s, error.told)
        case InvalidError():
            name, failure = "invalid", _Failure(str(error), error.field)
        case OutcomeError():
            name, failure = "outcome", _Failure(str(error))
        case None:
            name, failure = "internal", _Failure("the service failed")
    return msgspec.json.encode(failure), {ERROR_HEADER: name}


def _raised(name: str, body: bytes) -> UnavailableError | InvalidError | OutcomeError:
    failure = msgspec.json.decode(body, type=_Failure)
    match name:
        case "invalid":
            return InvalidError(failure.reason, failure.subject)
        case "outcome":
            return OutcomeError(failure.reason)
        case _:
            prefix = f"{failure.subject} is unavailable: "
            reason = failure.reason.removeprefix(prefix)
            return UnavailableError(failure.subject or "service", reason, failure.retry_after_s, told=failure.told)
