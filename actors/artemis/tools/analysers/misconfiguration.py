"""Settings that open a door: Dockerfiles, Compose files, and lines that switch a protection off. Few rules, each named here.

No analyser of these comes as a package of reasonable size (checkov brings dozens of others, hadolint is no Python package), so
the rules are ours and few: what Docker's own best practices and OWASP's Docker cheat sheet (rules 1, 2, 4, 12) say first.

* `runs as root`: the last stage of a Dockerfile has no USER, or root.
* `image not pinned`: FROM without tag, or with `latest`.
* `remote ADD`: ADD of a URL, whose content nobody checks.
* `secret in image`: ENV or ARG gives a value to a name of a secret.
* `privileged container`, `docker socket`, `host network`, `secret in compose`: of a service in a Compose file.
* `piped to a shell`: RUN of what is fetched, in a Dockerfile.
* `privileged container`, `host network`, `host processes`, `host path`, `runs as root`: of a Kubernetes manifest.
* `public bucket`, `public access`: of Terraform and CloudFormation.
* `folder listing`, `old TLS`: of nginx.
* `debug mode`: `DEBUG = True` in a Python settings file.
* `open CORS`: every origin is allowed.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from msgspec import Struct

from actors.artemis.tools.analysers.programs import Deadline, Unread
from actors.artemis.tools.places import Severity
from actors.artemis.tools.source_tree import OTHER, SourceFile

YAML_CHARS_MAX = 200_000
LINE_CHARS_MAX = 2_000
ITEMS_MAX = 1_000
SECONDS_MAX = 30.0

_SECRET_NAME = re.compile(r"passw(or)?d|secret|token|api_?key|private_?key|credential", re.IGNORECASE)
_DEBUG = re.compile(r"^\s{0,8}DEBUG\s{0,4}=\s{0,4}True\b")
_CORS = re.compile(
    r"""allow_origins\s{0,4}=\s{0,4}\[\s{0,4}["']\*["']|CORS_(ALLOW_ALL_ORIGINS|ORIGIN_ALLOW_ALL)\s{0,4}=\s{0,4}True"""
    r"""|Access-Control-Allow-Origin["']?\s{0,4}[:,\]=]+\s{0,4}["']?\*""",
    re.IGNORECASE,
)
_PIPED = re.compile(r"\b(curl|wget)\b[^|;&]{0,500}\|\s{0,4}(sudo\s{1,4})?(ba|z|da)?sh\b")
_COMPOSE = re.compile(r"(docker-)?compose([.-][\w.-]+)?\.ya?ml")


class Misconfigured(Struct, frozen=True, kw_only=True):
    """A place and the rule it breaks; the value of a secret is in no message."""

    rule: str
    severity: Severity
    path: str
    line: int
    message: str


class _Rule(Struct, frozen=True):
    """A line that says too much, in files of one kind."""

    kind: str
    pattern: re.Pattern[str]
    rule: str
    severity: Severity
    message: str


def _rule(kind: str, pattern: str, rule: str, severity: Severity, message: str) -> _Rule:
    return _Rule(kind, re.compile(pattern, re.IGNORECASE), rule, severity, message)


KUBERNETES, TERRAFORM, NGINX, CLOUD_FORMATION = (
    "Kubernetes manifest",
    "Terraform file",
    "nginx file",
    "CloudFormation file",
)
_KEY = r"""(?:^\s*(?:-\s{1,9})?|^[^#]*[{,]\s*)["']?"""
_ON = r"""["']?\s*:\s*["']?true\b"""
LINE_RULES = (
    _rule(
        KUBERNETES, rf"{_KEY}privileged{_ON}", "privileged container", "high", "the container may do what the host may"
    ),
    _rule(KUBERNETES, rf"{_KEY}hostNetwork{_ON}", "host network", "medium", "the pod shares the host's network"),
    _rule(KUBERNETES, rf"{_KEY}host(PID|IPC){_ON}", "host processes", "medium", "the pod reaches the host's processes"),
    _rule(
        KUBERNETES, rf"""{_KEY}hostPath["']?\s*:""", "host path", "medium", "a folder of the host is open to the pod"
    ),
    _rule(
        KUBERNETES,
        rf"""{_KEY}runAsUser["']?\s*:\s*0\b""",
        "runs as root",
        "medium",
        "the container's process runs as root",
    ),
    _rule(TERRAFORM, r'^\s*acl\s*=\s*"public-read', "public bucket", "high", "whoever asks may read the bucket"),
    _rule(
        TERRAFORM, r"^\s*publicly_accessible\s*=\s*true\b", "public access", "high", "it is reached from the internet"
    ),
    _rule(
        TERRAFORM,
        r"^\s*(block_public_(acls|policy)|ignore_public_acls|restrict_public_buckets)\s*=\s*false\b",
        "public access",
        "medium",
        "what would keep the bucket from the public is off",
    ),
    _rule(
        CLOUD_FORMATION,
        rf"{_KEY}AccessControl\W+PublicRead",
        "public bucket",
        "high",
        "whoever asks may read the bucket",
    ),
    _rule(NGINX, r"^\s*autoindex\s+on\b", "folder listing", "medium", "whoever asks is shown what is in the folder"),
    _rule(
        NGINX,
        r"^\s*ssl_protocols\b.*\b(SSLv[23]|TLSv1(\.1)?)(\s|;)",
        "old TLS",
        "medium",
        "broken versions of TLS are taken",
    ),
)
KINDS = ("Dockerfile", "Compose file", KUBERNETES, TERRAFORM, CLOUD_FORMATION, NGINX, "GitHub workflow")
"""What is looked at for misconfiguration as a whole; of workflows zizmor speaks."""


def kind_of(file: SourceFile) -> str | None:
    """The kind among KINDS that the file is of."""
    path = PurePosixPath(file.path)
    name = path.name.lower()
    if file.language == "Dockerfile":
        return "Dockerfile"
    if _COMPOSE.fullmatch(name):
        return "Compose file"
    if name.endswith((".tf", ".tf.json")):
        return TERRAFORM
    if "nginx" in file.path.lower() and not file.path.endswith((".md", ".py", ".yml", ".yaml", ".json")):
        return NGINX
    if path.parent.match(".github/workflows") and file.language == "YAML":
        return "GitHub workflow"
    if file.language == "YAML":
        if all(re.search(rf"^{key}:", file.text, re.MULTILINE) for key in ("apiVersion", "kind")):
            return KUBERNETES
        return CLOUD_FORMATION if re.search(r"^AWSTemplateFormatVersion:", file.text, re.MULTILINE) else None
    if file.language in ("INI", OTHER) and re.search(r"^[ \t]*server[ \t]*\{", file.text, re.MULTILINE):
        return NGINX
    return None


def misconfigured(
    files: Sequence[SourceFile], seconds: float = SECONDS_MAX
) -> tuple[list[Misconfigured], list[Unread]]:
    """What the rules find, and the files that could not be read, or not in time."""
    found: list[Misconfigured] = []
    unread: list[Unread] = []
    deadline = Deadline(seconds)
    for file in files:
        if not deadline.left():
            unread.append(Unread(file.path, f"what came before it took longer than {seconds:g} s"))
            continue
        match kind_of(file):
            case "Dockerfile":
                found += _dockerfile(file)
            case "Compose file":
                try:
                    found += _compose(file)
                except ValueError as error:
                    unread.append(Unread(file.path, str(error)))
            case kind:
                rules = [rule for rule in LINE_RULES if rule.kind == kind]
                found += _lines(file, rules)
    return found, unread


def _at(file: SourceFile, line: int, rule: str, severity: Severity, message: str) -> Misconfigured:
    return Misconfigured(rule=rule, severity=severity, path=file.path, line=line, message=message)


def _dockerfile(file: SourceFile) -> Iterator[Misconfigured]:
    stages: set[str] = set()
    user, start = "", 1
    for number, words in _instructions(file.text):
        match words[0].upper():
            case "FROM":
                user, start = "", number
                image = next((word for word in words[1:] if not word.startswith("--")), "")
                if image.lower() not in stages and image != "scratch" and not _pinned(image):
                    yield _at(file, number, "image not pinned", "low", "the image has no version, or the latest")
                if len(words) > 3 and words[-2].upper() == "AS":
                    stages.add(words[-1].lower())
            case "USER":
                user = words[1] if len(words) > 1 else ""
            case "ADD" if any(re.match(r"https?://", word) for word in words[1:]):
                yield _at(file, number, "remote ADD", "medium", "what is fetched from a URL goes in unchecked")
            case "RUN" if _PIPED.search(" ".join(words)):
                yield _at(file, number, "piped to a shell", "medium", "what is fetched is run, whatever it is")
            case "ENV" | "ARG" if _gives_secret(words[1:]):
                yield _at(file, number, "secret in image", "medium", "a secret is written into the image")
            case _:
                pass
    if user.partition(":")[0] in ("", "root", "0"):
        yield _at(file, start, "runs as root", "medium", "the container's process runs as root")


def _instructions(text: str) -> Iterator[tuple[int, list[str]]]:
    """The instructions with their first line; continued lines are joined."""
    joined, begun = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("#"):
            continue
        begun = begun or number
        joined += line[:LINE_CHARS_MAX].rstrip()
        if joined.endswith("\\"):
            joined = joined[:-1] + " "
            continue
        if words := joined.split():
            yield begun, words
        joined, begun = "", 0


def _pinned(image: str) -> bool:
    name = image.rpartition("/")[2]
    return "$" in image or "@" in name or (":" in name and not name.endswith(":latest"))


def _gives_secret(words: Sequence[str]) -> bool:
    name, sign, value = " ".join(words).partition("=")
    if not sign and len(words) > 1:
        name, value = words[0], words[1]
    return bool(_SECRET_NAME.search(name)) and bool(value.strip("\"' ")) and "$" not in value


def _compose(file: SourceFile) -> Iterator[Misconfigured]:
    import yaml

    if len(file.text) > YAML_CHARS_MAX:
        raise ValueError(f"longer than {YAML_CHARS_MAX:,} characters")
    try:
        read = yaml.safe_load(file.text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ValueError(f"no readable YAML ({type(error).__name__})") from error
    services = read.get("services") if isinstance(read, dict) else None
    for name, service in list(services.items() if isinstance(services, dict) else ())[:ITEMS_MAX]:
        if isinstance(service, dict):
            yield from _service(file, _line_of(file.text, str(name)), service)


def _line_of(text: str, name: str) -> int:
    lines = text.splitlines()
    return next((at for at, line in enumerate(lines, start=1) if line.strip().startswith(f"{name}:")), 1)


def _service(file: SourceFile, line: int, service: dict[object, object]) -> Iterator[Misconfigured]:
    if service.get("privileged") is True:
        yield _at(file, line, "privileged container", "high", "the container may do what the host may")
    if service.get("network_mode") == "host":
        yield _at(file, line, "host network", "medium", "the container shares the host's network")
    volumes = service.get("volumes")
    if any("docker.sock" in str(one)[:LINE_CHARS_MAX] for one in _first(volumes)):
        yield _at(file, line, "docker socket", "high", "who holds Docker's socket is root on the host")
    given = service.get("environment")
    pairs = given.items() if isinstance(given, dict) else (str(one).partition("=")[::2] for one in _first(given))
    if any(
        _SECRET_NAME.search(str(name)) and value and "$" not in str(value) for name, value in list(pairs)[:ITEMS_MAX]
    ):
        yield _at(file, line, "secret in compose", "medium", "a secret is written out in the environment")


def _first(value: object) -> Sequence[object]:
    return value[:ITEMS_MAX] if isinstance(value, list) else ()


def _lines(file: SourceFile, rules: Sequence[_Rule]) -> Iterator[Misconfigured]:
    settings = file.language == "Python" and "settings" in file.path.lower()
    plain = file.language in ("Python", "JavaScript", "TypeScript", "YAML", "INI", "TOML")
    if not rules and not plain:
        return
    for number, line in enumerate(file.text.splitlines(), start=1):
        text = line[:LINE_CHARS_MAX]
        if settings and _DEBUG.search(text):
            yield _at(file, number, "debug mode", "medium", "debug mode is on")
        if plain and _CORS.search(text):
            yield _at(file, number, "open CORS", "medium", "every origin may read the answers")
        for rule in rules:
            if rule.pattern.search(text):
                yield _at(file, number, rule.rule, rule.severity, rule.message)
