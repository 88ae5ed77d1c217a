"""What the client analysis team works on: a stored table of customers, and what facts say of clients."""

from collections.abc import Sequence

from msgspec.structs import replace

from actors.sophia.tools.client_analysis import ClientAnalysisArguments
from actors.sophia.tools.health import ClientHealthArguments
from actors.team import Examine, Examined, examine_file, run_tool
from contracts.business import RecordKind
from contracts.domains import Partition
from contracts.model import Evidence, unsaid
from contracts.records import RecordsFound
from contracts.retrieval import Hit
from runtime.effects import Effects
from runtime.errors import OutcomeError

IN_TABLE, BY_FACTS = ("In the table", "in the table"), ("By facts", "by facts")


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
            found = await of_clients(effects, question)
        except OutcomeError as error:
            return _with(examined, (f"What facts say of clients is not known: {error}.",), ())
        if found is None:
            return examined
        arguments, evidence = found
        told = await run_tool("client_health", arguments, "the facts about clients", effects)
        of_table, by_facts = _of_table(examined), labelled(told.findings, *BY_FACTS)
        works = (*of_table.works, *told.work("client_health", ids=(evidence.id,), told=by_facts))
        return replace(_with(of_table, by_facts, (evidence,)), works=works)

    return examine


def _of_table(examined: Examined) -> Examined:
    """The findings about one table as such, that they are not taken for what facts say; of several they are by their names.

    Its name stands with the evidence: in every sentence it would make them all alike.
    """
    if len(examined.hits) != 1 or any(
        one.startswith(f"In {examined.hits[0].entry.title}: ") for one in examined.findings
    ):
        return examined
    works = tuple(replace(one, findings=labelled(one.findings, *IN_TABLE)) for one in examined.works)
    return replace(examined, findings=labelled(examined.findings, *IN_TABLE), works=works)


def labelled(findings: Sequence[str], before: str, behind: str) -> tuple[str, ...]:
    """Each with where it comes from before it; behind it where it tells what is not known, which must begin as it does."""
    return tuple(f"{one.rstrip('.')} ({behind})." if unsaid(one) else f"{before}: {one}" for one in findings)


async def of_clients(effects: Effects, question: str = "") -> tuple[ClientHealthArguments, Evidence] | None:
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
        question=question,
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
