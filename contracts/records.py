"""What is known of a client, deal, ticket or invoice by now: the facts about it as one record, each under one's clearance."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec
from msgspec import Struct

from contracts.business import RecordKind, Severity
from contracts.domains import Clearance

RECORDS_MAX = 50_000
"""Of one kind that one read has, those that changed last."""
RECORDS_BYTES_MAX = 24 << 20


class Use(Struct, frozen=True, kw_only=True):
    """As in `ClientUsage`: the period that ended at `at`."""

    at: datetime
    period_days: int
    active_users: int
    licensed_users: int | None = None


class ClientRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`cancelled` None: a client still. `label` is the highest of the facts that it rests on. None: no fact says so."""

    id: str
    label: Clearance
    name: str | None = None
    segment: str | None = None
    contract: str | None = None
    monthly_value: float | None = None
    currency: str | None = None
    signed: datetime | None = None
    ends: datetime | None = None
    renewals: int = 0
    renewed: datetime | None = None
    cancelled: datetime | None = None
    reason: str | None = None
    usage: tuple[Use, ...] = ()


class Step(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """From `at` on a deal stood in this stage, with what was said of it then."""

    at: datetime
    stage: str
    value: float | None = None
    probability: float | None = None
    expected: datetime | None = None


class DealRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`outcome` None: open still. `stage`, `value`, `probability`, `expected` are the last that were said; `steps` all stages."""

    id: str
    label: Clearance
    client: str | None = None
    segment: str | None = None
    stage: str | None = None
    value: float | None = None
    currency: str | None = None
    probability: float | None = None
    expected: datetime | None = None
    opened: datetime | None = None
    closed: datetime | None = None
    outcome: Literal["won", "lost"] | None = None
    reason: str | None = None
    steps: tuple[Step, ...] = ()


class TicketRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`resolved` None: open still."""

    id: str
    label: Clearance
    client: str | None = None
    severity: Severity | None = None
    subject: str | None = None
    opened: datetime | None = None
    resolved: datetime | None = None


class InvoiceRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`paid` None: not paid yet."""

    id: str
    label: Clearance
    client: str | None = None
    amount: float | None = None
    currency: str | None = None
    issued: datetime | None = None
    due: datetime | None = None
    paid: datetime | None = None


AnyRecord = ClientRecord | DealRecord | TicketRecord | InvoiceRecord

RECORD_TYPES: dict[RecordKind, type[AnyRecord]] = {
    "client": ClientRecord,
    "deal": DealRecord,
    "ticket": TicketRecord,
    "invoice": InvoiceRecord,
}


def packed(records: Sequence[AnyRecord], bytes_max: int = RECORDS_BYTES_MAX) -> tuple[bytes, int]:
    """As a JSON array, and how many of them are in it: the first ones that fit."""
    parts: list[bytes] = []
    size = 2
    for record in records:
        part = msgspec.json.encode(record)
        size += len(part) + 1
        if size > bytes_max:
            break
        parts.append(part)
    return b"[" + b",".join(parts) + b"]", len(parts)


class RecordsFound(Struct, frozen=True, kw_only=True):
    """What a read of records found, as a journal keeps it: the records stand in the blob `digest`, a JSON array by id.

    `label` is the highest of them, `left_out` how many that may be read there are beyond RECORDS_MAX or RECORDS_BYTES_MAX.
    """

    kind: RecordKind
    digest: str
    count: int
    left_out: int
    label: Clearance
