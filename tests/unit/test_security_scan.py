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
from hypothesis import given
from hypothesis import strategies as st

from actors.artemis.tools import TOOLS, security_findings
from actors.artemis.tools.analysers import secret_scan
from actors.artemis.tools.analysers.advisories import compared
from actors.artemis.tools.analysers.dependencies import Dependency, dependencies, line_of
from actors.artemis.tools.analysers.misconfiguration import misconfigured
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


OPEN = {
    "k8s/pod.yaml": "apiVersion: v1\nkind: Pod\nspec:\n  hostNetwork: true\n  hostPID: true\n  containers:\n  - name: a\n"
    "    securityContext: {privileged: true, runAsUser: 0}\n  # privileged: true\n  volumes:\n  - name: v\n"
    "    hostPath:\n      path: /\n",
    "chart/templates/d.yaml": "{{- if x }}\napiVersion: apps/v1\nkind: Deployment\n{{- end }}\n      - privileged: true\n",
    "infra/main.tf": 'resource "aws_s3_bucket" "b" {\n  acl = "public-read"\n}\n  block_public_acls = false\n'
    '  publicly_accessible = true\n  # acl = "public-read"\n',
    "stack.yml": "AWSTemplateFormatVersion: '2010-09-09'\nResources:\n  B:\n    AccessControl: PublicReadWrite\n",
    "etc/nginx/site": "server {\n  autoindex on;\n  ssl_protocols TLSv1 TLSv1.2;\n}\n",
    "web.conf": "server {\n  autoindex on;\n  ssl_protocols TLSv1.2 TLSv1.3;\n}\n",
    "Dockerfile": "FROM python:3.11\nRUN apt-get update && \\\n  curl -s https://example.org/x | sudo bash -\nUSER root\n",
    "values.yaml": "privileged: true\nautoindex: on\n",
    "app.js": "db.query('SELECT ' + x)\n",
    "b.js": "x\n",
    "c.go": "package c\n",
}


def test_settings_that_open_a_door_are_found_in_each_kind_of_file_and_what_is_not_looked_at_is_said() -> None:
    files = read_archive(zipped(OPEN))
    found, unread = misconfigured(files.files)
    assert unread == []
    assert sorted((one.path, one.line, one.rule, one.severity) for one in found) == [
        ("Dockerfile", 1, "runs as root", "medium"),
        ("Dockerfile", 2, "piped to a shell", "medium"),
        ("chart/templates/d.yaml", 5, "privileged container", "high"),
        ("etc/nginx/site", 2, "folder listing", "medium"),
        ("etc/nginx/site", 3, "old TLS", "medium"),
        ("infra/main.tf", 2, "public bucket", "high"),
        ("infra/main.tf", 4, "public access", "medium"),
        ("infra/main.tf", 5, "public access", "high"),
        ("k8s/pod.yaml", 4, "host network", "medium"),
        ("k8s/pod.yaml", 5, "host processes", "medium"),
        ("k8s/pod.yaml", 8, "privileged container", "high"),
        ("k8s/pod.yaml", 8, "runs as root", "medium"),
        ("k8s/pod.yaml", 12, "host path", "medium"),
        ("stack.yml", 4, "public bucket", "high"),
        ("web.conf", 2, "folder listing", "medium"),
    ]
    assert (
        "Misconfiguration was looked for in 1 Dockerfile, 0 Compose files, 2 Kubernetes manifests, 1 Terraform file,"
        " 1 CloudFormation file, 2 nginx files, 0 GitHub workflows; weak code, SQL injection among it, is looked for in Python"
        " only: 2 JavaScript files, 1 Go file were searched for secrets only." in scan(files).findings
    )


def test_files_for_whose_settings_there_was_no_time_are_told() -> None:
    files = read_archive(
        zipped({"a.yaml": "\n" * 900_000, "b.yaml": "apiVersion: v1\nkind: Pod\nprivileged: true\n"})
    ).files
    found, unread = misconfigured(files)
    assert ([one.path for one in found], unread) == (["b.yaml"], [])
    found, unread = misconfigured(files, seconds=0)
    assert (found, [one.path for one in unread]) == ([], ["a.yaml", "b.yaml"])


def test_the_line_of_a_dependency_is_looked_for_among_few_places() -> None:
    assert line_of(Dependency("npm", "a", "9.9.9", "f"), "x\n" + "a " * 400_000 + "\na 9.9.9\n") == 2


