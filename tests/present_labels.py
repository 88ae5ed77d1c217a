"""How confidential a record of a run is by what it tells of."""

from contracts.domains import Clearance
from contracts.facts import ANNOUNCED, SIGNAL
from projections import runs


def present_label(row: runs.RunRecord, present: dict[str, Clearance]) -> Clearance:
    """How confidential the knowledge item is that the record tells of, if it tells of one."""
    if row.kind == runs.KNOWLEDGE_ITEM:
        return present.get(row.actor, Clearance.TOP_SECRET)
    announces = row.kind == SIGNAL and row.actor.startswith(ANNOUNCED)
    return present.get(row.actor.removeprefix(ANNOUNCED), row.label) if announces else row.label
