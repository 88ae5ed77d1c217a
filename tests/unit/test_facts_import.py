"""Files of facts: what is read of them, what is refused by line, and under which id each is published."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from contracts.business import ClientCancelled, ClientSigned, ClientUsage
from contracts.domains import Clearance
from contracts.subjects import is_token
from deploy.cli import cli
from deploy.facts_import import TYPES, Given, place_of, read_facts
from runtime.errors import InvalidError

GIVEN = Given(origin="crm", confidentiality=Clearance.CONFIDENTIAL, type="client.signed")
AT = datetime(2026, 3, 1, tzinfo=UTC)


def test_a_csv_is_a_fact_a_row(tmp_path: Path) -> None:
    path = tmp_path / "clients.csv"
    path.write_text("client,at,segment,monthly_value,currency\nA & B,2026-03-01,small,29.85,EUR\nC,2026-03-01,,,\n")
    signed = ClientSigned(
        client="A & B",
        at=AT,
        origin="crm",
        confidentiality=Clearance.CONFIDENTIAL,
        segment="small",
        monthly_value=29.85,
        currency="EUR",
    )
    assert read_facts(path, GIVEN).facts == (
        signed,
        ClientSigned(client="C", at=AT, origin="crm", confidentiality=Clearance.CONFIDENTIAL),
    )


def test_json_lines_say_their_type_and_what_is_none_is_told_by_line(tmp_path: Path) -> None:
    path = tmp_path / "facts.jsonl"
    lines = [
        '{"type": "client.cancelled.v1", "client": "C", "at": "2026-03-01T00:00:00Z", "origin": "desk"}',
        "",
        '{"type": "client.gone", "client": "C"}',
        '{"type": "client.usage", "client": "C", "at": "2026-03-01", "period_days": 30, "active_users": 4}',
        '{"type": "client.usage", "client": "C", "at": "2026-03-01", "period_days": "30", "active_users": 4}',
        "not json",
        '{"client": "C", "at": "yesterday"}',
        '{"client": "C", "at": "2026-03-01", "segmnet": "small"}',
    ]
    path.write_text("\n".join(lines))
    read = read_facts(path, GIVEN)
    assert read.facts == (
        ClientCancelled(client="C", at=AT, origin="desk", confidentiality=Clearance.CONFIDENTIAL),
        ClientUsage(
            client="C",
            at=AT,
            origin="crm",
            confidentiality=Clearance.CONFIDENTIAL,
            period_days=30,
            active_users=4,
        ),
    )
    assert [one.line for one in read.failures] == [3, 5, 6, 7, 8]
    words = ("client.gone", "period_days", "malformed", "at", "segmnet")
    assert all(word in one.reason for word, one in zip(words, read.failures, strict=True))


def test_a_row_with_more_cells_than_the_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "clients.csv"
    path.write_text("client,at\nA,2026-03-01,small\n")
    read = read_facts(path, GIVEN)
    assert (read.facts, [one.line for one in read.failures]) == ((), [2])
    assert "more cells" in read.failures[0].reason


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "facts.xlsx"
    path.write_bytes(b"PK")
    with pytest.raises(InvalidError, match=r"neither \.jsonl nor \.csv"):
        read_facts(path, GIVEN)


def test_each_is_published_under_an_id_that_follows_from_what_it_is_about() -> None:
    odd, plain = (ClientSigned(client=name, at=AT, origin="crm") for name in ("A & B", "ACME-7"))
    assert place_of(plain) == ("client", "ACME-7")
    kind, identity = place_of(odd)
    assert (kind, is_token(identity)) == ("client", True)
    assert place_of(msgspec.structs.replace(odd, origin="erp")) == (kind, identity)


def test_the_types_are_told() -> None:
    told = CliRunner().invoke(cli, ["facts", "types"])
    assert told.exit_code == 0
    assert [line.partition(":")[0] for line in told.output.splitlines()] == list(TYPES)
    assert "deal.closed.v1: at origin [confidentiality] deal outcome [value] [currency] [reason]" in told.output
