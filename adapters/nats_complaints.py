"""What is said of a connection that fails: which setting may be wrong, and what to do, once in a while."""

import asyncio
import logging

TELL_AGAIN_S = 30.0  # while there is no connection; attempts fail four times a second

_log = logging.getLogger(__name__)


class Complaints:
    """Those of one connection."""

    def __init__(self) -> None:
        self._tell_at = 0.0  # of the loop's clock; before that a failed attempt to connect is not told again

    def over(self) -> None:
        """It is connected: what comes next is news."""
        self._tell_at = 0.0

    def tell(self, error: Exception, *, connected: bool) -> None:
        said = str(error) or type(error).__name__
        if connected:
            _log.warning("broker connection: %s", said)
            return
        now = asyncio.get_running_loop().time()
        level = logging.DEBUG if now < self._tell_at else logging.WARNING
        if level == logging.WARNING:
            self._tell_at = now + TELL_AGAIN_S
        _log.log(level, "%s; still trying", _blame(said))


def _blame(said: str) -> str:
    """Why there is no connection, which setting may be wrong, and what to do."""
    if "authorization" in said.lower() or "authentication" in said.lower():
        return f"the broker at nats.url refuses us ({said}): correct nats.user and nats.password"
    return f"no broker at nats.url ({said}): start it, or correct nats.url"
