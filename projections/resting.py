"""Resting: which runs rest on knowledge that is more confidential now than when they found it.

What a run records carries the join of the labels that what it found had then. When an item is raised later, the records stay as
they are; here stands what is needed to tell, at the time of reading, how confidential a run is by now: what each search found,
and how confidential each item is and once was. A run also rests on the earlier turns of its session, and on the answers that it
was reminded of.
"""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from contracts.catalogue import tag
from contracts.curating import StrategicSummary
from contracts.domains import Clearance, Domain, Partition
from contracts.facts import announced_entry
from contracts.kernel import EffectRecorded
from contracts.knowledge import (
    KnowledgeAdded,
    KnowledgeDeclassified,
    KnowledgeDeleted,
    KnowledgeExpired,
    KnowledgeUpdated,
)
from projections.paging import types_of
from runtime.read_models import Db, Key, Logged, Projection

SEARCH_EFFECT = "search"
SUMMARY_EFFECT = "summary"
CONVERSATION = "conversation"
MEMORIES: Partition = "agent_memories"
STEPS_MAX = 1_000  # from run to run, for each that is asked for; where that does not do, all are shown to nobody else


class Finding(Struct, frozen=True, kw_only=True, gc=False):
    """The entries that one search of a run found, or the items that a summary quoted; `label` is that of the run by then, theirs
    included.

    `remembered` are the places in the domain's log of the answers among them.
    """

    domain: Domain
    sequence: int
    correlation: str
    label: Clearance
    found: tuple[str, ...]
    remembered: tuple[int, ...]


class _Entry(Struct, frozen=True):
    id: str
    version: int = 0


class _Hit(Struct, frozen=True):
    entry: _Entry
    partition: str


_hits = msgspec.json.Decoder(tuple[_Hit, ...])
_summary = msgspec.json.Decoder(StrategicSummary)


def _place(logged: Logged) -> Key:
    return logged.address.actor.domain.value, str(logged.sequence)


def _found(row: Finding | None, logged: Logged) -> Finding | None:
    event = logged.event
    if logged.address.lane != "run" or not isinstance(event, EffectRecorded) or event.error is not None:
        return row
    hits: tuple[_Hit, ...] = ()
    items: frozenset[str] = frozenset()
    try:
        if event.name == SEARCH_EFFECT:
            hits = _hits.decode(event.result)
        elif event.name == SUMMARY_EFFECT:
            items = _summary.decode(event.result).quoted
    except msgspec.DecodeError:
        return row  # Somebody else's effect of that name.
    if not hits and not items:
        return row
    return Finding(
        domain=logged.address.actor.domain,
        sequence=logged.sequence,
        correlation=logged.envelope.correlation,
        label=logged.envelope.label,
        found=(*(hit.entry.id for hit in hits), *sorted(items)),
        remembered=tuple(hit.entry.version for hit in hits if hit.partition == MEMORIES),
    )


FINDINGS = Projection(
    name="findings",
    version=2,
    domains=tuple(Domain),
    ddl="""
CREATE TABLE findings (
  domain text NOT NULL, sequence bigint NOT NULL, correlation text NOT NULL, label diarchy.clearance NOT NULL,
  found text[] NOT NULL, remembered bigint[] NOT NULL
)
""",
    indexes="""
ALTER TABLE findings ADD PRIMARY KEY (domain, sequence);
CREATE INDEX ON findings (correlation)
""",
    table="findings",
    row=Finding,
    key_columns=("domain", "sequence"),
    takes=frozenset({tag(EffectRecorded)}),
    key=_place,
    fold=_found,
    appends=True,
)


class ItemLabel(Struct, frozen=True, kw_only=True):
    """How confidential a knowledge item is, or was when it ended, and the lowest that it ever was.

    `entries` are the ids under which it is found: its own, and those of what domains are told of it.
    """

    item: str
    label: Clearance
    lowest: Clearance
    entries: tuple[str, ...]


def _item(logged: Logged) -> Key:
    return (logged.address.actor.id,)


def _standing(row: ItemLabel | None, logged: Logged) -> ItemLabel | None:
    event, label = logged.event, logged.envelope.label
    if row is None:
        item = logged.address.actor.id
        row = ItemLabel(
            item=item, label=label, lowest=label, entries=(item, *(announced_entry(domain, item) for domain in Domain))
        )
    match event:
        case KnowledgeAdded(knowledge=said) | KnowledgeUpdated(knowledge=said) | KnowledgeDeclassified(knowledge=said):
            lowest = min(row.lowest, label, said.confidentiality)
            return msgspec.structs.replace(row, label=label, lowest=lowest)
        case _:
            return msgspec.structs.replace(row, label=max(row.label, label))  # An end lowers nothing.


