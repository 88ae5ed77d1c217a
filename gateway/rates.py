"""How often one user may ask at one path (mission F3): a sliding window a minute and one an hour.

A window is estimated from two counters, this period's and the last one's share that still counts (the sliding window counter of
Cloudflare, "How we built rate limiting capable of scaling to millions of domains", 2017): six numbers a user and path, and no
burst of twice the limit where two periods meet. Each gateway process counts for itself.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping

from msgspec import Struct

from gateway.problems import ProblemError

COUNTERS_MAX = 20_000  # users and paths remembered; the ones asked longest ago are forgotten first
MINUTE_S = 60
HOUR_S = 3_600
LIMIT = "RateLimit"
POLICY = "RateLimit-Policy"
"""draft-ietf-httpapi-ratelimit-headers: what is left (`r`) until the window moves on (`t`); the quota (`q`) a window (`w`)."""


class Quota(Struct, frozen=True):
    """How many requests a user may send to a path of a class."""

    per_minute: int
    per_hour: int


class _Window:
    """Requests of the last `seconds`, as estimated."""

    __slots__ = ("_before", "_now", "_period", "_quota", "_seconds")

    def __init__(self, quota: int, seconds: int) -> None:
        self._quota = quota
        self._seconds = seconds
        self._period = -1
        self._before = 0
        self._now = 0

    def left(self, moment: float) -> int:
        """How many more may come now."""
        period, inside = divmod(moment, self._seconds)
        if period != self._period:
            self._before = self._now if period == self._period + 1 else 0
            self._now, self._period = 0, int(period)
        return self._quota - self._now - math.ceil(self._before * (1 - inside / self._seconds))

    def take(self) -> None:
        self._now += 1

    def until_free_s(self, moment: float) -> int:
        """Whole seconds until one may come again, when none may now."""
        inside = moment % self._seconds
        rest = self._seconds - inside
        if self._now >= self._quota:  # not before this period's own requests begin to fade
            return math.ceil(rest + self._seconds * (1 - (self._quota - 1) / self._now))
        faded = self._seconds * (1 - (self._quota - self._now - 1) / max(self._before, 1))
        return math.ceil(max(faded - inside, 1))


class Rates:
    """The counters of one gateway."""

    def __init__(self, quotas: Mapping[str, Quota], clock: Callable[[], float] = time.monotonic) -> None:
        self._quotas = dict(quotas)
        self._policies = {
            name: f'"minute";q={quota.per_minute};w={MINUTE_S}, "hour";q={quota.per_hour};w={HOUR_S}'
            for name, quota in quotas.items()
        }
        self._clock = clock
        self._counters: OrderedDict[tuple[str, str, str], tuple[_Window, _Window]] = OrderedDict()

    def admit(self, limit: str, username: str, method: str, path: str) -> dict[str, str]:
        """Count a request of the class `limit`; the headers to answer with. Raises ProblemError 429 when there were too many."""
        quota = self._quotas.get(limit)
        if quota is None:
            return {}
        key = (username, method, path)
        windows = self._counters.get(key)
        if windows is None:
            windows = self._counters[key] = (_Window(quota.per_minute, MINUTE_S), _Window(quota.per_hour, HOUR_S))
            if len(self._counters) > COUNTERS_MAX:
                self._counters.popitem(last=False)
        else:
            self._counters.move_to_end(key)
        now = self._clock()
        minute, hour = windows
        in_minute, in_hour = minute.left(now), hour.left(now)
        name, left, tight, seconds = (
            ("minute", in_minute, minute, MINUTE_S) if in_minute <= in_hour else ("hour", in_hour, hour, HOUR_S)
        )
        if left <= 0:
            wait_s = tight.until_free_s(now)
            headers = {POLICY: self._policies[limit], LIMIT: f'"{name}";r=0;t={wait_s}', "Retry-After": str(wait_s)}
            allowed = quota.per_minute if name == "minute" else quota.per_hour
            raise ProblemError(
                429, "too-many-requests", f"{allowed} requests a {name} are allowed here", headers=headers
            )
        minute.take()
        hour.take()
        return {POLICY: self._policies[limit], LIMIT: f'"{name}";r={left - 1};t={int(seconds - now % seconds) + 1}'}
