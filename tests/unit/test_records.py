"""Business facts: what is taken, what they come to, and that none above the reader's clearance counts."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.sophia.records import RECORDS as RECORD_ACTORS
from adapters.memory import MemoryBroker
from contracts import business, subjects
from contracts.business import BUSINESS_FACTS, AnyBusinessFact, BusinessRecorded, ClientFact, RecordKind
from contracts.catalogue import tag
from contracts.domains import Clearance, Domain
from contracts.envelope import Envelope, Record, Stored
from contracts.facts import FACT_DOMAINS, fact_kind
from contracts.kernel import EffectRecorded
from contracts.records import ClientRecord, DealRecord, InvoiceRecord, RecordsFound, Step, TicketRecord, packed
from contracts.subjects import ActorRef
from projections.records import FACTS_MAX, RECORDS, RecordRow, bounded_facts, in_order, joined
from runtime.actor import Actor, Recorded
from runtime.effects import Effects
from runtime.errors import OutcomeError, UnavailableError
from runtime.read_models import Logged, logged
from runtime.testing import given
from tests.folded_reads import FoldedReads
from tests.kernel_world import COUNTER, LIMITS, Add, Added, Note, Sum, World, decide, evolve

T0 = datetime(2026, 1, 1, tzinfo=UTC)
CLIENT, DEAL = RECORD_ACTORS[0], RECORD_ACTORS[1]
INTERNAL, RESTRICTED = Clearance.INTERNAL, Clearance.RESTRICTED
facts_of_a_client = st.one_of(
    st.builds(
        business.ClientSigned,
        client=st.just("c"),
        at=st.integers(0, 5).map(lambda day: T0 + timedelta(days=day)),
        origin=st.just("crm"),
        segment=st.sampled_from([None, "small", "large"]),
        monthly_value=st.sampled_from([None, 10.0, 20.5]),
    ),
    st.builds(
        business.ClientCancelled,
        client=st.just("c"),
        at=st.integers(0, 5).map(lambda day: T0 + timedelta(days=day)),
        origin=st.just("crm"),
        reason=st.sampled_from([None, "price"]),
    ),
)


def day(number: int) -> datetime:
    return T0 + timedelta(days=number)


def signed(on: int = 0, **fields: Any) -> business.ClientSigned:
    return business.ClientSigned(client="Ada & Co", at=day(on), origin="crm", **fields)


def recorded(fact: AnyBusinessFact, sequence: int, label: Clearance = INTERNAL) -> Logged:
    """The fact as the log of its actor has it."""
    actor = ActorRef(Domain.SOPHIA, fact_kind(type(fact)), "x")
    envelope = Envelope(
        id=f"e{sequence}",
        type=tag(BusinessRecorded),
        time=T0 + timedelta(seconds=sequence),
        correlation="run",
        principal="ada",
        source=Domain.SOPHIA,
        label=label,
    )
    body = msgspec.json.encode(BusinessRecorded(fact=fact))
    return logged([Stored(subjects.log(actor), sequence, Record(envelope, body))])[0]


def rows(*facts: tuple[AnyBusinessFact, Clearance]) -> list[RecordRow]:
    """The read model after these facts, in this order."""
    found: dict[Any, RecordRow] = {}
    for sequence, (fact, label) in enumerate(facts, start=1):
        one = recorded(fact, sequence, label)
        key = RECORDS.key(one)
        row = RECORDS.fold(found.get(key), one)
        assert row is not None
        found[key] = row
    return list(found.values())


def test_the_same_fact_again_changes_nothing() -> None:
    fact = signed(segment="small")
    after = given(CLIENT).when(fact).then(BusinessRecorded(fact=fact))
    after = after.when(replace(fact)).then()
    later = replace(fact, at=day(3))
    after = after.when(later).then(BusinessRecorded(fact=later))
    cancelled = business.ClientCancelled(client="Ada & Co", at=day(4), origin="crm")
    after.when(cancelled).then(BusinessRecorded(fact=cancelled)).when(later).then()


def test_a_kind_takes_its_own_facts_only_and_every_fact_has_its_place() -> None:
    with pytest.raises(msgspec.ValidationError):
        DEAL.decode_message(msgspec.json.encode(signed()))
    for kind, facts in BUSINESS_FACTS.items():
        for fact in facts:
            assert FACT_DOMAINS[fact] is Domain.SOPHIA
            assert fact_kind(fact) == kind
            assert kind in fact.__struct_fields__


@pytest.mark.parametrize(
    "wrong",
    [
        '{"type":"client.signed.v1","client":"","at":"2026-01-01T00:00:00Z","origin":"crm"}',
        '{"type":"client.signed.v1","client":" c","at":"2026-01-01T00:00:00Z","origin":"crm"}',
        '{"type":"client.signed.v1","client":"c\\u0000","at":"2026-01-01T00:00:00Z","origin":"crm"}',
        '{"type":"client.signed.v1","client":"c","at":"2026-01-01T00:00:00","origin":"crm"}',
        '{"type":"client.signed.v1","client":"c","at":"2026-01-01T00:00:00Z","origin":"crm","monthly_value":-1}',
        '{"type":"client.signed.v1","client":"c","at":"2026-01-01T00:00:00Z","origin":"crm","currency":"euro"}',
        '{"type":"client.signed.v1","client":"c","at":"2026-01-01T00:00:00Z","origin":"crm","segmnet":"small"}',
    ],
)
def test_a_fact_that_says_nonsense_is_refused(wrong: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(wrong, type=ClientFact)


def test_a_client_is_what_its_facts_come_to() -> None:
    found = joined(
        rows(
            (business.ClientCancelled(client="Ada & Co", at=day(400), origin="crm", reason="price"), INTERNAL),
            (signed(segment="small", contract="monthly", monthly_value=10.0, currency="EUR"), INTERNAL),
            (business.ClientRenewed(client="Ada & Co", at=day(365), origin="crm", contract="yearly"), INTERNAL),
            (
                business.ClientUsage(client="Ada & Co", at=day(30), origin="app", period_days=30, active_users=4),
                INTERNAL,
            ),
        )
    )
    (client,) = found
    assert isinstance(client, ClientRecord)
    assert (client.id, client.segment, client.contract, client.monthly_value) == ("Ada & Co", "small", "yearly", 10.0)
    assert (client.signed, client.renewals, client.renewed, client.cancelled) == (day(0), 1, day(365), day(400))
    assert (client.reason, [one.active_users for one in client.usage]) == ("price", [4])
    again = joined(
        rows(
            (signed(500), INTERNAL), (business.ClientCancelled(client="Ada & Co", at=day(400), origin="crm"), INTERNAL)
        )
    )
    assert isinstance(again[0], ClientRecord)
    assert again[0].cancelled is None


def test_a_deal_keeps_its_stages_a_ticket_and_an_invoice_their_ends() -> None:
    found = joined(
        rows(
            (business.DealClosed(deal="d1", at=day(20), origin="crm", outcome="won", value=90.0), INTERNAL),
            (
                business.DealOpened(
                    deal="d1", at=day(1), origin="crm", stage="lead", value=100.0, currency="EUR", client="c"
                ),
                INTERNAL,
            ),
            (business.DealStageChanged(deal="d1", at=day(9), origin="crm", stage="offer", probability=0.5), INTERNAL),
        )
    )
    (deal,) = found
    assert isinstance(deal, DealRecord)
    assert (deal.outcome, deal.value, deal.closed, deal.opened, deal.client) == ("won", 90.0, day(20), day(1), "c")
    assert deal.steps == (
        Step(at=day(1), stage="lead", value=100.0),
        Step(at=day(9), stage="offer", value=100.0, probability=0.5),
    )
    ticket = joined(
        rows(
            (business.TicketOpened(ticket="t1", at=day(1), origin="desk", severity="high", client="c"), INTERNAL),
            (business.TicketResolved(ticket="t1", at=day(2), origin="desk"), INTERNAL),
        )
    )[0]
    assert ticket == TicketRecord(id="t1", label=INTERNAL, client="c", severity="high", opened=day(1), resolved=day(2))
    invoice = joined(
        rows(
            (business.InvoicePaid(invoice="i1", at=day(9), origin="bank"), INTERNAL),
            (
                business.InvoiceIssued(
                    invoice="i1", at=day(1), origin="erp", client="c", amount=5.0, currency="EUR", due=day(8)
                ),
                INTERNAL,
            ),
        )
    )[0]
    assert invoice == InvoiceRecord(
        id="i1", label=INTERNAL, client="c", amount=5.0, currency="EUR", issued=day(1), due=day(8), paid=day(9)
    )


@for_all(
    st.lists(st.tuples(facts_of_a_client, st.sampled_from(list(Clearance))), max_size=12),
    st.sampled_from(list(Clearance)),
)
def test_what_a_reader_is_told_is_as_if_there_were_no_facts_above_him(
    facts: list[tuple[AnyBusinessFact, Clearance]], clearance: Clearance
) -> None:
    told = joined([row for row in rows(*facts) if row.label <= clearance])
    assert told == joined(rows(*(one for one in facts if one[1] <= clearance)))
    assert all(one.label <= clearance for one in told)


@for_all(st.lists(facts_of_a_client, max_size=12, unique_by=lambda fact: (type(fact), fact.at)), st.randoms())
def test_the_order_of_arrival_does_not_matter(facts: list[AnyBusinessFact], random: Any) -> None:
    shuffled = list(facts)
    random.shuffle(shuffled)
    assert joined(rows(*((one, INTERNAL) for one in facts))) == joined(rows(*((one, INTERNAL) for one in shuffled)))


def test_facts_about_one_thing_are_bounded_and_the_first_of_each_stays() -> None:
    uses = tuple(
        business.ClientUsage(client="Ada & Co", at=day(number), origin="app", period_days=1, active_users=number)
        for number in range(1, FACTS_MAX + 50)
    )
    kept = bounded_facts(in_order((signed(), *uses)))
    assert len(kept) == FACTS_MAX
    assert kept[:2] == (signed(), uses[0])
    assert kept[-1] == uses[-1]


def test_only_so_many_bytes_of_records_go_into_one_blob() -> None:
    records = [ClientRecord(id=f"c{number}", label=INTERNAL) for number in range(10)]
    whole, count = packed(records)
    assert (msgspec.json.decode(whole, type=list[ClientRecord]), count) == (records, 10)
    some, count = packed(records, len(whole) // 2)
    assert len(some) <= len(whole) // 2
    assert msgspec.json.decode(some, type=list[ClientRecord]) == records[:count]


class Reading:
    """Sophia in memory with its record actors, and an actor that reads clients when it is added to."""

    def __init__(self) -> None:
        self.found: list[RecordsFound | str] = []
        broker = MemoryBroker(ack_wait_s=LIMITS.ack_wait_s)
        self.reads = FoldedReads(broker)
        counter = Actor("counter", Sum(), decide, evolve, self._react())
        self.world = World(counter, *RECORD_ACTORS, broker=broker, records=self.reads)

    def _react(self) -> Any:
        async def react(recorded: Recorded[Added], effects: Effects) -> None:  # noqa: ARG001 - the form of all
            try:
                self.found.append(await effects.records("client"))
            except OutcomeError as error:
                self.found.append(str(error))
            if len(self.found) == 1:
                raise UnavailableError("something else", "away")
            await effects.tell(Note(text="read"))

        return react

    async def fact(self, fact: AnyBusinessFact, actor: str) -> None:
        kind: RecordKind = business.KIND_OF[type(fact)]
        to = ActorRef(Domain.SOPHIA, kind, actor)
        await self.world.send(fact, to)
        await self.world.events(to, at_least=1)

    async def noted(self) -> Clearance:
        await self.world.send(Add(amount=1), COUNTER)
        return (await self.world.events(COUNTER, at_least=2))[1].record.envelope.label


def test_records_are_read_once_under_the_askers_clearance_and_journaled_as_a_blob() -> None:
    """Run again from the top, the reaction is told the same, though more is known by then."""

    async def body() -> None:
        reading = Reading()
        async with reading.world:
            await reading.fact(signed(segment="small", confidentiality=RESTRICTED), "a")
            secret = business.ClientSigned(client="S", at=day(0), origin="crm", confidentiality=Clearance.TOP_SECRET)
            await reading.fact(secret, "s")
            assert await reading.noted() is RESTRICTED
            first, second = reading.found
            assert isinstance(first, RecordsFound)
            assert first == second
            assert (first.count, first.left_out, first.label) == (1, 0, RESTRICTED)
            content = await reading.world.outside.blobs.get(first.digest)
            assert [one.id for one in msgspec.json.decode(content, type=list[ClientRecord])] == ["Ada & Co"]
            cause = (await reading.world.events(COUNTER, at_least=1))[0].record.envelope.id
            (entry,) = await reading.world.log.read(subjects.run(COUNTER, cause))
            assert msgspec.json.decode(entry.record.body, type=EffectRecorded).name == "records"
            assert len(entry.record.body) < 500

    asyncio.run(asyncio.wait_for(body(), 20))


def test_without_a_read_model_reading_fails_at_once() -> None:
    async def body() -> None:
        reading = Reading()
        async with reading.world:
            reading.reads.down = True
            await reading.noted()
            assert all("no client records now: postgres" in str(one) for one in reading.found)

    asyncio.run(asyncio.wait_for(body(), 20))
