"""Logs: JSON lines with the role and the run they belong to; plain text on a terminal. Secrets are masked."""

import logging
import sys
from datetime import UTC, datetime
from typing import TextIO
from uuid import UUID

import msgspec

from adapters.otel import current_ids
from deploy.settings import Log
from runtime.masking import mask

MESSAGE_CHARS_MAX = 8_000
_QUIET = ("httpx", "httpcore", "asyncio", "urllib3", "opentelemetry.sdk")  # They tell much at info.


def configure(role: str, log: Log, *, stream: TextIO | None = None) -> None:
    """Send the process's logs to `stream` (stderr) in the form and from the level on that the settings want."""
    target = stream or sys.stderr
    text = log.form == "text" or (log.form == "auto" and target.isatty())
    handler = logging.StreamHandler(target)
    handler.setFormatter(TextFormatter(role) if text else JsonFormatter(role))
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(log.level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(capture=True)


class JsonFormatter(logging.Formatter):
    """`{"time", "level", "role", "logger", "message", "correlation", "trace_id", "span_id", "stack"}`, the last four if any."""

    def __init__(self, role: str) -> None:
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "role": self._role,
            "logger": record.name,
            "message": mask(record.getMessage())[:MESSAGE_CHARS_MAX],
        }
        if (ids := current_ids()) is not None:
            line |= {"correlation": str(UUID(ids[0])), "trace_id": ids[0], "span_id": ids[1]}
        if record.exc_info:
            line["stack"] = mask(self.formatException(record.exc_info))[-MESSAGE_CHARS_MAX:]
        return msgspec.json.encode(line).decode()


class TextFormatter(logging.Formatter):
    """`12:34:56.789 warning sophia message`, with the run's correlation id at the end."""

    def __init__(self, role: str) -> None:
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).astimezone().isoformat(timespec="milliseconds")[11:23]
        message = mask(record.getMessage())[:MESSAGE_CHARS_MAX]
        ids = current_ids()
        run = f" [{UUID(ids[0])}]" if ids else ""
        stack = "\n" + mask(self.formatException(record.exc_info)) if record.exc_info else ""
        return f"{moment} {record.levelname.lower():<7} {self._role} {message}{run}{stack}"
