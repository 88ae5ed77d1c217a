"""A whole running stack for tests: `diarchy up` in a folder and on ports of its own, and clients for it."""

import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from contracts.domains import Clearance
from contracts.users import Role
from deploy.keys import signing_key
from deploy.settings import Settings, load
from gateway.identity import Principal, Tokens

ROOT = Path(__file__).parent.parent
READY = "Diarchy serves on "
MODELS = Path(tempfile.gettempdir()) / f"diarchy-test-models-{os.geteuid()}"
"""Built once for all test runs: the model's file is named after what it was built from."""

UNCOUNTED = {
    f"DIARCHY_LIMITS_{name}_MAX": "1000000000"
    for name in (
        "REQUESTS_PER_MINUTE",
        "REQUESTS_PER_HOUR",
        "CROSS_REQUESTS_PER_MINUTE",
        "CROSS_REQUESTS_PER_HOUR",
        "IMPORT_REQUESTS_PER_MINUTE",
        "IMPORT_REQUESTS_PER_HOUR",
    )
}
"""A test asks more often than a person."""

READY_S_MAX = 90.0
REQUEST_S_MAX = 60.0


class Stack:
    """`diarchy up` as a child process. `start` returns when it serves; `interrupt` is one Ctrl-C."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.url = ""
        self.process: subprocess.Popen[str] | None = None
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("DIARCHY_")}
        self._environment.update({"DIARCHY_MODELS": str(MODELS), **UNCOUNTED, **environment})
        self._seen: list[str] = []

    def start(self) -> None:
        self.process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "deploy", "up", "--data", str(self.folder), "--port", "0"],
            cwd=ROOT,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, args=(self.process, lines), daemon=True).start()
        while True:
            line = lines.get(timeout=READY_S_MAX)
            if line is None:
                raise RuntimeError("the stack did not start:\n" + "\n".join(self._seen) + self.role_logs())
            if line.startswith(READY):
                self.url = line.removeprefix(READY).split()[0]
                return

    def interrupt(self) -> int:
        """Ctrl-C, and the exit status once all has ended."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        status = self.process.wait(timeout=30)
        self.process = None
        return status

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.interrupt()

    def _read(self, process: "subprocess.Popen[str]", lines: "queue.Queue[str | None]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self._seen.append(line.rstrip())
            lines.put(line.rstrip())
        lines.put(None)

    def role_logs(self) -> str:
        """The end of every role's log, for the report of a failure."""
        return "".join(
            f"\n--- {path.name}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-15:])
            for path in sorted(self.folder.rglob("*.log"))
        )

    @property
    def settings(self) -> Settings:
        """With the addresses of the running servers."""
        return load(self.folder / "running.json", environment={})

    def token(self, name: str, *roles: Role, clearance: Clearance) -> str:
        principal = Principal(username=name, roles=roles, clearance=clearance)
        return Tokens(signing_key(self.settings)).issue(principal, datetime.now(UTC))

    @contextmanager
    def client(
        self, name: str = "ann", *roles: Role, clearance: Clearance = Clearance.TOP_SECRET
    ) -> Iterator[httpx.Client]:
        """An HTTP client with a token of its own; without roles an administrator's."""
        token = self.token(name, *(roles or ("admin",)), clearance=clearance)
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=self.url, headers=headers, timeout=REQUEST_S_MAX) as client:
            yield client


def found(client: httpx.Client, search: dict[str, Any]) -> list[Any]:
    """The hits of a search, none while it cannot be answered: on a busy machine a new stack serves before its index is there."""
    response = client.post("/v1/knowledge/search", json=search)
    return [] if response.status_code == 503 else list(ok(response)["hits"])


def ok(response: httpx.Response, *statuses: int) -> Any:
    """The JSON of a response that has one of the statuses (200, 201 if none is given)."""
    assert response.status_code in (statuses or (200, 201)), f"{response.status_code}: {response.text[:2000]}"
    return response.json() if response.content else None
