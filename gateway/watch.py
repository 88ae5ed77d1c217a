"""How far the read models have come, as the projector announces it: so that a GET after a POST sees what was posted."""

import asyncio
import contextlib

from contracts import subjects
from contracts.domains import Domain
from runtime.ports import Rpc


class ProjectionWatch:
    """Listens to the projector and lets a request wait until a domain's log is projected up to a sequence."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc
        self._reached: dict[Domain, int] = dict.fromkeys(Domain, 0)
        self._lagging: set[Domain] = set()
        self._advanced = asyncio.Event()

    async def start(self) -> None:
        """Begin to listen; ends with the connection."""
        for domain in Domain:
            await self._rpc.listen(subjects.projected(domain), self._heard)

    async def stop(self) -> None:
        """Nothing to end: the subscription belongs to the connection."""

    def _heard(self, subject: str, body: bytes) -> None:
        domain = next((known for known in Domain if subjects.projected(known) == subject), None)
        if domain is None or not body.isdigit():
            return
        self._reached[domain] = max(self._reached[domain], int(body))
        self._lagging.discard(domain)
        self._advanced.set()
        self._advanced = asyncio.Event()

    async def advance(self, *, timeout_s: float) -> None:
        """Return when anything more was projected, or after `timeout_s`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._advanced.wait()

    async def reached(self, domain: Domain, sequence: int, *, timeout_s: float) -> bool:
        """Whether the read models of `domain` hold `sequence`; waits up to `timeout_s`.

        A projector that was once waited for in vain is not waited for again until it is heard of: its silence must not slow
        every request down.
        """
        if self._reached[domain] >= sequence:
            return True
        if domain in self._lagging:
            return False
        try:
            async with asyncio.timeout(timeout_s):
                while self._reached[domain] < sequence:
                    await self._advanced.wait()
        except TimeoutError:
            self._lagging.add(domain)
            return False
        return True