def test_manifests_are_judged_where_they_are_exact_and_told_where_neither_they_nor_a_lock_file_are() -> None:
    wanted = {"lodash": "4.17.4", "a": "^1.0.0", "b": "*", "c": "npm:real@=2.0.0", "d": "file:../d", "e": "user/repo"}
    files = {
        "web/package.json": json.dumps({"dependencies": wanted, "devDependencies": {"f": "~2"}}, indent=1),
        "locked/package.json": json.dumps({"dependencies": {"g": "^1"}}),
        "locked/yarn.lock": 'g@^1:\n  version "1.0.1"\n',
        "mono/package-lock.json": '{"packages": {}}',
        "mono/packages/one/package.json": json.dumps({"dependencies": {"h": "^1", "i": "1.0.0"}}),
        "Pipfile": '[packages]\nx = "==1.0"\ny = "*"\nz = {git = "x"}\n[dev-packages]\nw = {version = "==2"}\n',
        "Cargo.toml": '[dependencies]\np = "1.2.3"\nq = { version = "=1.2.3", package = "real" }\nr = { path = "r" }\n',
        "broken/package.json": '{"dependencies": ["x"]}',
    }
    found, unread = dependencies(read_archive(zipped(files)).files)
    assert {(one.path, one.name, one.version) for one in found} == {
        ("web/package.json", "lodash", "4.17.4"),
        ("web/package.json", "a", ""),
        ("web/package.json", "b", ""),
        ("web/package.json", "real", "2.0.0"),
        ("web/package.json", "f", ""),
        ("locked/yarn.lock", "g", "1.0.1"),
        ("mono/packages/one/package.json", "i", "1.0.0"),
        ("Pipfile", "x", "1.0"),
        ("Pipfile", "y", ""),
        ("Pipfile", "w", "2"),
        ("Cargo.toml", "p", ""),
        ("Cargo.toml", "real", "1.2.3"),
    }
    assert [one.path for one in unread] == ["broken/package.json"]
    record = {
        "id": "GHSA-lodash",
        "affected": [
            {
                "package": {"ecosystem": "npm", "name": "lodash"},
                "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "4.17.11"}]}],
            }
        ],
    }
    result = scan(read_archive(zipped(files)), json.dumps(record).encode())
    (place,) = (one for one in result.places if one.rule == "GHSA-lodash")
    assert (place.path, place.line) == ("web/package.json", 3)
    assert (
        "Not judged, for neither the file nor a lock file beside or above it gives an exact version: web/package.json:"
        " 3 dependencies, Pipfile: 1 dependency, Cargo.toml: 1 dependency." in result.findings
    )


def _command(folder: Path, *arguments: str) -> str:
    ended = subprocess.run(  # noqa: S603 - analysers of the environment
        [sys.executable, "-I", "-m", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    return ended.stdout


LOCKS = {
    "poetry.lock": '[[package]]\nname = "A_b"\nversion = "1.0"\n',
    "Cargo.lock": '[[package]]\nname = "serde"\nversion = "1.2.3"\n',
    "package-lock.json": '{"packages": {"": {}, "node_modules/@x/y": {"version": "4.0.1"}}}',
    "old/package-lock.json": '{"dependencies": {"a": {"version": "1", "dependencies": {"b": {"version": "2"}}}}}',
    "Pipfile.lock": '{"default": {"flask": {"version": "==2.0"}}}',
    "go.mod": "module m\nrequire (\n\tgithub.com/x/y v1.2.3\n)\nrequire golang.org/x/net v0.1.0\n",
    "pyproject.toml": '[project]\ndependencies = ["httpx==0.1", "rich"]\n',
    "bad/poetry.lock": "not toml [",
}


def test_dependencies_are_read_out_of_every_kind_of_file() -> None:
    found, unread = dependencies(read_archive(zipped(LOCKS)).files)
    assert {(one.ecosystem, one.name, one.version) for one in found} == {
        ("PyPI", "a-b", "1.0"),
        ("crates.io", "serde", "1.2.3"),
        ("npm", "@x/y", "4.0.1"),
        ("npm", "a", "1"),
        ("npm", "b", "2"),
        ("PyPI", "flask", "2.0"),
        ("Go", "github.com/x/y", "1.2.3"),
        ("Go", "golang.org/x/net", "0.1.0"),
        ("PyPI", "httpx", "0.1"),
    }
    assert [one.path for one in unread] == ["bad/poetry.lock"]


@pytest.mark.parametrize(
    ("dependency", "text", "line"),
    [
        (("PyPI", "jinja2", "2.4", "requirements.txt"), "# Jinja2 is old\nflask==1.0\nJinja2==2.4\n", 3),
        (
            ("PyPI", "a-b", "1.0", "uv.lock"),
            'd = [\n{ name = "a-b" },\n]\n[[package]]\nname = "A_b"\nversion = "1.0"\n',
            5,
        ),
        (("npm", "lodash", "4.17.4", "package-lock.json"), '{"a": {\n"node_modules/lodash": {\n"version": "4.17.4"', 2),
        (("npm", "lodash", "4.17.4", "yarn.lock"), 'x:\n  lodash "^4"\n\nlodash@^4:\n  version "4.17.4"\n', 4),
        (("Go", "golang.org/x/net", "0.1.0", "go.mod"), "module m\nrequire golang.org/x/net v0.1.0\n", 2),
        (("Maven", "g:art", "1.0", "pom.xml"), "<a>\n<artifactId>art</artifactId>\n<version>1.0</version>\n", 2),
        (("PyPI", "gone", "1.0", "x"), "nothing\n", 1),
    ],
)
def test_a_dependency_has_the_line_that_names_it(dependency: tuple[str, str, str, str], text: str, line: int) -> None:
    assert line_of(Dependency(*dependency), text) == line


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


def test_a_pinned_image_with_a_user_of_its_own_breaks_no_rule() -> None:
    good = "FROM python:3.11 AS build\nRUN x\nFROM build\nUSER app\nENV API_TOKEN=$TOKEN\n"
    bomb = "a: &a [x]\nb: &b [*a, *a]\nservices: {web: {environment: *b}}\n"
    files = {"Dockerfile": good, "docker-compose.yml": bomb, "deep/compose.yaml": "a: " + "[" * 9_000}
    found, unread = misconfigured(read_archive(zipped(files)).files)
    assert found == []
    assert [one.path for one in unread] == ["deep/compose.yaml"]


@given(
    st.text(max_size=200),
    st.sampled_from(
        [
            "compose.yml",
            "Dockerfile",
            "requirements.txt",
            "uv.lock",
            "package-lock.json",
            "package.json",
            "Pipfile",
            "Cargo.toml",
            "a.tf",
            "a.yaml",
        ]
    ),
)
def test_any_text_is_read_or_told(text: str, name: str) -> None:
    files = read_archive(zipped({name: text.encode("utf-8", "replace"), "a.py": "x"})).files
    misconfigured(files)
    dependencies(files)


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
