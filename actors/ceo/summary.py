"""The strategic summary as the CEO's knowledge keeper tells it to other domains: quoted, each statement with its items."""

from collections.abc import Iterable

import msgspec

from contracts.collaboration import Outcome, Requested
from contracts.curating import Horizon, Statement, SummaryDomain, SummaryQuery
from contracts.domains import Domain, Partition
from contracts.model import Evidence
from runtime.effects import Effects
from runtime.errors import OutcomeError, Rejected

PARTITIONS: tuple[Partition, ...] = ("ceo_knowledge", "shared_knowledge")
OF: dict[Domain, SummaryDomain] = {Domain.SOPHIA: "business", Domain.ARTEMIS: "technical"}
"""What a domain hears where it does not say of what: business, too, where it is another one."""

SECTIONS = ("priorities", "key_insights", "risks", "opportunities", "recommendations")
UNMEASURED = 0.0  # how close to the question: it was not asked for by one


async def strategic_summary(requested: Requested, effects: Effects) -> Outcome:
    """`context` may name `domain` and `horizon` as the API's summary does. No model is asked."""
    said = requested.request.context
    try:
        query = msgspec.convert({"domain": OF.get(requested.asker, "business"), **said}, SummaryQuery)
    except msgspec.ValidationError as error:
        raise Rejected(f"the context of a strategic summary is domain and horizon: {error}") from error
    found = await effects.summary(PARTITIONS, query)
    return Outcome(
        status="completed",
        sections={name: "\n".join(f"- {one.text}" for one in getattr(found, name)) for name in SECTIONS},
        evidence=evidence_of(found.statements),
        confidence=1.0,
        label=effects.label,
    )


async def priorities(asker: Domain, effects: Effects) -> tuple[Evidence, ...]:
    """What matters most to a domain this quarter, as evidence; none where that is not to be had now."""
    horizon: Horizon = "quarter"
    try:
        found = await effects.summary(PARTITIONS, SummaryQuery(domain=OF.get(asker, "business"), horizon=horizon))
    except OutcomeError:
        return ()
    return evidence_of(found.priorities)


def evidence_of(statements: Iterable[Statement]) -> tuple[Evidence, ...]:
    """Each item once, with all that is said of it."""
    found: dict[str, Evidence] = {}
    for one in statements:
        for item in one.items:
            before = found.get(item)
            texts = dict.fromkeys([*(before.text.split("\n") if before else ()), one.text])
            found[item] = Evidence(
                id=item,
                title=f"Strategic priority {one.strategic_priority}: {one.category.replace('_', ' ')}",
                text="\n".join(texts),
                label=one.label,
                score=UNMEASURED,
            )
    return tuple(found.values())
