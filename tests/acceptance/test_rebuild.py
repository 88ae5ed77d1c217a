"""Read models rebuilt while questions are asked: equal row by row, swapped at once."""

import json
import subprocess
import sys
import threading

from contracts.domains import Clearance
from projections.catalogue import PROJECTIONS
from tests.stack import ROOT, Stack, ok


def test_rebuilt_under_traffic_every_table_equals_the_live_one(stack: Stack) -> None:
    stop, asked = threading.Event(), threading.Event()
    turns: list[str] = []

    def traffic() -> None:
        with stack.client("busy", clearance=Clearance.TOP_SECRET) as client:
            while not stop.is_set():
                item = {
                    "title": "Busy",
                    "content": f"Item {len(turns)}",
                    "category": "risk_management",
                    "confidentiality": "public",
                }
                ok(client.post("/v1/knowledge", json=item))
                turns.append(ok(client.post("/v1/sophia/ask", json={"question": "What is at risk?"}))["session"])
                asked.set()

    writer = threading.Thread(target=traffic)
    writer.start()
    try:
        assert asked.wait(60)
        command = [sys.executable, "-m", "deploy", "rebuild", "--all", "--json", "--data", str(stack.folder)]
        during = 0
        while not during:  # A question may take longer than a rebuild.
            before = len(turns)
            output = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, timeout=100)  # noqa: S603
            during = len(turns) - before
    finally:
        stop.set()
        writer.join(60)
    tables = json.loads(output.stdout)
    assert {table["projection"] for table in tables} == {one.name for one in PROJECTIONS}
    for table in tables:
        assert table["compared"], table
        assert table["equal"], table
        assert table["swapped"], table
        assert (table["rows"], table["checksum"]) == (table["live_rows"], table["live_checksum"])
    with stack.client("busy", clearance=Clearance.TOP_SECRET) as client:
        assert ok(client.get(f"/v1/sessions/{turns[-1]}"))["turns"] == 1
