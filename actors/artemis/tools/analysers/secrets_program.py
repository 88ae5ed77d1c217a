"""A program: where secrets seem to stand below the working folder, by all detectors of detect-secrets, as JSON.

What its own command does with `scan --all-files --no-verify`, but file after file: that one begins a pool of processes, which
needs what a sandbox does not have. Neither a secret nor its hash is printed.
"""

import json
import sys

from detect_secrets.core.scan import get_files_to_scan
from detect_secrets.core.secrets_collection import SecretsCollection
from detect_secrets.settings import default_settings, get_settings

VERIFYING = "detect_secrets.filters.common.is_ignored_due_to_verification_policies"  # asks servers about what was found

if __name__ == "__main__":
    found = SecretsCollection()
    with default_settings():
        get_settings().filters.pop(VERIFYING, None)
        for path in get_files_to_scan(".", should_scan_all_files=True):
            found.scan_file(path)
    json.dump(
        {path: [[one.line_number, one.type] for one in secrets] for path, secrets in found.data.items()}, sys.stdout
    )
