"""While a simulation runs, nobody finds the real clock or a real coin: what the kernel takes from them follows from the seed."""

import asyncio
import logging
import random
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def ambient(loop: asyncio.AbstractEventLoop, seed: int, start_ns: int) -> Iterator[None]:
    """Patch `time` and `secrets`, seed `random`, and switch logging off."""
    coin = random.Random(f"ambient {seed}")  # noqa: S311 - a simulation's choices
    known = random.getstate()
    random.seed(seed)
    replaced: list[tuple[Any, str, Callable[..., object]]] = [
        (time, "time_ns", lambda: start_ns + int(loop.time() * 1e9)),
        (time, "time", lambda: start_ns / 1e9 + loop.time()),
        (time, "monotonic", loop.time),
        (time, "perf_counter", loop.time),
        (secrets, "token_bytes", coin.randbytes),
    ]
    originals = [(module, name, getattr(module, name)) for module, name, _ in replaced]
    for module, name, stand_in in replaced:
        setattr(module, name, stand_in)
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(disabled)
        random.setstate(known)
        for module, name, original in originals:
            setattr(module, name, original)
