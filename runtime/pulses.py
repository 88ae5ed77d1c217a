"""Pulses: which domains' workers live, as whoever listens to their heartbeats hears it."""

import asyncio
from collections.abc import Callable

import msgspec

from contracts import subjects
from contracts.agents import SILENT_S, Pulse
from contracts.domains import Domain
from runtime.membership import WORKERS_MAX, Heartbeat
from runtime.ports import Rpc

WORKING = tuple(domain for domain in Domain if domain is not Domain.EMBEDDING)

_decoder = msgspec.json.Decoder(Heartbeat)


class Pulses:
    """What was heard of the workers of each domain since `start`. A Runnable."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc
        self._heard: dict[Domain, dict[str, float]] = {domain: {} for domain in WORKING}

    async def start(self) -> None:
        for domain in WORKING:
            await self._rpc.listen(subjects.members(domain), self._taking(self._heard[domain]))

    async def stop(self) -> None:
        """What listens ends with its connection."""

    def of(self, domain: Domain) -> Pulse | None:
        """How many of its workers were heard in time, and how long ago the last one; None: none was."""
        now = asyncio.get_running_loop().time()
        ages = [now - heard for heard in self._heard.get(domain, {}).values() if now - heard <= SILENT_S]
        return Pulse(len(ages), round(min(ages), 3)) if ages else None

    def _taking(self, heard: dict[str, float]) -> Callable[[str, bytes], None]:
        def take(_subject: str, body: bytes) -> None:
            beat = _decoder.decode(body)
            if beat.leaving:
                heard.pop(beat.worker, None)
                return
            now = asyncio.get_running_loop().time()
            if beat.worker not in heard and len(heard) >= WORKERS_MAX:
                for worker in [one for one, at in heard.items() if now - at > SILENT_S]:
                    del heard[worker]
            if beat.worker in heard or len(heard) < WORKERS_MAX:
                heard[beat.worker] = now

        return take
