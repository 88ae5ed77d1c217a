"""Finished spans, as they are stored and shown."""

from typing import Literal

from msgspec import Struct


class SpanRecord(Struct, frozen=True, kw_only=True):
    """One finished span. Ids are lower-case hex (32 and 16 digits); a trace id is its run's correlation id without dashes.

    Times are Unix nanoseconds. `reason` says why a failed one failed.
    """

    trace_id: str
    span_id: str
    parent_id: str | None = None
    name: str
    service: str
    start_ns: int
    end_ns: int
    status: Literal["ok", "failed"] = "ok"
    reason: str = ""
    attributes: dict[str, str | int | float | bool] = {}
