"""The security scan: planted weaknesses of each kind are found where they stand, secrets are repeated nowhere, nothing is run."""

import io
import json
import subprocess
import sys
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from actors.artemis.tools import TOOLS, security_findings
from actors.artemis.tools.analysers import secret_scan
from actors.artemis.tools.analysers.advisories import compared
from actors.artemis.tools.analysers.dependencies import Dependency
from actors.artemis.tools.analysers.programs import Deadline
from actors.artemis.tools.security import SecurityArguments, SecurityResult, alarms, scan
from actors.artemis.tools.source_tree import read_archive
from runtime.errors import OutcomeError
from tests.archives import packed_folder, tree, zipped
from tests.unit.test_code_analysis import installed, unpacked

KEY = "AKIA" + "ABCDEFGHIJKLMNOP"
PASSWORD = "correct" + "-horse-battery-7"
OSV = {
    "id": "GHSA-test-0001",
    "modified": "2026-03-04T00:00:00Z",
    "aliases": ["CVE-2026-0001"],
    "summary": "Requests leak credentials",
    "database_specific": {"severity": "HIGH"},
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "Leaky_Requests"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.20.0"}]}],
        }
    ],
}
PLANTED = {
    "app/db.py": "def find(cursor, name):\n    cursor.execute(f\"SELECT * FROM people WHERE name = '{name}'\")\n",
    "app/config.py": f'aws_key = "{KEY}"\npassword = "{PASSWORD}"\n',
    "deploy/values.yaml": f"url: postgres://bob:{PASSWORD}@db/x\n",
    "requirements.txt": "flask==1.0\nleaky-requests==2.19.0 \\\n    --hash=sha256:00\n"
    "httpx>=1\n# none\n-r other.txt\nodd===not.a.version\n",
    "Dockerfile": "FROM python:latest\nADD https://example.org/x.tgz /x\nENV API_TOKEN=abc\n",
    "compose.yml": "services:\n  web:\n    privileged: true\n    volumes: ['/var/run/docker.sock:/s']\n"
    f"    environment: ['DB_PASSWORD={PASSWORD}']\n",
    "app/settings.py": "DEBUG = True\nCORS_ALLOW_ALL_ORIGINS = True\n",
    ".github/workflows/ci.yml": "on: pull_request_target\njobs:\n  build:\n    runs-on: ubuntu-latest\n    steps:\n"
    "      - uses: actions/checkout@v4\n        with:\n          ref: ${{ github.event.pull_request.head.sha }}\n"
    "      - run: echo ${{ github.event.pull_request.title }}\n",
    "tests/test_app.py": "def test_it():\n    assert eval('1') == 1\n",
    "setup.py": "from pathlib import Path\nPath('CANARY').write_text('run')\n",
}


@pytest.fixture(scope="module")
def planted() -> SecurityResult:
    return scan(read_archive(zipped(PLANTED)), json.dumps([OSV]).encode())


def test_what_was_planted_is_found_where_it_stands(planted: SecurityResult) -> None:
    found = {(one.rule, one.path, one.line, one.severity) for one in planted.places}
    wanted = {
        ("B608 hardcoded_sql_expressions", "app/db.py", 2, "medium"),
        ("secret: AWS Access Key", "app/config.py", 1, "high"),
        ("secret: Secret Keyword", "app/config.py", 2, "medium"),
        ("secret: Basic Auth Credentials", "deploy/values.yaml", 1, "high"),
        ("GHSA-test-0001", "requirements.txt", 2, "high"),
        ("runs as root", "Dockerfile", 1, "medium"),
        ("image not pinned", "Dockerfile", 1, "low"),
        ("remote ADD", "Dockerfile", 2, "medium"),
        ("secret in image", "Dockerfile", 3, "medium"),
        ("privileged container", "compose.yml", 2, "high"),
        ("docker socket", "compose.yml", 2, "high"),
        ("secret in compose", "compose.yml", 2, "medium"),
        ("debug mode", "app/settings.py", 1, "medium"),
        ("open CORS", "app/settings.py", 2, "medium"),
        ("dangerous-triggers", ".github/workflows/ci.yml", 1, "high"),
        ("template-injection", ".github/workflows/ci.yml", 9, "high"),
        ("unpinned-uses", ".github/workflows/ci.yml", 6, "high"),
    }
    assert wanted - found == set()
    assert {one.rule for one in planted.places if one.in_test} == {"B101 assert_used", "B307 blacklist"}
    assert planted.compared is not None
    assert (planted.dependencies, planted.compared.open, planted.compared.strange) == (4, 1, 1)