ITEM_LABELS = Projection(
    name="item_labels",
    version=1,
    domains=(Domain.CEO,),
    ddl="""
CREATE TABLE item_labels (
  item text PRIMARY KEY, label diarchy.clearance NOT NULL, lowest diarchy.clearance NOT NULL, entries text[] NOT NULL
)
""",
    indexes="CREATE INDEX ON item_labels (item) WHERE label > lowest",
    table="item_labels",
    row=ItemLabel,
    key_columns=("item",),
    takes=types_of(KnowledgeAdded, KnowledgeUpdated, KnowledgeDeclassified, KnowledgeDeleted, KnowledgeExpired),
    key=_item,
    fold=_standing,
)


class _Step(Struct, frozen=True):
    """A run rests on an earlier one, or on itself; `label` is that of what that one found by now, None: it was not raised."""

    run: str
    earlier: str
    label: Clearance | None


_STEPS = """
WITH RECURSIVE raised AS MATERIALIZED (
  SELECT unnest(entries) AS entry, label FROM read.item_labels WHERE label > lowest
), steps(run, earlier) AS (
  SELECT asked, asked FROM unnest($1::text[]) AS asked WHERE EXISTS (SELECT FROM raised)
  UNION
  SELECT steps.earlier, before.correlation FROM steps CROSS JOIN LATERAL (
    SELECT previous.correlation FROM read.runs turn CROSS JOIN LATERAL (
      SELECT one.correlation FROM read.runs one
       WHERE one.domain = turn.domain AND one.kind = turn.kind AND one.actor = turn.actor
         AND one.sequence < turn.sequence AND one.lane = 'log' AND one.correlation <> turn.correlation
       ORDER BY one.sequence DESC LIMIT 1
    ) previous WHERE turn.correlation = steps.earlier AND turn.kind = $2 AND turn.lane = 'log'
    UNION ALL
    SELECT answered.correlation FROM read.findings finding CROSS JOIN LATERAL unnest(finding.remembered) AS place
      JOIN read.runs answered ON answered.domain = finding.domain AND answered.sequence = place
     WHERE finding.correlation = steps.earlier
  ) before
), followed AS MATERIALIZED (
  SELECT * FROM steps LIMIT $3
), about AS (
  SELECT finding.correlation, max(raised.label) AS label FROM (SELECT DISTINCT earlier FROM followed) run
    JOIN read.findings finding ON finding.correlation = run.earlier CROSS JOIN LATERAL unnest(finding.found) AS entry
    JOIN raised USING (entry)
   WHERE finding.label < raised.label GROUP BY finding.correlation
)
SELECT followed.run, followed.earlier, about.label FROM followed LEFT JOIN about ON about.correlation = followed.earlier
"""
"""Back from each run to the turn before it in its session and to the answers it was reminded of; what these found before it was
raised: what was found after that has its label already."""


async def raised_runs(db: Db, correlations: Sequence[str]) -> dict[str, Clearance]:
    """Those of the runs that rest on an item which is more confidential now than they say, and how much."""
    if not correlations:
        return {}
    steps_max = STEPS_MAX * len(correlations)
    steps = await db.rows(_Step, _STEPS, list(correlations), CONVERSATION, steps_max + 1)
    if len(steps) > steps_max:
        return dict.fromkeys(correlations, Clearance.TOP_SECRET)
    raised = _carried(steps)
    return {run: raised[run] for run in correlations if run in raised}


def _carried(steps: Sequence[_Step]) -> dict[str, Clearance]:
    """The highest label of what each run found or rests on."""
    resting: dict[str, set[str]] = {}
    waiting: list[tuple[str, Clearance]] = []
    for step in steps:
        resting.setdefault(step.earlier, set()).add(step.run)
        if step.label is not None:
            waiting.append((step.earlier, step.label))
    raised: dict[str, Clearance] = {}
    while waiting:
        run, label = waiting.pop()
        if run not in raised or raised[run] < label:
            raised[run] = label
            waiting += [(further, label) for further in resting.get(run, ())]
    return raised
