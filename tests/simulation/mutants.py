"""Three bugs, planted on purpose. A simulation that does not find them would not find others either."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest import mock

from runtime.consumer import Consumer
from runtime.errors import UnavailableError
from runtime.handled import Handled
from runtime.near import NearDelivery
from runtime.ports import Delivery


@contextmanager
def no_message_id_check() -> Iterator[None]:
    """A message is not looked for among those that were handled before."""

    def nothing_known(_handled: Handled, _identity: str) -> bool:
        return False

    with mock.patch.object(Handled, "__contains__", nothing_known):
        yield


@contextmanager
def acknowledged_before_commit() -> Iterator[None]:
    """A message is ended before it is handled."""
    handle: Any = Consumer._try

    async def acknowledge_first(consumer: Consumer, state: Any, delivery: Delivery) -> None:
        if not isinstance(delivery, NearDelivery):
            await delivery.ack()
        await handle(consumer, state, delivery)

    with mock.patch.object(Consumer, "_try", acknowledge_first):
        yield


@contextmanager
def no_reset_after_a_pin() -> Iterator[None]:
    """What the broker hands out under a new pin is taken as it comes."""

    async def take_as_it_comes(consumer: Consumer, _partition: int, state: Any) -> None:
        await consumer._until_available(state.feed.open)
        while True:
            try:
                delivery = await state.feed.take()
            except UnavailableError:
                continue
            known = delivery.sequence in state.held
            state.held[delivery.sequence] = delivery
            if not known:
                consumer._put(state, delivery)

    with mock.patch.object(Consumer, "_hold", take_as_it_comes):
        yield


MUTANTS: dict[str, Callable[[], AbstractContextManager[None]]] = {
    "no message id check": no_message_id_check,
    "acknowledged before commit": acknowledged_before_commit,
    "no reset after a pin": no_reset_after_a_pin,
}
