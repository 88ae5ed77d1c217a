"""Security: secrets left in files, and calls that are known to open a door, found in the syntax tree rather than by text.

A scan finds candidates, not proof: each names its rule and place. Secrets are never repeated in the result.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from actors.artemis.tools import python_source
from actors.artemis.tools.places import Count, Place, Severity, code_at, counts, ordered, sentences_of
from actors.artemis.tools.python_source import ParseFailure
from actors.artemis.tools.source_tree import SourceFile, SourceTree, read_archive
from actors.tool import Fetch, tool
from runtime.ports import Tool

LINE_CHARS_MAX = 2_000
SQL_CHARS_MAX = 2_000

Weakness = tuple[str, Severity, str]
"""The rule, how bad, and what is wrong in words."""

_SECRETS: tuple[tuple[str, Severity, re.Pattern[str]], ...] = (
    ("private key", "high", re.compile(r"-----BEGIN (?:RSA |EC |DSA |OPENSSH |PGP )?PRIVATE KEY")),
    ("AWS access key", "high", re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
    ("GitHub token", "high", re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{40,})")),
    ("Slack token", "high", re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10,}")),
    ("API secret key", "high", re.compile(r"\bsk[-_](?:live|proj|ant)[-_][A-Za-z0-9_-]{16,}")),
    (
        "password in a URL",
        "high",
        re.compile(r"\b[a-z][a-z0-9+]{2,15}://[^\s:/@'\"{}$<>]{1,60}:[^\s@/'\"{}$<>]{3,80}@"),
    ),
    (
        "secret in an assignment",
        "medium",
        re.compile(
            r"""(?ix)\b[\w-]{0,40}(?:passw(?:or)?d|secret|api_?key|auth_?token|access_?token|private_?key)[\w-]{0,20}
            ["']?\s{0,4}[:=]\s{0,4}["'](?!\s*$)[^"'\s{}<>$%*]{8,200}["']"""
        ),
    ),
)
_HINT = re.compile(
    r"(?i)-----BEGIN|AKIA|ASIA|gh[pousr]_|github_pat_|xox|sk[-_]|://|passw|secret|api_?key|token|private_?key"
)
_PLACEHOLDER = re.compile(
    r"example|changeme|change_me|placeholder|your[-_]|dummy|xxxx|\*\*\*|<[^>]+>|test|fake", re.IGNORECASE
)

_CALLS: dict[str, Weakness] = {
    "eval": ("eval", "high", "eval runs whatever text it is given"),
    "exec": ("exec", "high", "exec runs whatever text it is given"),
    "os.system": ("shell", "high", "os.system passes a text to a shell"),
    "os.popen": ("shell", "high", "os.popen passes a text to a shell"),
    "subprocess.getoutput": ("shell", "high", "subprocess.getoutput passes a text to a shell"),
    "pickle.load": ("unpickling", "high", "unpickling runs code that the data names"),
    "pickle.loads": ("unpickling", "high", "unpickling runs code that the data names"),
    "pickle.Unpickler": ("unpickling", "high", "unpickling runs code that the data names"),
    "marshal.loads": ("unpickling", "medium", "marshal data can crash or misuse the interpreter"),
    "shelve.open": ("unpickling", "medium", "a shelf is unpickled when read"),
    "hashlib.md5": ("weak hash", "medium", "MD5 is broken for anything security depends on"),
    "hashlib.sha1": ("weak hash", "medium", "SHA-1 is broken for anything security depends on"),
    "tempfile.mktemp": (
        "temporary file race",
        "medium",
        "mktemp's name can be taken by somebody else before it is used",
    ),
    "ssl._create_unverified_context": ("certificate not checked", "high", "TLS certificates are not checked"),
    "yaml.unsafe_load": ("yaml load", "high", "yaml.unsafe_load builds any object the text names"),
}
_SHELL_RUNNERS = frozenset({"run", "call", "check_call", "check_output", "Popen"})
_SQL = re.compile(
    r"\b(?:select\s.+\sfrom|insert\s+into|update\s.+\sset|delete\s+from|drop\s+table|where\s)", re.IGNORECASE | re.S
)
_QUERIES = frozenset({"execute", "executemany", "fetch", "fetchrow", "fetchval", "raw"})
_SAFE_LOADERS = ("SafeLoader", "CSafeLoader", "BaseLoader")


class SecurityArguments(Struct, frozen=True, kw_only=True):
    """`archive` is the digest of a stored zip or tar.gz of a source tree."""

    archive: str
    question: str = ""


class SecurityResult(Struct, frozen=True, kw_only=True):
    """The places, worst first, with counts by severity and rule."""

    findings: tuple[str, ...]
    files: int
    places: tuple[Place, ...]
    by_severity: tuple[Count, ...]
    by_rule: tuple[Count, ...]
    parse_failures: tuple[ParseFailure, ...]


def scan(tree: SourceTree) -> SecurityResult:
    """The whole scan: secrets in every file, dangerous calls in the Python ones."""
    trees, failures = python_source.parsed(tree.python)
    found = [place for file in tree.files for place in secrets(file)]
    for file in tree.python:
        if file.path in trees:
            found.extend(calls(file, trees[file.path]))
    places = ordered(found)
    findings = sentences_of(places, "possible security weaknesses", len(tree.files))
    findings += [f"Not scanned for calls: {one.path} ({one.reason})." for one in failures[:5]]
    return SecurityResult(
        findings=tuple(findings),
        files=len(tree.files),
        places=places,
        by_severity=counts(places, "severity"),
        by_rule=counts(places, "rule"),
        parse_failures=tuple(failures),
    )