def test_a_secret_is_nowhere_in_the_result(planted: SecurityResult) -> None:
    told = repr(planted) + msgspec.json.encode(planted).decode()
    assert KEY not in told
    assert PASSWORD not in told
    import hashlib

    assert hashlib.sha1(KEY.encode(), usedforsecurity=False).hexdigest() not in told


def test_what_is_found_of_high_severity_is_an_alarm_without_the_secret(planted: SecurityResult) -> None:
    (alarm,) = alarms(planted, "0f" * 32)
    high = [place for place in planted.places if place.severity == "high" and not place.in_test]
    assert alarm.title.startswith(f"{len(high)} security findings")
    assert all(f"{place.path}:{place.line}" in alarm.text for place in high[:5])
    assert KEY not in alarm.text
    assert PASSWORD not in alarm.text
    assert alarms(msgspec.structs.replace(planted, places=()), "0f" * 32) == ()


def test_what_to_fix_first_is_told_with_a_step_for_each(planted: SecurityResult) -> None:
    (first,) = (line for line in planted.findings if line.startswith("Fix first: 1. "))
    assert "Fix first: 1. take what is written out at app/config.py:1 out of the code" in first
    assert "; 3. raise leaky-requests in requirements.txt to 2.20.0" in first
    assert "raise leaky-requests in requirements.txt to 2.20.0" in _fixes(planted, "GHSA-test-0001")
    assert "take what is written out at app/config.py:1 out of the code" in _fixes(planted, "secret: AWS Access Key")
    assert _fixes(planted, "none") == ""


def _fixes(result: SecurityResult, rule: str) -> str:
    places = tuple(one for one in result.places if one.rule == rule)
    return "".join(security_findings._first(msgspec.structs.replace(result, places=places)))


def test_without_a_database_it_is_said_that_nothing_was_compared() -> None:
    result = scan(read_archive(zipped({"requirements.txt": "a==1\n", "a.py": "x = 1\n"})))
    assert result.compared is None
    assert any("compared with no advisories" in line for line in result.findings)


def test_nothing_of_the_tree_is_ever_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    canary = tmp_path / "canary"
    write = f"from pathlib import Path\nPath({str(canary)!r}).write_text('run')\n"
    files = dict.fromkeys(("setup.py", "conftest.py", "app/__init__.py", "app/__main__.py", "sitecustomize.py"), write)
    files |= dict.fromkeys(("bandit.py", "lizard.py", "vulture.py", "ruff.py", "grimp.py", "ast.py", "json.py"), write)
    files["pyproject.toml"] = '[build-system]\nrequires = []\nbuild-backend = "setup"\nbackend-path = ["."]\n'
    data = zipped(files)
    monkeypatch.chdir(tmp_path)
    for name in ("code_analysis", "security"):
        tool = TOOLS[name]
        result = tool.run(tool.arguments(archive="d"), lambda _: data)
        assert result.findings  # type: ignore[attr-defined]
    assert not canary.exists()
    assert list(tmp_path.iterdir()) == []


def test_a_hostile_archive_is_reported_and_the_rest_is_scanned() -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        link = tarfile.TarInfo("link.py")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        for name, text in (("../../outside.py", "x = 1"), ("app.py", "eval(input())\n")):
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    result = scan(read_archive(packed.getvalue()))
    assert result.findings[0] == (
        "Hostile archive: 1 × link, 1 × outside the tree, such as link.py (a symbolic link to /etc/passwd);"
        " ../../outside.py (its name leads outside the tree)."
    )
    assert "B307 blacklist" in {one.rule for one in result.places}


