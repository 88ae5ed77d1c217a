"""A role for the supervisor's tests: `python -m tests.faults.role_process BEHAVIOUR [FILE]`."""

import signal
import sys
from pathlib import Path

from deploy.embedded.supervisor import say_ready
from deploy.settings import load


def main(behaviour: str, file: str = "") -> None:
    settings = load()
    assert settings.nats.url.startswith("nats://127.0.0.1:"), settings.nats.url
    assert settings.postgres.dsn
    if behaviour == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if behaviour == "broken" or (behaviour == "broken at first" and not Path(file).exists()):
        if file:
            Path(file).touch()
        print("the moon is in the wrong quarter", file=sys.stderr)
        sys.exit(3)
    print("at work", flush=True)
    say_ready(settings.ready_fd)
    while True:
        signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
