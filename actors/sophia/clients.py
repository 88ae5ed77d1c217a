"""What the client analysis team works on: a stored table of customers, and what facts say of clients."""

from collections.abc import Sequence

from msgspec.structs import replace

from actors.sophia.tools.client_analysis import ClientAnalysisArguments
from actors.sophia.tools.health import ClientHealthArguments
from actors.team import Examine, Examined, examine_file, run_tool
from contracts.business import RecordKind
from contracts.domains import Partition
from contracts.model import Evidence
from contracts.records import RecordsFound
from contracts.retrieval import Hit
from runtime.effects import Effects
from runtime.errors import OutcomeError


def examine_table(partitions: tuple[Partition, ...], media_types: tuple[str, ...]) -> Examine:
    """The most relevant stored table."""
    return examine_file(
        "client_analysis",
        partitions,
        media_types,
        lambda digest, question: ClientAnalysisArguments(table=digest, question=question),
    )


def examine_clients(table: Examine) -> Examine:
    """The table, and what facts say of clients under the asker's clearance; where they are not to be had now, that is said."""

    async def examine(question: str, hits: Sequence[Hit], effects: Effects) -> Examined:
        examined = await table(question, hits, effects)
        try:
            found = await of_clients(effects)
        except OutcomeError as error:
            return _with(examined, (f"What facts say of clients is not known: {error}.",), ())
        if found is None:
            return examined
        arguments, evidence = found
        told = await run_tool("client_health", arguments, "the facts about clients", effects)
        works = (*examined.works, *told.work("client_health", ids=(evidence.id,)))
        return replace(_with(examined, told.findings, (evidence,)), works=works)

    return examine


async def of_clients(effects: Effects) -> tuple[ClientHealthArguments, Evidence] | None:
    """What facts say of clients, for the tool and as evidence; None: they tell of none. Raises OutcomeError."""
    clients = await effects.records("client")
    if not clients.count:
        return None
    tickets, invoices = await _there(effects, "ticket"), await _there(effects, "invoice")
    arguments = ClientHealthArguments(
        clients=clients.digest,
        tickets=tickets.digest if tickets else "",
        invoices=invoices.digest if invoices else "",
        now=await effects.now(),
        left_out=clients.left_out,
    )
    return arguments, _evidence(clients, tickets, invoices)


async def _there(effects: Effects, kind: RecordKind) -> RecordsFound | None:
    """The records of a kind; None where they are not to be had: the score is made of what is known."""
    try:
        return await effects.records(kind)
    except OutcomeError:
        return None


def _with(examined: Examined, findings: tuple[str, ...], evidence: tuple[Evidence, ...]) -> Examined:
    return replace(examined, findings=(*examined.findings, *findings), evidence=(*examined.evidence, *evidence))


def _evidence(clients: RecordsFound, *others: RecordsFound | None) -> Evidence:
    """The facts as what an answer rests on; about as close to the question as what a search finds."""
    return Evidence(
        id=f"records-client-{clients.digest[:16]}",
        title="Facts about clients",
        text=f"Facts about {clients.count:,} clients that other programs published or that were imported.",
        label=max(one.label for one in (clients, *others) if one is not None),
        score=0.4,
        source="facts",
    )