def secrets(file: SourceFile) -> Iterator[Place]:
    """Lines that seem to hold a secret; placeholders are left out and the secret itself is masked."""
    for at, line in enumerate(file.text.splitlines(), start=1):
        text = line[:LINE_CHARS_MAX]
        if not _HINT.search(text):
            continue
        for rule, severity, pattern in _SECRETS:
            match = pattern.search(text)
            if match is None or (severity == "medium" and _harmless(match.group())):
                continue
            yield Place(
                rule=rule,
                severity=severity,
                path=file.path,
                line=at,
                code=code_at([text[: match.start()] + "«masked»"], 1),
                message=f"what looks like a {rule} stands in the file"
                if severity == "high"
                else "what looks like a secret is written out",
                in_test=file.is_test,
            )
            break


def _harmless(assignment: str) -> bool:
    """A placeholder, or a name that stands for itself (`TOP_SECRET = "top_secret"`)."""
    name, _, value = re.sub(r"[\s'\"]", "", assignment.lower()).replace(":", "=").partition("=")
    return bool(_PLACEHOLDER.search(assignment)) or name == value


def calls(file: SourceFile, tree: ast.Module) -> Iterator[Place]:
    """Dangerous calls of one Python file."""
    known = python_source.aliases(tree)
    lines = file.text.splitlines()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = python_source.dotted(node.func, known)
        for rule, severity, message in _weaknesses(node, name):
            yield Place(
                rule=rule,
                severity=severity,
                path=file.path,
                line=node.lineno,
                code=code_at(lines, node.lineno),
                message=message,
                in_test=file.is_test,
            )


def _weaknesses(node: ast.Call, name: str) -> Iterator[Weakness]:
    options = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
    last = name.rpartition(".")[2]
    yield from _by_name(node, name, options)
    yield from _by_option(node, name, options)
    if last in _QUERIES and node.args and _formatted_sql(node.args[0]):
        yield "SQL by formatting", "high", "an SQL statement is built by formatting texts together"
    if any(_text(value) == "0.0.0.0" for value in [*node.args, *options.values()]):  # noqa: S104 - what is looked for
        yield "open interface", "low", "a server listens on every network interface"


def _by_name(node: ast.Call, name: str, options: dict[str, ast.expr]) -> Iterator[Weakness]:
    if name in _CALLS and not _is(options.get("usedforsecurity"), wanted=False):
        harmless = name in ("eval", "exec") and bool(node.args) and isinstance(node.args[0], ast.Constant)
        if not harmless:
            yield _CALLS[name]
    if name == "hashlib.new" and node.args and _text(node.args[0]) in ("md5", "sha1"):
        yield _CALLS["hashlib.md5"]
    if name == "yaml.load" and not _safe_loader(node, options):
        yield "yaml load", "high", "yaml.load without a safe loader builds any object the text names"


def _by_option(node: ast.Call, name: str, options: dict[str, ast.expr]) -> Iterator[Weakness]:
    last = name.rpartition(".")[2]
    if name.startswith("subprocess.") and last in _SHELL_RUNNERS and _is(options.get("shell"), wanted=True):
        fixed = bool(node.args) and isinstance(node.args[0], ast.Constant)
        yield "shell", "low" if fixed else "high", f"subprocess.{last} passes a text to a shell (shell=True)"
    if (
        "jwt" in name.lower()
        and last == "decode"
        and (_is(options.get("verify"), wanted=False) or _unverified(options))
    ):
        yield "token not checked", "high", "a JWT's signature is not checked"
    elif _is(options.get("verify"), wanted=False):
        yield "certificate not checked", "high", "TLS certificates are not checked (verify=False)"
    if last == "extractall" and "filter" not in options:
        yield "archive extraction", "low", "an archive is unpacked without a filter on the names in it"
    if last == "run" and _is(options.get("debug"), wanted=True):
        yield "debug mode", "medium", "a server is started in debug mode"


def _is(node: ast.expr | None, *, wanted: bool) -> bool:
    return isinstance(node, ast.Constant) and node.value is wanted


def _reads_as_sql(texts: Iterable[str]) -> bool:
    return bool(_SQL.search(" ".join(texts)[:SQL_CHARS_MAX]))


def _text(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _safe_loader(node: ast.Call, options: dict[str, ast.expr]) -> bool:
    given: Sequence[ast.expr] = [*node.args[1:2], *([options["Loader"]] if "Loader" in options else [])]
    return any(python_source.dotted(one, {}).rpartition(".")[2] in _SAFE_LOADERS for one in given)


def _unverified(options: dict[str, ast.expr]) -> bool:
    given = options.get("options")
    if not isinstance(given, ast.Dict):
        return False
    pairs = zip(given.keys, given.values, strict=True)
    return any(
        key is not None and _text(key) == "verify_signature" and _is(value, wanted=False) for key, value in pairs
    )


def _formatted_sql(node: ast.expr) -> bool:
    """An f-string, `%`, `+` or `.format` that puts values into what reads like SQL."""
    if isinstance(node, ast.JoinedStr):
        held = any(isinstance(part, ast.FormattedValue) for part in node.values)
        return held and _reads_as_sql(_text(part) for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod | ast.Add):
        parts = [part for part in ast.walk(node) if isinstance(part, ast.expr)]
        variable = any(isinstance(part, ast.Name | ast.Call | ast.Attribute | ast.Subscript) for part in parts)
        return variable and _reads_as_sql(map(_text, parts))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        return _reads_as_sql([_text(node.func.value)])
    return False


def _run(arguments: SecurityArguments, blobs: Fetch) -> SecurityResult:
    return scan(read_archive(blobs(arguments.archive)))


SECURITY: Tool = tool(
    "security",
    _run,
    "Reads a stored archive of source code: secrets left in it and calls that open a door, by file and line.",
    permission="artemis:read",
)
