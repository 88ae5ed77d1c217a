"""Health checks of chat providers: one that does not answer them is left alone until it does."""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence

import msgspec

from adapters.provider_chain import Member
from contracts import subjects
from contracts.domains import Domain
from runtime.errors import OutcomeError, UnavailableError
from runtime.ports import Rpc
from runtime.telemetry import PROVIDER_HEALTHY, Telemetry

CHECK_EVERY_S = 30.0
JITTER = 0.2  # a share of it: the processes of a system shall not all ask at once

_logger = logging.getLogger(__name__)


class HealthChecks:
    """Asks every provider when started and every 30 s, give or take a fifth, for its list of models. A Runnable."""

    def __init__(
        self,
        members: Sequence[Member],
        telemetry: Telemetry,
        *,
        every_s: float = CHECK_EVERY_S,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._members = members
        self._telemetry = telemetry
        self._every_s = every_s
        self._jitter = jitter
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._forever(), name="health of chat providers")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def serve(self, rpc: Rpc, domain: Domain) -> None:
        """Tell whoever asks how the providers are."""

        async def answer(_: bytes) -> bytes:
            return msgspec.json.encode([member.status() for member in self._members])

        await rpc.serve(subjects.providers(domain), answer)

    async def check(self) -> None:
        """Ask all of them once, at the same time."""
        await asyncio.gather(*(self._one(member) for member in self._members))

    async def _forever(self) -> None:
        while True:
            await self.check()
            await asyncio.sleep(self._every_s * self._jitter(1 - JITTER, 1 + JITTER))

    async def _one(self, member: Member) -> None:
        was, ill, refuses = bool(member.trouble), "", ""
        try:
            await member.provider.check()
        except UnavailableError as error:
            ill = str(error)
        except OutcomeError as error:
            refuses = str(error)
        except Exception:  # Whatever one provider makes the client raise, the others are asked on.
            _logger.exception("checking %s failed", member.provider.name)
            ill = "its check failed"
        member.ill, member.refuses = ill, refuses
        trouble = member.trouble
        if was != bool(trouble):
            _logger.warning("%s: %s", member.provider.name, trouble or "healthy again")
        self._telemetry.gauge(PROVIDER_HEALTHY, 0 if trouble else 1, provider=member.provider.name)
