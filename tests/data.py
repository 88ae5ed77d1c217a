"""The real data that tests and benchmarks share; it is not part of the repository."""

import os
from pathlib import Path

VARIABLE = "DIARCHY_TEST_DATA"


def shared_data(name: str) -> Path:
    """The path of a shared file. Raises FileNotFoundError that says where it was looked for."""
    folder = Path(os.environ.get(VARIABLE, Path(__file__).parents[2] / "shared" / "data"))
    path = folder / name
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: put the shared data there, or name its folder in {VARIABLE}")
    return path
