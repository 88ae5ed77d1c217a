"""Code analysis: its figures are those that each analyser's own command prints, for real trees and for Diarchy itself.

The commands are run by this file with their plain options, and their output is read by it: nothing is shared with the tool.
"""

import csv
import importlib.util
import io
import json
import math
import re
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import msgspec
import pytest

from actors.artemis.tools import TOOLS
from actors.artemis.tools.analysers import complexity, dead_code, lint, programs
from actors.artemis.tools.analysers.programs import Deadline
from actors.artemis.tools.code_analysis import CodeAnalysisArguments, CodeAnalysisResult, analyse
from actors.artemis.tools.history import taken_out
from actors.artemis.tools.security import scan
from actors.artemis.tools.source_tree import SourceFile, SourceTree, read_archive
from deploy.source_archive import pack
from tests.archives import packed_folder, tarred, tree, zipped

RUFF = ["check", "--isolated", "--no-cache", "--ignore-noqa", "--exit-zero", "--target-version", "py313"]
RUFF += ["--select", "E4,E7,E9,F,B,PLE,ASYNC"]
DIARCHY = Path(__file__).parents[2]
_DEAD = re.compile(r"(.+?):(\d+): (.+) \((\d+)% confidence(?:, \d+ lines?)?\)")


def installed(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def command(folder: Path, *arguments: str) -> str:
    ended = subprocess.run(  # noqa: S603 - analysers of the environment
        [sys.executable, "-I", "-m", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    return ended.stdout


def unpacked(data: bytes, folder: Path) -> Path:
    import zipfile

    zipfile.ZipFile(io.BytesIO(data)).extractall(folder)
    return folder


def unnoticed(folder: Path) -> None:
    """vulture obeys comments (`# noqa`) and has no option not to: they are taken out of its files."""
    for path in folder.rglob("*.py"):
        path.write_bytes(re.sub(rb"# noqa", b"# none", path.read_bytes(), flags=re.IGNORECASE))


def by_hand(folder: Path, packages: list[str]) -> dict[str, float]:
    """The score of each file without history: complexity × log(1 + lines) × (1 + log(1 + importing modules))."""
    totals: Counter[str] = Counter()
    for row in csv.reader(io.StringIO(command(folder, "lizard", "--csv", "."))):
        totals[row[6].removeprefix("./")] += int(row[1])
    program = (
        f"import sys, json; sys.path.insert(0, '.'); import grimp; g = grimp.build_graph(*{packages!r}, cache_dir=None,"
        "exclude_type_checking_imports=True); print(json.dumps({m: sorted(g.find_modules_that_directly_import(m))"
        " for m in g.modules}))"
    )
    ended = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-I", "-c", program], cwd=folder, capture_output=True, text=True, check=True
    )
    importers = {module: len(found) for module, found in json.loads(ended.stdout).items()}
    scores = {}
    for path, total in totals.items():
        module = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        lines = sum(bool(line.strip()) for line in (folder / path).read_text(errors="replace").splitlines())
        scores[path] = total * math.log1p(lines) * (1 + math.log1p(importers.get(module, 0)))
    return scores


def is_test(path: str) -> bool:
    name = path.rpartition("/")[2]
    return "/tests/" in f"/{path}" or name.startswith("test_") or name.endswith("_test.py") or name == "conftest.py"


@pytest.mark.parametrize("package", ["nats", "falcon", "msgspec", ""])
@pytest.mark.timeout(400)
def test_findings_equal_the_analysers_own_output(package: str, tmp_path: Path) -> None:
    """`package` "" is Diarchy itself, as `diarchy import` packs it; without its history, of which test_git_history.py speaks."""
    data = packed_folder(installed(package)) if package else pack(DIARCHY)[0]
    (tree_, _), folder = taken_out(read_archive(data)), unpacked(data, tmp_path)
    result = analyse(tree_, seconds=300)

    rows = list(csv.reader(io.StringIO(command(folder, "lizard", "--csv", "."))))
    assert result.functions == len(rows)
    assert result.complex_functions == sum(int(row[1]) >= 11 for row in rows)
    worst = sorted((-int(row[1]), row[6].removeprefix("./"), int(row[9]), row[7]) for row in rows)[:10]
    assert [(-one.complexity, one.path, one.line, one.name) for one in result.most_complex] == worst

    hits = json.loads(command(folder, "ruff", *RUFF, "--no-respect-gitignore", "--output-format", "json", "."))
    rules = Counter(f"{hit['code']} {hit['name']}" for hit in hits)
    assert {one.name: one.places + one.in_tests for one in result.lint} == rules

    unnoticed(folder)
    dead = [match for line in command(folder, "vulture", ".").splitlines() if (match := _DEAD.fullmatch(line))]
    assert result.dead == len(dead)
    certain = sorted((-int(one[4]), one[1], int(one[2])) for one in dead)[:10]
    assert [(-one.confidence, one.path, one.line) for one in result.dead_certain] == certain

    packages = sorted(path.parent.name for path in folder.glob("*/__init__.py"))
    scores = {path: score for path, score in by_hand(folder, packages).items() if not is_test(path)}
    first = sorted(scores, key=lambda path: (-round(scores[path], 1), path))[:5]
    assert [one.path for one in result.attention] == first
    listed = result.findings[0].partition(": 1. ")[2].split("; ")
    for at, (spot, sentence) in enumerate(zip(result.attention, listed, strict=True), start=1):
        assert at == 1 or sentence.startswith(f"{at}. {spot.path}: ")
        assert f"complexity {spot.complexity:,} in {spot.functions:,} function" in sentence
        assert f"{spot.lines:,} lines" in sentence
    assert result.parse_failures == ()


def test_every_place_is_the_commands_own(tmp_path: Path) -> None:
    data = packed_folder(installed("falcon"))
    files, folder = read_archive(data), unpacked(data, tmp_path)
    functions, unread = complexity.functions(files.files, Deadline(200))
    rows = csv.reader(io.StringIO(command(folder, "lizard", "--csv", ".")))
    wanted = Counter((row[6].removeprefix("./"), row[7], int(row[9]), int(row[1]), int(row[4])) for row in rows)
    assert Counter((one.path, one.name, one.line, one.complexity, one.lines) for one in functions) == wanted
    assert unread == []
    hits = json.loads(command(folder, "ruff", *RUFF, "--output-format", "json", "."))
    found, _ = lint.lint(files.python, Deadline(200))
    start = f"{folder.resolve()}/"
    assert Counter((one.code, one.path, one.line) for one in found) == Counter(
        (hit["code"], hit["filename"].removeprefix(start), hit["location"]["row"]) for hit in hits
    )
    unused = dead_code.dead_code(files.python, Deadline(200))
    unnoticed(folder)
    lines = [match for line in command(folder, "vulture", ".").splitlines() if (match := _DEAD.fullmatch(line))]
    assert Counter((one.path, one.line, one.what) for one in unused) == Counter((x[1], int(x[2]), x[3]) for x in lines)


def test_layers_and_cycles_are_those_of_the_import_rules() -> None:
    """Diarchy's own layers, as pyproject.toml states them, and no cycle; a planted cycle is named."""
    result = analyse(read_archive(zipped(_layered())))
    [packages] = result.packages
    assert packages.layers == (("top",), ("left", "right"), ("bottom",))
    assert packages.cycles == ()
    circle = {"app/a.py": "import app.b\n", "app/b.py": "from app import c\n", "app/c.py": "from . import a\n"}
    cyclic = analyse(read_archive(zipped({"app/__init__.py": "", **circle})))
    [packages] = cyclic.packages
    assert packages.cycles == (("app.a", "app.b", "app.c"),)
    assert "Import cycle of 3 modules: app.a, app.b, app.c." in cyclic.findings


def _layered() -> dict[str, str]:
    files: dict[str, str] = defaultdict(str)
    for package, imports in {"top": ("left", "right"), "left": ("bottom",), "right": ("bottom",), "bottom": ()}.items():
        files[f"project-1.0/src/{package}/__init__.py"] = ""
        files[f"project-1.0/src/{package}/m.py"] = "".join(f"import {name}.m\n" for name in imports)
    return dict(files)


BOMB = (
    "def bomb(x):\n"
    + "".join(f"    if x == {n} and x or not x:\n        x += {n}\n" for n in range(150))
    + "    return x\n"
)


def test_a_complexity_bomb_is_the_first_to_want_attention() -> None:
    result = analyse(tree(app__fine="def f():\n    return 1\n", app__bomb=BOMB))
    assert result.most_complex[0].name == "bomb"
    assert result.most_complex[0].complexity == 451
    assert result.attention[0].path == "app/bomb.py"
    assert any("app/bomb.py: complexity 451 in 1 function" in line for line in result.findings)


def test_the_history_of_changes_decides_where_it_is_known() -> None:
    history = {
        "commits": 40,
        "since": "2026-01-01",
        "until": "2026-02-01",
        "files": {
            "calm.py": {"commits": 1, "added": 5, "deleted": 0},
            "busy.py": {"commits": 30, "added": 300, "deleted": 99},
        },
    }
    calm = "def f(x):\n" + "    if x:\n        x = 1\n" * 10
    files = {
        "calm.py": calm,
        "busy.py": "def g(x):\n    if x:\n        return 1\n",
        ".diarchy-history.json": json.dumps(history),
    }
    result = analyse(read_archive(zipped(files)))
    assert [(one.path, one.score) for one in result.attention] == [("busy.py", 60.0), ("calm.py", 11.0)]
    assert result.findings[0].startswith(
        "2 files of the code need attention first, by changes × complexity over the last 40 commits (2026-01-01 to 2026-02-01):"
        " 1. busy.py: changed in 30 commits (+300 −99 lines), complexity 2 in 1 function, "
    )
    assert result.files == 2


@pytest.mark.parametrize("text", ["not json", "[]", '{"commits": 0, "since": "", "until": "", "files": {}}'])
def test_a_history_that_is_none_is_not_believed(text: str) -> None:
    result = analyse(read_archive(zipped({"a.py": "def f():\n    return 1\n", ".diarchy-history.json": text})))
    assert result.history is None
    assert "no history of changes is known" in result.findings[0]


DEEP = {
    "parentheses.py": "x = " + "(" * 5_000 + ")" * 5_000,
    "sum.py": "x = " + "+".join(["1"] * 20_000),
    "nested.py": "".join("    " * n + "if x:\n" for n in range(99)) + "    " * 99 + "pass\n",
    "deeper.py": "x = " + "[" * 180 + "]" * 180 + "\n",
    "broken.py": "def broken(:\n",
    "long.py": "x = '" + "a" * 900_000 + "'\n",
    "good.py": "def good(x):\n    return 1 if x else 2\n",
}


def test_files_made_to_break_parsers_are_told_and_the_rest_is_analysed() -> None:
    result = analyse(read_archive(zipped(DEEP)))
    assert any(one.name == "good" and one.complexity == 2 for one in result.most_complex)
    failed = {one.path for one in result.parse_failures}
    assert {"parentheses.py", "sum.py", "broken.py", "deeper.py"} <= failed
    assert "good.py" not in failed
    assert any(line.startswith("Not parsed: broken.py (line 1:") for line in result.findings)


def test_a_program_that_hangs_or_says_too_much_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "hang.py"
    script.write_text("import threading; threading.Event().wait()")
    with pytest.raises(programs.ProgramError, match="longer than 1 s"):
        programs.run([str(script)], tmp_path, 1.0)
    script.write_text("raise SystemExit(7)")
    with pytest.raises(programs.ProgramError, match="code 7"):
        programs.run([str(script)], tmp_path, 30.0)
    monkeypatch.setattr(programs, "OUTPUT_BYTES_MAX", 1_000)
    script.write_text("import sys, signal; sys.stdout.write('x' * 100_000)")
    with pytest.raises(programs.ProgramError):
        programs.run([str(script)], tmp_path, 30.0)


def test_the_file_that_ends_an_analyser_is_found_and_the_others_count() -> None:
    def analyse_part(files: "list[SourceFile]", seconds: float) -> int:  # noqa: ARG001 - the form of all
        if any(file.path == "bad.py" for file in files):
            raise programs.ProgramError("it crashed")
        return len(files)

    files = [SourceFile(f"{n}.py", "Python", "x") for n in range(50)] + [SourceFile("bad.py", "Python", "x")]
    done, unread = programs.in_parts(files, analyse_part, Deadline(60))  # type: ignore[arg-type]
    assert sum(done) == 50
    assert [one.path for one in unread] == ["bad.py"]


def test_the_trees_own_configuration_says_nothing() -> None:
    """What would silence or mislead the analysers if they saw it."""
    plain = tree(app="import os\ndef f():\n    return 1\n")
    loud = read_archive(
        tarred(
            {
                "app.py": "import os\ndef f():\n    return 1\n",
                "ruff.toml": 'exclude = ["*"]\n',
                "pyproject.toml": '[tool.ruff]\nexclude = ["*"]\n[tool.vulture]\nexclude = ["*"]\n',
                "whitelizard.txt": "f\n",
                ".gitignore": "*\n",
            }
        )
    )
    wanted, found = analyse(plain), analyse(loud)
    assert (found.lint, found.dead, found.functions) == (wanted.lint, wanted.dead, wanted.functions)
    assert wanted.lint[0].name == "F401 unused-import"


BODY = "    if x:\n        return 1\n    return 2\n"
HUSHED = {
    "noqa.py": "import os  # noqa\nimport sys  # noqa: F401\n",
    "whole.py": "# ruff: noqa\n# flake8: noqa\nimport os\n",
    "lizard.py": f"def forgiven(x):\n    # lizard forgives\n    #lizard forgives\n{BODY}\ndef g(x):\n{BODY}",
    "made.py": f"# GENERATED CODE\ndef made(x):\n{BODY}",
    "build.c": "/* GENERATED CODE */\nint made(int x) { // #lizard forgives\n  if (x) return 1; return 2; }\n",
    "node/.eggs/x.py": "import os\n",
    "_build/y.py": "import os\n",
    "unused.py": "def unused():  # noqa\n    return 1\n    x = 2  # noqa\n",
}


def test_no_comment_and_no_folders_name_switches_a_finding_off() -> None:
    files = read_archive(zipped(HUSHED))
    found, _ = complexity.functions(files.files, Deadline(60))
    assert {(one.path, one.name, one.line) for one in found} >= {
        ("lizard.py", "forgiven", 1),
        ("lizard.py", "g", 8),
        ("made.py", "made", 2),
        ("build.c", "made", 2),
        ("unused.py", "unused", 1),
    }
    linted, _ = lint.lint(files.python, Deadline(60))
    unused = {(one.path, one.line): one.hushed for one in linted if one.code == "F401"}
    assert unused == {
        ("noqa.py", 1): True,
        ("noqa.py", 2): True,
        ("whole.py", 3): False,
        ("node/.eggs/x.py", 1): False,
        ("_build/y.py", 1): False,
    }
    assert {(one.path, one.line) for one in dead_code.dead_code(files.python, Deadline(60))} >= {
        ("unused.py", 1),
        ("unused.py", 3),
        ("noqa.py", 1),
    }
    result = analyse(files)
    hushed = sum(one.hushed for one in linted)
    assert any(f", {hushed} at a comment that asks to pass them over: " in line for line in result.findings)


def test_of_files_with_the_same_content_each_counts() -> None:
    files = {"a.py": BOMB, "b/copy.py": BOMB, "c.pyi": BOMB}
    result = analyse(read_archive(zipped(files)))
    assert {one.path for one in result.attention} == {"a.py", "b/copy.py"}
    assert {one.path for one in result.most_complex} == {"a.py", "b/copy.py"}
    security = scan(read_archive(zipped({"a.py": "eval(input())\n", "b.py": "eval(input())\n"})))
    assert {one.path for one in security.places if one.rule == "B307 blacklist"} == {"a.py", "b.py"}


def test_the_tool_runs_through_the_port() -> None:
    data = zipped({"a.py": "def f():\n    pass\n", "tests/test_a.py": "x = 1\n", "README.md": "# Hi\n"})
    result = TOOLS["code_analysis"].run(CodeAnalysisArguments(archive="d"), lambda _: data)
    assert isinstance(result, CodeAnalysisResult)
    assert (result.files, result.functions, result.test_files) == (3, 1, 1)
    assert msgspec.json.decode(msgspec.json.encode(result), type=CodeAnalysisResult) == result


def test_an_empty_tree_of_refused_files_is_told() -> None:
    result = analyse(SourceTree((), 0, (), {"link": 3}))
    assert any(line.startswith("Hostile archive: 3 × link") for line in result.findings)
