"""Rpc: one suite for every adapter."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import MappingProxyType

import pytest

from adapters.jetstream_rpc import NatsRpc
from contracts import subjects
from contracts.domains import Domain
from runtime.errors import InvalidError, OutcomeError, UnavailableError
from runtime.telemetry import SPAN_RPC, SPAN_SERVE, Attributes, NoTelemetry, Span
from tests.contract.conftest import Run, World
from tests.servers import NatsServer, connected

SUBJECT = subjects.service(Domain.EMBEDDING, "echo")


async def echo(body: bytes) -> bytes:
    return body[::-1]


def test_a_call_is_answered(run: Run) -> None:
    async def scenario(world: World) -> None:
        rpc = world.rpc(None)
        await rpc.serve(SUBJECT, echo)
        assert await rpc.call(SUBJECT, b"abc", timeout_s=5) == b"cba"
        assert await rpc.call(SUBJECT, b"", timeout_s=5) == b""

    run(scenario)


def test_nobody_there_is_known_at_once(run: Run) -> None:
    async def scenario(world: World) -> None:
        async with asyncio.timeout(20):  # sooner than the call gives up
            with pytest.raises(
                UnavailableError, match=rf"^embedding service is unavailable: nobody answers on {SUBJECT}$"
            ):
                await world.rpc(None).call(SUBJECT, b"", timeout_s=30)

    run(scenario)


def test_who_serves_is_reached_at_once(nats_server: NatsServer) -> None:
    """Asked over another connection, while the process of the service takes not one step more."""

    async def asked() -> None:
        async with connected(nats_server) as broker:
            with pytest.raises(UnavailableError, match=r"no answer on .* in 0\.1 s$"):  # And not: nobody answers.
                await NatsRpc(broker).call(SUBJECT, b"", timeout_s=0.1)

    async def main() -> None:
        async with connected(nats_server) as broker:
            await NatsRpc(broker).serve(SUBJECT, echo)
            with ThreadPoolExecutor(1) as elsewhere:
                elsewhere.submit(asyncio.run, asked()).result()

    asyncio.run(main())


def test_a_late_answer_is_none(run: Run) -> None:
    async def scenario(world: World) -> None:
        rpc, never = world.rpc(None), asyncio.Event()

        async def hang(body: bytes) -> bytes:
            await never.wait()
            return body

        await rpc.serve(SUBJECT, hang)
        with pytest.raises(
            UnavailableError, match=rf"^embedding service is unavailable: no answer on {SUBJECT} in 0.05 s$"
        ):
            await rpc.call(SUBJECT, b"", timeout_s=0.05)

    run(scenario)


def test_errors_travel_by_name(run: Run) -> None:
    async def scenario(world: World) -> None:
        rpc = world.rpc(None)
        errors = {
            b"unavailable": UnavailableError("vector store", "starting", 9),
            b"told": UnavailableError("vector index", "at 10.0.0.1", told="it is being built anew"),
            b"invalid": InvalidError("must not be empty", "$.text"),
            b"outcome": OutcomeError("no such model"),
            b"bug": ZeroDivisionError("secret detail"),
        }

        async def fail(body: bytes) -> bytes:
            raise errors[body]

        await rpc.serve(SUBJECT, fail)
        with pytest.raises(UnavailableError, match=r"^vector store is unavailable: starting$") as unavailable:
            await rpc.call(SUBJECT, b"unavailable", timeout_s=5)
        assert (unavailable.value.dependency, unavailable.value.retry_after_s) == ("vector store", 9)
        assert unavailable.value.told == ""
        with pytest.raises(UnavailableError, match=r"^vector index is unavailable: at 10\.0\.0\.1$") as told:
            await rpc.call(SUBJECT, b"told", timeout_s=5)
        assert told.value.told == "it is being built anew"
        with pytest.raises(InvalidError, match=r"^must not be empty$") as invalid:
            await rpc.call(SUBJECT, b"invalid", timeout_s=5)
        assert invalid.value.field == "$.text"
        with pytest.raises(OutcomeError, match=r"^no such model$"):
            await rpc.call(SUBJECT, b"outcome", timeout_s=5)
        with pytest.raises(UnavailableError) as bug:
            await rpc.call(SUBJECT, b"bug", timeout_s=5)
        assert "secret" not in str(bug.value)

    run(scenario)


def test_calls_are_handled_at_the_same_time(run: Run) -> None:
    async def scenario(world: World) -> None:
        rpc, everybody = world.rpc(None), asyncio.Barrier(20)

        async def meet(body: bytes) -> bytes:
            await everybody.wait()
            return body

        await rpc.serve(SUBJECT, meet)
        bodies = [str(number).encode() for number in range(20)]
        assert await asyncio.gather(*(rpc.call(SUBJECT, body, timeout_s=5) for body in bodies)) == bodies

    run(scenario)


def test_not_all_calls_are_handled_at_the_same_time(run: Run) -> None:
    async def scenario(world: World) -> None:
        rpc, running, most = world.rpc(None), 0, 0

        async def count(body: bytes) -> bytes:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            running -= 1
            return body

        await rpc.serve(SUBJECT, count)
        await asyncio.gather(*(rpc.call(SUBJECT, b"", timeout_s=5) for _ in range(500)))
        assert most <= 64

    run(scenario)


def test_announcements_reach_whoever_listens(run: Run) -> None:
    async def scenario(world: World) -> None:
        rpc = world.rpc(None)
        heard: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()

        def broken(_subject: str, _body: bytes) -> None:
            raise ZeroDivisionError

        await rpc.announce(subjects.projected(Domain.CEO), b"nobody")
        await rpc.listen("system.projected.*", broken)
        await rpc.listen("system.projected.*", lambda subject, body: heard.put_nowait((subject, body)))
        for domain in (Domain.CEO, Domain.SOPHIA):
            await rpc.announce(subjects.projected(domain), b"7")
            assert await heard.get() == (subjects.projected(domain), b"7")

    run(scenario)


class _Recorder(NoTelemetry):
    """Every span's name and parent; a span's traceparent is its name."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, str | None]] = []

    @contextmanager
    def span(
        self,
        name: str,
        *,
        parent: str | None = None,
        run: str | None = None,
        seed: str | None = None,
        attributes: Attributes = MappingProxyType({}),
    ) -> Iterator[Span]:
        self.spans.append((name, parent))
        with super().span(name, parent=name, run=run, seed=seed, attributes=attributes) as span:
            yield span


def test_the_servers_span_is_a_child_of_the_callers(run: Run) -> None:
    async def scenario(world: World) -> None:
        telemetry = _Recorder()
        rpc = world.rpc(telemetry)
        await rpc.serve(SUBJECT, echo)
        await rpc.call(SUBJECT, b"", timeout_s=5)
        assert telemetry.spans == [(SPAN_RPC, None), (f"{SPAN_SERVE} {SUBJECT}", SPAN_RPC)]

    run(scenario)
