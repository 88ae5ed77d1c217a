"""The load generator: wrk, from the PATH or out of Debian's packages; the same for everything that is compared."""

import asyncio
import os
import re
import shutil
import subprocess
from pathlib import Path

from msgspec import Struct

PACKAGES = ("wrk", "libluajit-5.1-2", "libluajit-5.1-common")
TIMEOUT_S = 30
SCRIPT = """\
local head = {{ ["Content-Type"] = "application/json", {headers} }}
local seed = 0
function setup(thread) seed = seed + 1; thread:set("number", seed) end
function init() math.randomseed({seed} + number) end
function request()
  return wrk.format("POST", "{path}/k" .. math.random({keys}) .. "{tail}", head, '{{"amount":1}}')
end
"""
_UNITS_MS = {"us": 0.001, "ms": 1.0, "s": 1_000.0, "m": 60_000.0}
_LATENCY = re.compile(r"^\s*(50|75|90|99)%\s+([\d.]+)(us|ms|s|m)\s*$", re.MULTILINE)
_TOTAL = re.compile(r"(\d+) requests in ([\d.]+)(ms|s|m)")
_FAILED = re.compile(r"Non-2xx or 3xx responses: (\d+)")
_SOCKETS = re.compile(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")


class Load(Struct, frozen=True, kw_only=True):
    """What to send: POST `{url}/k<1…keys>{tail}` from `connections` at once for `seconds`.

    `script`: other Lua to make the requests, with `{headers}`, `{seed}` and `{path}` to be filled in.
    """

    url: str
    tail: str = ""
    keys: int = 1_000
    connections: int = 64
    seconds: int = 8
    headers: dict[str, str] = {}
    script: str = SCRIPT


class Outcome(Struct, frozen=True, kw_only=True):
    """What came back; `failed` counts answers other than 2xx and what was not answered."""

    per_s: float
    p50_ms: float
    p99_ms: float
    answered: int
    failed: int


class Wrk:
    """wrk, made ready in `folder` where it is not installed. Raises FileNotFoundError where it cannot be had."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._libraries = folder / "x/usr/lib/x86_64-linux-gnu"
        program = shutil.which("wrk")
        if program is None and not (folder / "x/usr/bin/wrk").exists():
            _unpack(folder)
        self._program = program or str(folder / "x/usr/bin/wrk")

    async def run(self, load: Load, seed: int) -> Outcome:
        script = self._folder / f"{seed}.lua"
        self._folder.mkdir(parents=True, exist_ok=True)
        path = "/" + load.url.split("://", 1)[1].partition("/")[2]
        headers = ", ".join(f'["{name}"] = "{value}"' for name, value in load.headers.items())
        script.write_text(load.script.format(headers=headers, seed=seed, path=path, keys=load.keys, tail=load.tail))
        script.chmod(0o600)
        process = await asyncio.create_subprocess_exec(
            self._program,
            "-t1",
            f"-c{load.connections}",
            f"-d{load.seconds}s",
            f"--timeout={TIMEOUT_S}s",
            "--latency",
            f"-s{script}",
            load.url,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "LD_LIBRARY_PATH": str(self._libraries)},
        )
        said, _ = await process.communicate()
        return read(said.decode())


def read(said: str) -> Outcome:
    """What wrk reported. Raises ValueError for anything that is no report of it."""
    total = _TOTAL.search(said)
    latencies = {int(mark): float(value) * _UNITS_MS[unit] for mark, value, unit in _LATENCY.findall(said)}
    if total is None or 50 not in latencies:
        raise ValueError(f"not a report of wrk: {said[:500]!r}")
    answered, seconds = int(total[1]), float(total[2]) * _UNITS_MS[total[3]] / 1_000
    failed = sum(int(found[1]) for found in [_FAILED.search(said)] if found)
    sockets = _SOCKETS.search(said)
    lost = sum(map(int, sockets.groups())) if sockets else 0
    return Outcome(
        per_s=(answered - failed) / seconds,
        p50_ms=latencies[50],
        p99_ms=latencies[99],
        answered=answered,
        failed=failed + lost,
    )


def _unpack(folder: Path) -> None:
    apt, dpkg = shutil.which("apt-get"), shutil.which("dpkg")
    if apt is None or dpkg is None:
        raise FileNotFoundError("no wrk on the PATH, and no apt-get to take it from: install wrk")
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run([apt, "download", "--quiet", *PACKAGES], cwd=folder, check=True, capture_output=True)  # noqa: S603 - our own words
    for package in folder.glob("*.deb"):
        subprocess.run([dpkg, "-x", str(package), str(folder / "x")], check=True, capture_output=True)  # noqa: S603 - our own words
