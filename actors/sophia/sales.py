"""How sales are looked into: the deals that facts tell of, then the table that is nearest to the question."""

from collections.abc import Sequence
from datetime import date

from actors.confidence import Work
from actors.given import files
from actors.sophia.tools.sales_intelligence import SalesIntelligenceArguments
from actors.team import Examined, run_tool
from contracts.domains import Clearance, Partition
from contracts.model import NO_DEAL, Evidence
from contracts.records import RecordsFound
from contracts.retrieval import Hit
from runtime.effects import Effects
from runtime.errors import OutcomeError

PARTITIONS: tuple[Partition, ...] = ("sophia_business", "shared_knowledge", "ceo_knowledge")
TABLE = "text/csv"
TOOL = "sales_intelligence"
RECORDS_ID = "records-deal"


async def sales_work(question: str, hits: Sequence[Hit], effects: Effects) -> Examined:
    """In this order: the time, the deals' records, the tool on them; a table (what is handed over, if any), the tool on it.
    Without either it says so."""
    today = (await effects.now()).date()
    findings: list[str] = []
    read: list[Hit] = []
    evidence: tuple[Evidence, ...] = ()
    works: tuple[Work, ...] = ()
    try:
        records = await effects.records("deal")
    except OutcomeError as error:
        findings.append(f"The deals could not be read: {error}.")
    else:
        if records.count:
            found = await run_tool(TOOL, of_deals(records, question, today), "the deals", effects)
            findings += found.findings
            works = found.work(TOOL, ids=(RECORDS_ID,))
            evidence = (evidence_of_deals(records, findings, today),)
    tables = [hit for _, hit in files(hits, "table")]
    for hit in tables or await effects.search(PARTITIONS, question, limit=1, media_type=TABLE):
        if hit.entry.attachment:
            arguments = SalesIntelligenceArguments(table=hit.entry.attachment, question=question, today=today)
            found = await run_tool(TOOL, arguments, hit.entry.title, effects)
            told = tuple(f"In {hit.entry.title}: {one}" for one in found.findings)
            works += found.work(TOOL, hit, told=told)
            findings += told
            read.append(hit)
    if not findings:
        findings.append(
            f"{NO_DEAL}s are known, neither by facts (deal.opened, deal.stage_changed, deal.closed) nor as an imported table, so"
            " nothing can be said of pipeline and forecast."
        )
    return Examined(tuple(findings), tuple(read), evidence, works=works)


def of_deals(records: RecordsFound, question: str, today: date) -> SalesIntelligenceArguments:
    """The tool on the deals that facts tell of."""
    return SalesIntelligenceArguments(deals=records.digest, question=question, today=today, left_out=records.left_out)


def evidence_of_deals(records: RecordsFound, findings: Sequence[str], today: date) -> Evidence:
    """The records as what the findings rest on."""
    return Evidence(
        id=RECORDS_ID,
        title=f"Deals as facts tell of them, on {today}",
        text=" ".join((f"{records.count:,} deals.", *findings[:1])),
        label=max(records.label, Clearance.PUBLIC),
        score=1.0,
        source=f"records of deals, blob {records.digest}",
    )
