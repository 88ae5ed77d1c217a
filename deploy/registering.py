"""A domain's worker says at its start which agents it runs. It goes on without waiting: who is not heard in time is late."""

import asyncio
import logging

import msgspec

from actors.agents import profiles
from contracts import subjects
from contracts.agents import REGISTRY, RegisterAgents
from contracts.catalogue import tag
from contracts.domains import Clearance, Domain
from contracts.envelope import Envelope, Record
from contracts.ids import new_id
from contracts.subjects import actor_ref
from deploy.clock import now
from runtime.errors import UnavailableError
from runtime.ports import Queue

AGAIN_S = 5.0

_logger = logging.getLogger(__name__)


class Registration:
    """Registers the agents of a domain, once. A Runnable."""

    def __init__(self, domain: Domain, queue: Queue) -> None:
        self._domain = domain
        self._queue = queue
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        if profiles(self._domain):
            self._task = asyncio.create_task(self._register(), name=f"register {self._domain.value}")

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _register(self) -> None:
        actor = actor_ref(Domain.SYSTEM, REGISTRY, self._domain.value)
        message, identity = RegisterAgents(profiles=profiles(self._domain)), new_id()
        envelope = Envelope(
            id=identity,
            type=tag(RegisterAgents),
            time=now(),
            correlation=identity,
            principal="system",
            source=self._domain,
            target=Domain.SYSTEM,
            clearance=Clearance.PUBLIC,
            label=Clearance.PUBLIC,
        )
        while True:
            try:
                await self._queue.publish(subjects.inbox(actor), Record(envelope, msgspec.json.encode(message)))
            except UnavailableError as error:
                _logger.warning("registering the agents of %s again: %s", self._domain.value, error)
                await asyncio.sleep(AGAIN_S)
            else:
                return
