"""Artemis's tools: figures that can be checked by hand, archives that must be refused, scans that name the place."""

import ast
import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.artemis.tools import TOOLS, performance_analysis, python_source, security, source_tree, system_monitoring
from actors.artemis.tools.code_analysis import CodeAnalysisArguments, CodeAnalysisResult, analyse, analyse_tree
from actors.artemis.tools.source_tree import SourceFile, SourceTree, read_archive
from actors.tables import read_table
from contracts.domains import Clearance
from contracts.model import Evidence
from runtime.errors import OutcomeError


def zipped(files: Mapping[str, str | bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return packed.getvalue()


def tarred(files: Mapping[str, str], mode: str = "w:gz") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as archive:  # type: ignore[call-overload]
        for path, text in files.items():
            info = tarfile.TarInfo(path)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return packed.getvalue()


def tree(**files: str) -> SourceTree:
    return read_archive(zipped({name.replace("__", "/") + ".py": text for name, text in files.items()}))


BRANCHY = '''
def plain():
    """Does nothing."""

async def branchy(items: list[int], flag) -> int:
    total = 0
    for item in items:
        if item > 1 and flag or item < -1:
            total += item
        elif item == 0:
            continue
    while total > 10:
        total -= 1 if flag else 2
    try:
        return sum(one for one in items if one)
    except (ValueError, TypeError):
        return 0
'''


def test_complexity_by_hand() -> None:
    module = ast.parse(BRANCHY)
    figures = {name: python_source.measure("m.py", name, node) for name, node in python_source.functions(module)}
    assert figures["plain"].complexity == 1
    assert figures["plain"].documented
    assert (
        figures["branchy"].complexity == 11
    )  # for, if, and, or, elif, while, ternary, comprehension with if, except, plus one
    assert not figures["branchy"].annotated
    assert figures["branchy"].lines == 13


def test_import_cycles_and_unparsed_files() -> None:
    result = analyse(
        tree(
            app__a="import app.b\n",
            app__b="from app import c\n",
            app__c="from . import a\n",
            app__d="import app.a\nif TYPE_CHECKING:\n    import app.e\n",
            app__e="from app import d\ndef late():\n    import app.a\n",
            bad="def broken(:\n",
        )
    )
    assert result.cycles == (("app.a", "app.b", "app.c"),)
    assert [one.path for one in result.parse_failures] == ["bad.py"]
    assert "Not parsed: bad.py" in result.findings[-1]


def test_a_wrapping_folder_is_not_part_of_the_names() -> None:
    result = analyse(
        read_archive(tarred({"demo-1.0/pkg/a.py": "import pkg.b\n", "demo-1.0/pkg/b.py": "import pkg.a, os\n"}))
    )
    assert len(result.cycles) == 1
    assert result.imports == 2


def test_the_projects_own_tree() -> None:
    result = analyse_tree(Path(__file__).parents[2])
    assert result.parse_failures == ()
    assert result.functions > 300
    assert result.findings[0].split()[0] == f"{result.lines:,}"


def test_tools_run_through_the_port() -> None:
    data = zipped({"a.py": "def f():\n    pass  # TODO: more\n", "tests/test_a.py": "x = 1\n", "README.md": "# Hi\n"})
    result = TOOLS["code_analysis"].run(CodeAnalysisArguments(archive="d"), lambda _: data)
    assert isinstance(result, CodeAnalysisResult)
    assert (result.files, result.functions, result.todos, result.test_files) == (3, 1, 1, 1)


@pytest.mark.parametrize("name", ["../evil.py", "/etc/evil.py", "a/../../evil.py", "C:\\evil.py", "..\\evil.py"])
def test_names_outside_the_tree_are_refused(name: str) -> None:
    with pytest.raises(OutcomeError, match="outside its own tree"):
        read_archive(zipped({name: "x = 1"}))
    with pytest.raises(OutcomeError, match="outside its own tree"):
        read_archive(tarred({name: "x = 1"}))


def test_bombs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OutcomeError, match="bomb"):
        read_archive(zipped({"a.py": b"#" * 5_000_000}))
    monkeypatch.setattr(source_tree, "UNPACKED_BYTES_MAX", 50_000)
    with pytest.raises(OutcomeError, match="unpacks to more"):
        read_archive(tarred({"skipped.bin": "x" * 200_000, "a.py": "x = 1"}))
    with pytest.raises(OutcomeError, match="unpacks to more"):
        read_archive(zipped({"a.py": "#" * 60_000}))
    monkeypatch.setattr(source_tree, "ENTRIES_MAX", 3)
    with pytest.raises(OutcomeError, match="more than 3 files"):
        read_archive(tarred({f"f{n}.py": "" for n in range(5)}))


def test_links_and_binaries_are_left_out() -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        link = tarfile.TarInfo("link.py")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        info = tarfile.TarInfo("a.py")
        info.size = 5
        archive.addfile(info, io.BytesIO(b"x = 1"))
    result = read_archive(packed.getvalue())
    assert [file.path for file in result.files] == ["a.py"]
    assert result.skipped == 1


@given(st.binary(max_size=300), st.sampled_from([b"", b"PK\x03\x04", b"\x1f\x8b\x08"]))
def test_any_bytes_are_a_tree_or_an_outcome(data: bytes, start: bytes) -> None:
    with pytest.raises(OutcomeError):
        read_archive(start + data)


VULNERABLE = """
import subprocess as sp, yaml, pickle, hashlib, requests
from os import system
password = "hunter2hunter2"
def run(text, cursor, name):
    eval(text)
    system("ls " + text)
    sp.run(text, shell=True)
    yaml.load(text)
    yaml.load(text, Loader=yaml.SafeLoader)
    pickle.loads(text)
    hashlib.md5(text)
    hashlib.md5(text, usedforsecurity=False)
    requests.get(text, verify=False)
    cursor.execute(f"SELECT * FROM t WHERE name = '{name}'")
    cursor.execute("SELECT * FROM t WHERE name = %s", (name,))
    model.eval()
"""


def test_dangerous_calls_are_named_with_their_line() -> None:
    result = security.scan(tree(app=VULNERABLE))
    assert sorted((one.line, one.rule) for one in result.places) == [
        (4, "secret in an assignment"),
        (6, "eval"),
        (7, "shell"),
        (8, "shell"),
        (9, "yaml load"),
        (11, "unpickling"),
        (12, "weak hash"),
        (14, "certificate not checked"),
        (15, "SQL by formatting"),
    ]
    assert "hunter2" not in repr(result)


def test_secrets_are_found_and_masked() -> None:
    key = "AKIA" + "ABCDEFGHIJKLMNOP"
    files = {"deploy.yaml": f"key: {key}\nurl: postgres://bob:s3cretpw@db/x\n", "a.py": 'API_KEY = "your-key-here"\n'}
    result = security.scan(read_archive(zipped(files)))
    assert [one.rule for one in result.places] == ["AWS access key", "password in a URL"]
    assert key not in repr(result)
    assert "s3cretpw" not in repr(result)


SLOW = """
import time, requests
async def wait(urls, db):
    time.sleep(1)
    text = ""
    seen = []
    for url in urls:
        requests.get(url)
        await db.fetch("select 1")
        text += url
        if url in seen:
            continue
        for a in url:
            for b in url:
                pass
"""


def test_slow_shapes_are_named_with_their_line() -> None:
    result = performance_analysis.scan(tree(app=SLOW))
    found = {(one.line, one.rule) for one in result.places}
    assert found == {
        (4, "blocking call in async"),
        (8, "blocking call in async"),
        (8, "request in a loop"),
        (9, "query in a loop"),
        (10, "text concatenation in a loop"),
        (11, "list search in a loop"),
        (13, "nested loops"),
        (14, "nested loops"),
    }
    assert result.findings[0].startswith("8 places that may be slow in 1 files")


def note(text: str, title: str = "Incident: x") -> Evidence:
    return Evidence(id=title, title=title, text=text, label=Clearance.INTERNAL, score=0.5)


def test_incidents_add_up() -> None:
    first = (
        "- Service: billing\n- Severity: SEV1\n- Started: 2026-01-01 10:00\n- Resolved: 2026-01-01 11:30\n- Cause: disk"
    )
    second = (
        "Alert, priority P2 on identity. It began at 2026-02-01 08:00 and ended 2026-02-01 08:30 because a key expired."
    )
    result = system_monitoring.monitor(
        [note(first, "A"), note(second, "Outage B"), note("Our strategy is growth.", "C")], None
    )
    assert [(one.service, one.severity, one.minutes) for one in result.incidents] == [
        ("billing", "critical", 90.0),
        ("unknown", "high", 30.0),
    ]
    assert (result.mttr_minutes, result.median_minutes) == (60.0, 60.0)
    assert "60 minutes is the mean time to recovery" in result.findings[1]


def test_outliers_of_metrics() -> None:
    rows = "".join(
        f"2026-01-01T{hour:02d}:00,{100 + hour % 3},{900 if hour == 20 else 10 + hour % 2}\n" for hour in range(24)
    )
    result = system_monitoring.monitor([], read_table(f"time,cpu,latency_ms\n{rows}".encode()))
    assert (result.outliers[0].metric, result.outliers[0].at, result.outliers[0].value) == (
        "latency_ms",
        "2026-01-01T20:00",
        900,
    )
    assert result.outliers[0].test == "z-score"


@given(st.dictionaries(st.sampled_from("abcdef"), st.sets(st.sampled_from("abcdef"))))
def test_cycles_are_mutual(given_graph: dict[str, set[str]]) -> None:
    graph = {node: given_graph.get(node, set()) for node in "abcdef"}

    def reach(start: str) -> set[str]:
        seen: set[str] = set()
        stack = [start]
        while stack:
            for target in graph[stack.pop()]:
                if target not in seen:
                    seen.add(target)
                    stack.append(target)
        return seen

    groups = python_source.cycles(graph)
    together = {frozenset((a, b)) for group in groups for a in group for b in group if a != b}
    wanted = {frozenset((a, b)) for a in graph for b in graph if a != b and b in reach(a) and a in reach(b)}
    assert together == wanted


@given(st.text(max_size=200))
def test_any_text_is_scanned(text: str) -> None:
    tree_of_one = SourceTree((SourceFile("a.py", "Python", text),), 0)
    assert (
        analyse(tree_of_one).files
        == security.scan(tree_of_one).files
        == performance_analysis.scan(tree_of_one).files
        == 1
    )
