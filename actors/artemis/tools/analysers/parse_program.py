"""A program: which Python files below the working folder are no valid Python, or nested too deep for analysers, as JSON.

It runs by itself (`python -I parse_program.py`): a file that makes the parser crash ends nothing else.
"""

import ast
import json
import sys
import warnings
from pathlib import Path

DEPTH_MAX = 150
"""Analysers walk the syntax tree by recursion, two or three calls a level, of which Python allows 1,000."""


def why_not(path: Path) -> str | None:
    """Why the file cannot be analysed; None if it can."""
    try:
        tree = ast.parse(path.read_bytes())
    except SyntaxError as error:
        return f"line {error.lineno}: {error.msg}"
    except (ValueError, RecursionError, MemoryError, SystemError) as error:
        return str(error) or type(error).__name__
    depth = 0
    level: list[ast.AST] = [tree]
    while level:
        depth += 1
        if depth > DEPTH_MAX:
            return f"its syntax tree is deeper than {DEPTH_MAX}"
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    return None


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    reasons = {path.as_posix(): why_not(path) for path in sorted(Path().rglob("*")) if path.is_file()}
    json.dump({path: reason for path, reason in reasons.items() if reason}, sys.stdout)