@pytest.mark.parametrize("package", ["nats", "msgspec"])
def test_places_equal_bandits_and_detect_secrets_own_output(package: str, tmp_path: Path) -> None:
    data = packed_folder(installed(package))
    files, folder = read_archive(data), unpacked(data, tmp_path)
    result = scan(files, seconds=300)
    own = ("bandit", "-r", "-q", "-f", "json", "--exit-zero")
    bandit = json.loads(_command(folder, *own, "--ignore-nosec", "."))
    wanted = Counter(f"{hit['test_id']} {hit['test_name']}" for hit in bandit["results"])
    loud = [word for name in ("allowlist.is_line_allowlisted", "heuristic.is_swagger_file") for word in _without(name)]
    secrets = json.loads(_command(folder, "detect_secrets", "scan", "--all-files", "--no-verify", *loud, "."))[
        "results"
    ]
    leaks = {(path, hit["line_number"], hit["type"]) for path, hits in secrets.items() for hit in hits}
    wanted += Counter(f"secret: {kind}" for _, _, kind in leaks)
    assert {one.name: one.places + one.in_tests for one in result.by_rule} == wanted
    found, *_ = secret_scan.leaks(files.files, Deadline(100))
    assert {(one.path, one.line, one.kind) for one in found} == leaks
    places = {(hit["filename"].removeprefix("./"), hit["line_number"], hit["test_id"]) for hit in bandit["results"]}
    listed = {(one.path, one.line, one.rule.split()[0]) for one in result.places if one.rule.startswith("B")}
    assert listed <= places
    assert len(result.places) < 200 or listed
    totals = json.loads(_command(folder, *own, "."))["metrics"]["_totals"]
    assert result.suppressed == totals["nosec"] + totals["skipped_tests"]


def _without(name: str) -> tuple[str, str]:
    return "--disable-filter", f"detect_secrets.filters.{name}"


HUSHED = {
    "app/a.py": f'KEY = "{KEY}"  # pragma: allowlist secret\n# pragma: allowlist nextline secret\nOTHER = "{KEY}"\n',
    "swagger/b.js": f'const client = connect("{KEY}")\n',
    "c.py": "import subprocess\nsubprocess.run(input(), shell=True)  # nosec\neval(input())  # nosec B307\n"
    "assert eval('1')  # nosec B101\n",
    ".github/tools/d.py": "eval(input())\n",
    "e.egg/f.py": "eval(input())\n",
    ".bandit": "[bandit]\nskips: B307,B602\nexclude: /\n",
    "pyproject.toml": '[tool.bandit]\nskips = ["B307"]\nexclude_dirs = ["."]\n',
    ".secrets.baseline": '{"filters_used": [{"path": "detect_secrets.filters.regex.should_exclude_file", "pattern": ["."]}]}',
    ".gitignore": "*\n",
    ".github/workflows/ci.yml": "on: push\njobs:\n  build:\n    runs-on: ubuntu-latest\n    steps:\n"
    "      - uses: actions/checkout@v4 # zizmor: ignore[unpinned-uses, artipacked]\n",
    "zizmor.yml": "rules:\n  unpinned-uses:\n    disable: true\n",
}


