"""A connection that the worker has lost and the server takes for alive."""

import asyncio
from contextlib import suppress

from adapters.jetstream import Broker, connect
from adapters.jetstream_queue import JetStreamQueue
from contracts import subjects
from runtime.limits import Limits
from tests.contract.holding import ONE, holding
from tests.contract.records import record
from tests.servers import NatsServer, with_broker

ENDS = tuple[asyncio.StreamWriter, asyncio.StreamWriter]


class Path:
    """A way to the server that can break so that the server does not notice."""

    def __init__(self, server: NatsServer) -> None:
        self._port = int(server.url.rsplit(":", 1)[1])
        self._ends: list[ENDS] = []  # a far end that nobody keeps is closed
        self._broken: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> str:
        """The address of its near end."""
        self._listener = await asyncio.start_server(self._join, "127.0.0.1", 0)
        return f"nats://127.0.0.1:{self._listener.sockets[0].getsockname()[1]}"

    def tear(self) -> None:
        """Who came this way is cut off; the server's end stays open, and what it sends there is lost."""
        for near, _ in self._ends:
            self._broken.add(near)
            near.transport.abort()

    def close(self) -> None:
        self._listener.close()
        for task in self._tasks:
            task.cancel()

    async def _join(self, reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        far_reader, far = await asyncio.open_connection("127.0.0.1", self._port)
        self._ends.append((near, far))
        for source, target in ((reader, far), (far_reader, near)):
            self._tasks.add(asyncio.create_task(self._carry(source, target, near)))

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, near: object) -> None:
        with suppress(ConnectionError):
            while data := await source.read(65_536):
                if near not in self._broken:
                    target.write(data)


def test_a_connection_that_only_the_server_takes_for_alive_costs_no_order(own_server: NatsServer) -> None:
    """What was asked for on the old connection must not be answered there, beside what is asked for on the new one."""

    async def scenario(broker: Broker) -> None:
        path = Path(own_server)
        worker = await connect(await path.open(), user=own_server.user, password=own_server.password)
        queue, sent = JetStreamQueue(broker), [record(b"%d" % number) for number in range(32)]
        taken: asyncio.Queue[bytes] = asyncio.Queue()

        async def send(first: int, last: int) -> None:
            for one in sent[first:last]:
                await queue.publish(subjects.inbox(ONE), one)

        async def arrive(first: int, last: int) -> None:
            async with asyncio.timeout(Limits().ack_wait_s / 3):  # What is lost comes again after the whole of it.
                assert [await taken.get() for _ in sent[first:last]] == [one.body for one in sent[first:last]]

        async with holding(JetStreamQueue(worker)) as holder:

            async def take() -> None:
                while True:
                    delivery = await holder.next()
                    await delivery.ack()
                    taken.put_nowait(delivery.body)

            taking = asyncio.create_task(take())
            await send(0, 2)
            await arrive(0, 2)  # It has asked for many more by now: these came as the first of them.
            await holder.feed.lag()  # The answer comes after what it had ended.
            path.tear()
            await send(2, 3)
            await arrive(2, 3)  # It has connected again.
            await send(3, 32)
            await arrive(3, 32)
            taking.cancel()
            await asyncio.gather(taking, return_exceptions=True)
        assert taken.empty()
        await worker.stop()
        path.close()

    with_broker(own_server, scenario)
