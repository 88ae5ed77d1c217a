"""Records that a question calls by their id or name, and ids in it that are none's; pure."""

import re
from collections.abc import Iterable


def stands(name: str | None, question: str) -> bool:
    """Whether a name stands in the question, as a whole."""
    return bool(name) and bool(re.search(rf"(?<![\w-]){re.escape(name or '')}(?!\w)", question, re.IGNORECASE))


def alike(ids: Iterable[str], question: str) -> list[str]:
    """What in the question looks like one of the ids but for its number."""
    shapes = {re.sub(r"\d+", r"\\d+", re.escape(one)) for one in ids if re.search(r"[^\W\d].*\d", one)}
    return [
        match[0]
        for shape in sorted(shapes)
        for match in re.finditer(rf"(?<![\w-]){shape}(?!\w)", question, re.IGNORECASE)
    ]
