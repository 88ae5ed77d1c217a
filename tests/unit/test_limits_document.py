"""docs/limits.md names every limit with its default, and nothing else."""

import re
from pathlib import Path

from deploy.settings import Limits

DOCUMENT = Path(__file__).parents[2] / "docs" / "limits.md"
UNITS = {"GiB": 1 << 30, "MiB": 1 << 20}
ROW = re.compile(r"\| `(\w+)` \| ([0-9.,]+)(?: (GiB|MiB))? \| ([^|]+) \| ([^|]+) \|")


def test_every_limit_is_documented_with_its_default() -> None:
    rows = [ROW.fullmatch(line) for line in DOCUMENT.read_text().splitlines() if line.startswith("| `")]
    found = [(row[1], float(row[2].replace(",", "")) * UNITS.get(row[3], 1)) for row in rows if row is not None]
    assert len(found) == len(rows), "a row that cannot be read"
    limits = Limits()
    assert sorted(found) == sorted((name, float(getattr(limits, name))) for name in Limits.__struct_fields__)
