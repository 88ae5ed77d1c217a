"""Every read model: what the projector folds and what can be rebuilt."""

from projections.alerts import ALERTS
from projections.analyses import ANALYSES
from projections.approvals import APPROVALS
from projections.collaborations import COLLABORATIONS
from projections.knowledge import KNOWLEDGE
from projections.memories import MEMORIES
from projections.messages import MESSAGES
from projections.records import RECORDS
from projections.resting import FINDINGS, ITEM_LABELS
from projections.runs import RUNS
from projections.sessions import SESSIONS
from projections.users import USERS
from runtime.read_models import AnyProjection

PROJECTIONS: tuple[AnyProjection, ...] = (
    ALERTS,
    ANALYSES,
    APPROVALS,
    COLLABORATIONS,
    FINDINGS,
    ITEM_LABELS,
    KNOWLEDGE,
    MEMORIES,
    MESSAGES,
    RECORDS,
    RUNS,
    SESSIONS,
    USERS,
)
