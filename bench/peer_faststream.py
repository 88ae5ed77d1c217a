"""FastStream's JetStream pull, consuming only: run by `bench.kernel` with an interpreter that has FastStream.

python -P bench/peer_faststream.py URL STREAM SUBJECTS COUNT
"""

import asyncio
import sys
import time

from faststream.nats import JStream, NatsBroker, PullSub  # type: ignore[import-not-found] # installed for this benchmark

BATCH = 256


async def main(url: str, stream: str, subjects: str, count: int) -> None:
    broker = NatsBroker(url, logger=None)  # its log costs it a third
    done = asyncio.Event()
    left = count

    async def take(_: bytes) -> None:
        nonlocal left
        left -= 1
        if not left:
            done.set()

    broker.subscriber(
        subjects, stream=JStream(stream, declare=False), durable="peer", pull_sub=PullSub(batch_size=BATCH)
    )(take)
    began = time.perf_counter()
    await broker.start()
    await done.wait()
    print(count / (time.perf_counter() - began))
    await broker.stop()


if __name__ == "__main__":
    address, name, filter_subject, number = sys.argv[1:]
    asyncio.run(main(address, name, filter_subject, int(number)))
