"""A program: where secrets seem to stand below the working folder, by all detectors of detect-secrets, as JSON.

What its own command does with `scan --all-files --no-verify`, but file after file: that one begins a pool of processes, which
needs what a sandbox does not have. Neither a secret nor its hash is printed.

Whoever wrote the tree must not be able to switch a finding off. So a comment (`pragma: allowlist secret`) hides nothing, it is
told with the finding; `swagger` in a path hides nothing; every line with a secret is named, not one line a file; and a call on
the line (`= f(…)`) hides from the detectors of randomness and of names only, not from those that know a secret by its form.
"""

import json
import sys
from pathlib import Path

from detect_secrets.core.scan import get_files_to_scan, scan_file
from detect_secrets.filters.allowlist import is_line_allowlisted
from detect_secrets.filters.heuristic import is_indirect_reference, is_lock_file, is_non_text_file
from detect_secrets.plugins.base import BasePlugin, RegexBasedDetector
from detect_secrets.plugins.keyword import KeywordDetector
from detect_secrets.settings import default_settings, get_settings
from detect_secrets.util.code_snippet import get_code_snippet

FILTERS = "detect_secrets.filters"
NOT_OURS = (
    f"{FILTERS}.common.is_ignored_due_to_verification_policies",  # asks servers about what was found
    f"{FILTERS}.allowlist.is_line_allowlisted",
    f"{FILTERS}.heuristic.is_swagger_file",
    f"{FILTERS}.heuristic.is_indirect_reference",
)


def is_guess_beside_a_call(secret: str, line: str, plugin: BasePlugin) -> bool:  # noqa: ARG001 - names of detect-secrets
    """A filter: `is_indirect_reference` for the detectors that guess."""
    exact = isinstance(plugin, RegexBasedDetector) and not isinstance(plugin, KeywordDetector)
    return not exact and is_indirect_reference(line)


def found_in(path: str) -> list[tuple[int, str, bool]]:
    """Line, kind, and whether a comment asks to pass the line over."""
    lines = Path(path).read_text(errors="replace").split("\n")
    found = {(one.line_number, one.type) for one in scan_file(path)}
    return [(line, kind, _hushed(path, lines, line)) for line, kind in sorted(found)]


def _hushed(path: str, lines: list[str], line: int) -> bool:
    if not 0 < line <= len(lines):
        return False
    return bool(is_line_allowlisted(path, lines[line - 1].rstrip(), get_code_snippet(lines, line)))


if __name__ == "__main__":
    passed, found = [], {}
    with default_settings():
        for name in NOT_OURS:
            get_settings().filters.pop(name, None)
        get_settings().filters[f"file://{__file__}::{is_guess_beside_a_call.__name__}"] = {}
        for path in get_files_to_scan(".", should_scan_all_files=True):
            if is_non_text_file(path) or is_lock_file(path):
                passed.append(path)
            else:
                found[path] = found_in(path)
    json.dump({"found": found, "passed": passed}, sys.stdout)