def test_nothing_in_the_tree_switches_a_finding_off() -> None:
    result = scan(read_archive(zipped(HUSHED)))
    found = {(one.rule, one.path, one.line): one.message for one in result.places}
    hushed = {key for key, message in found.items() if message.endswith("though a comment there asks to pass it over")}
    secret, blacklist = "secret: AWS Access Key", "B307 blacklist"
    told = {
        (secret, "app/a.py", 1),
        (secret, "app/a.py", 3),
        ("B602 subprocess_popen_with_shell_equals_true", "c.py", 2),
        (blacklist, "c.py", 3),
        ("B101 assert_used", "c.py", 4),
    }
    plain = {
        (secret, "swagger/b.js", 1),
        (blacklist, "c.py", 4),
        (blacklist, ".github/tools/d.py", 1),
        (blacklist, "e.egg/f.py", 1),
        ("unpinned-uses", ".github/workflows/ci.yml", 6),
    }
    assert told - hushed == set()
    assert plain - found.keys() == set()
    assert plain & hushed == set()
    assert result.suppressed == len(hushed)
    assert f" {len(hushed)} of all these have a comment that asks to pass them over" in result.findings[0]


def test_files_that_are_not_searched_for_secrets_are_told() -> None:
    result = scan(read_archive(zipped({"uv.lock": f'key = "{KEY}"\n', "a.py": "x = 1\n"})))
    assert any(
        line.endswith(
            "; 1 lock files, style sheets and drawings, full of random text, were searched for no secrets, such as uv.lock."
        )
        for line in result.findings
    )


def _command(folder: Path, *arguments: str) -> str:
    ended = subprocess.run(  # noqa: S603 - analysers of the environment
        [sys.executable, "-I", "-m", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    return ended.stdout


def _hit(version: str, events: list[dict[str, str]], **more: object) -> bool:
    record = {
        "id": "X-1",
        "affected": [
            {"package": {"ecosystem": "PyPI", "name": "p"}, "ranges": [{"type": "ECOSYSTEM", "events": events}]}
        ],
    }
    return bool(compared([Dependency("PyPI", "p", version, "f")], json.dumps(record | more).encode()).vulnerable)


def test_ranges_hold_from_introduced_to_before_fixed_and_up_to_last_affected() -> None:
    fixed = [{"introduced": "1.0"}, {"fixed": "1.5"}, {"introduced": "2.0"}, {"last_affected": "2.1"}]
    found = [
        version for version in ("0.9", "1.0", "1.4.9", "1.5", "1.9", "2.0", "2.1", "2.1.1", "3") if _hit(version, fixed)
    ]
    assert found == ["1.0", "1.4.9", "2.0", "2.1"]
    assert _hit("0.0.1a1", [{"introduced": "0"}])
    assert not _hit("1", [{"introduced": "0"}], withdrawn="2026-01-01T00:00:00Z")


def test_a_database_is_a_zip_a_record_a_list_or_lines() -> None:
    wrong = [Dependency("PyPI", "leaky-requests", "2.19.0", "f")]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("GHSA-test-0001.json", json.dumps(OSV))
    record = json.dumps(OSV).encode()
    for database in (packed.getvalue(), record, b"[" + record + b"]", record + b"\n" + record):
        result = compared(wrong, database)
        assert [one.advisory for one in result.vulnerable] == ["GHSA-test-0001"]
        assert result.newest == "2026-03-04"
    for broken in (b"", b"no json", b"PK\x03\x04nothing"):
        with pytest.raises(OutcomeError, match="OSV"):
            compared(wrong, broken)


def test_the_tool_runs_through_the_port() -> None:
    blobs = {"d": zipped(PLANTED), "a": json.dumps(OSV).encode()}
    result = TOOLS["security"].run(SecurityArguments(archive="d", advisories="a"), blobs.__getitem__)
    assert isinstance(result, SecurityResult)
    assert any(
        line.startswith("Severity high") and "leaky-requests 2.19.0 has a known weakness (CVE-2026-0001)" in line
        for line in result.findings
    )
    assert msgspec.json.encode(SecurityArguments(archive="d")) == b'{"archive":"d","question":""}'


def test_clean_code_has_no_weakness() -> None:
    result = scan(tree(app="def f(x: int) -> int:\n    return x + 1\n"))
    assert (
        result.findings[0]
        == "0 possible security problems outside tests in the 1 files of the code: 0 high, 0 medium, 0 low; 0 more in tests."
    )
