"""The embedded stack as benchmarks start it: the broker and some roles (bench/counter.py), without a database."""

import os
import sys
from pathlib import Path

from deploy.embedded.supervisor import Role
from deploy.secret import Secret
from deploy.settings import Gateway, Limits, Log, Postgres, Settings

NO_DATABASE = Secret("postgresql://nobody@127.0.0.1:1/none")
"""Nothing listens there, and nothing that is measured reads it."""

UNLIMITED = 1_000_000_000
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "diarchy-bench"
"""What the peers and the load generator are installed into, once."""


def settings_in(folder: Path) -> Settings:
    """For a stack in this folder: one user may ask as often as he likes."""
    return Settings(
        data=str(folder),
        postgres=Postgres(dsn=NO_DATABASE),
        gateway=Gateway(port=0),
        log=Log(level="warning"),
        limits=Limits(
            requests_per_minute_max=UNLIMITED,
            requests_per_hour_max=UNLIMITED,
            cross_requests_per_minute_max=UNLIMITED,
            cross_requests_per_hour_max=UNLIMITED,
            import_requests_per_minute_max=UNLIMITED,
            import_requests_per_hour_max=UNLIMITED,
        ),
    )


def roles(*names: str) -> list[Role]:
    return [Role(name, (sys.executable, "-m", "bench.counter", name)) for name in names]
