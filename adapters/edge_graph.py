"""A graph for a copied shard, built by a process of its own: the engine would keep Python's lock of the keeper for all that time.

python -m adapters.edge_graph FOLDER DIMENSIONS
"""

import asyncio
import os
import sys
from pathlib import Path

import qdrant_edge as engine

from adapters import edge_shard
from runtime.errors import UnavailableError

NICENESS = 10
SECONDS_MAX = 3_600.0
GRAPH_FROM_KB = 1  # a size that whatever is to have a graph exceeds


async def build(place: Path, dimensions: int) -> None:
    """Returns once the folder has its graph. Raises UnavailableError; ends the process when it is cancelled."""
    command = (sys.executable, "-m", "adapters.edge_graph", str(place), str(dimensions))
    process = await asyncio.create_subprocess_exec(*command)
    try:
        async with asyncio.timeout(SECONDS_MAX):
            status = await process.wait()
    except TimeoutError as error:
        raise UnavailableError("qdrant-edge", f"no graph for {place} after {SECONDS_MAX:.0f} s") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if status:
        raise UnavailableError("qdrant-edge", f"the process that builds a graph for {place} ended with {status}")


def main() -> None:
    place, dimensions = sys.argv[1], int(sys.argv[2])
    os.nice(NICENESS)
    shard = engine.EdgeShard.load(place, edge_shard.config(dimensions, GRAPH_FROM_KB))
    shard.optimize()
    shard.flush()
    shard.close()


if __name__ == "__main__":
    main()
