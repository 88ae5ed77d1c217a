"""Front matter: what a Markdown file says of itself before its text, in YAML between lines `---` or in TOML between lines `+++`.

Files come from Obsidian, Hugo, Jekyll and by hand. Fields that mean nothing here are left out and named; bad front matter is
refused, never read as text, since it may be what keeps the text from readers; and a rule at the top of a text is no front matter.
"""

import re
import tomllib
from collections.abc import Callable, Mapping

import yaml
from msgspec import Struct

from deploy.item_fields import checked, unknown
from runtime.errors import InvalidError

CHARS_MAX = 65_536
DEPTH_MAX = 16

_QUOTE = "write `key: value`, values with a colon, #, @ or bracket in quotes, and indent by spaces"
_RULE = "if it is a rule, an empty line above"
_TAG = "tag:yaml.org,2002:"
_PLAIN = frozenset(
    _TAG + name for name in ("str", "int", "float", "bool", "null", "timestamp", "value", "merge", "seq", "map")
)
_AT_LINE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)")


class FrontMatterError(InvalidError):
    """`line` counts from 1, in the file."""

    def __init__(self, reason: str, line: int) -> None:
        super().__init__(reason)
        self.line = line


class FrontMatter(Struct, frozen=True, kw_only=True):
    """The fields that count, checked; the names of others; and the text that follows, its lines ended by line feeds."""

    fields: Mapping[str, object] = {}
    left_out: tuple[str, ...] = ()
    body: str = ""


class _Said(Struct, frozen=True):
    name: str
    value: object
    line: int


class _Form(Struct, frozen=True):
    """A way to write front matter: what closes it, what its lines look like, and how it is read: None if it is no table."""

    closing: re.Pattern[str]
    key: re.Pattern[str]
    read: Callable[[str, int], list[_Said] | None]


def front_matter(text: str) -> FrontMatter:
    """Raises FrontMatterError where it is not closed, cannot be read, or says of a field what that cannot take."""
    said = _lines(text)
    first, _, rest = said.partition("\n")
    form = _FORMS.get(first.rstrip())
    if form is None:
        return FrontMatter(body=said)
    end = form.closing.search(rest)
    block = rest[: end.start()] if end else rest.lstrip("\n").partition("\n\n")[0]
    if block.strip() and not form.key.search(block):
        return FrontMatter(body=said)  # A rule.
    if end is None:
        raise FrontMatterError(f"the front matter is not closed; put a line {first.rstrip()} after it, or, {_RULE}", 1)
    found = _read(form, block, 2)
    if found is None and block.strip():
        return FrontMatter(body=said)
    fields, left_out = _settled(found or [])
    return FrontMatter(fields=fields, left_out=left_out, body=rest[end.end() :].strip("\n"))


def side_file(text: str) -> FrontMatter:
    """What a file of fields alone says, in YAML. Raises FrontMatterError."""
    said = _lines(text)
    found = _read(_FORMS["---"], said, 1)
    if found is None and any(line.strip() and not line.lstrip().startswith("#") for line in said.split("\n")):
        raise FrontMatterError("it holds no fields; write `key: value`, one a line", 1)
    fields, left_out = _settled(found or [])
    return FrontMatter(fields=fields, left_out=left_out)


def _lines(text: str) -> str:
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def _read(form: _Form, block: str, first: int) -> list[_Said] | None:
    if len(block) > CHARS_MAX:
        raise FrontMatterError(f"the front matter has more than {CHARS_MAX:,} characters; move text below it", 1)
    return form.read(block, first)


def _settled(said: list[_Said]) -> tuple[dict[str, object], tuple[str, ...]]:
    """The fields that count, whichever case they are written in, and the names of the others."""
    fields: dict[str, object] = {}
    left_out: list[str] = []
    for one in said:
        name = one.name.casefold()
        if name in fields:
            raise FrontMatterError(f"{name} stands twice; keep one", one.line)
        try:
            if name == "content" or unknown([name]):
                left_out.append(one.name)
            elif isinstance(one.value, list | dict) and name not in ("tags", "fields"):
                raise InvalidError(f"{name} takes one value; write a text that begins with a bracket in quotes")
            elif one.value not in (None, ""):
                fields[name] = " ".join(str(one.value).split()) if name == "title" else checked(name, one.value)
        except InvalidError as error:
            raise FrontMatterError(str(error), one.line) from error
    return fields, tuple(left_out)


class _Loader(yaml.SafeLoader):
    """Follows no references, takes no types but YAML's plain ones, and goes no deeper than DEPTH_MAX."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call] # the stubs say nothing of it
        if self.check_event(yaml.AliasEvent):
            raise _refused(f"*{event.anchor} refers to another value", "write out what it stands for", event.start_mark)
        if self.depth == DEPTH_MAX:
            raise _refused(f"values lie deeper than {DEPTH_MAX} in each other", "leave them out", event.start_mark)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        if node is not None and node.tag not in _PLAIN:
            raise _refused(f"{node.tag} is no plain value", "leave the tag out", node.start_mark)
        return node


def _refused(problem: str, remedy: str, mark: yaml.Mark) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark, note=remedy)


def _yaml(block: str, first: int) -> list[_Said] | None:
    loader: _Loader | None = None
    try:
        loader = _Loader(block)
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            return None
        return [_entry(loader, key, value, first) for key, value in node.value]
    except yaml.MarkedYAMLError as error:
        reason = f"the front matter cannot be read as YAML: {error.problem}; {error.note or _QUOTE}"
        raise FrontMatterError(reason, first + _line_of(error)) from error
    except yaml.reader.ReaderError as error:
        line = first + block.count("\n", 0, error.position)
        reason = f"the front matter cannot be read as YAML: {chr(error.character)!r} may not stand there; delete it"
        raise FrontMatterError(reason, line) from error
    finally:
        if loader is not None:
            loader.dispose()


def _line_of(error: yaml.MarkedYAMLError) -> int:
    """Where it is wrong; of what is not closed, where it begins."""
    open_ended = "end" in (error.problem or "") and error.context_mark is not None
    mark = error.context_mark if open_ended else error.problem_mark
    return mark.line if mark else 0


def _entry(loader: _Loader, key: yaml.Node, value: yaml.Node, first: int) -> _Said:
    """A field with its value as it is written, so that a title may be a number, a date or `No`."""
    line = first + key.start_mark.line
    if not isinstance(key, yaml.ScalarNode):
        raise FrontMatterError(f"the name of a field is one word; {_QUOTE}", line)
    if isinstance(value, yaml.SequenceNode):
        words = [_word(one) for one in value.value]
        return _Said(key.value, [word for word in words if word != ""], line)
    if key.value.casefold() == "fields" and isinstance(value, yaml.MappingNode):
        return _Said(
            key.value, {name.value: _word(one) for name, one in value.value if isinstance(name, yaml.ScalarNode)}, line
        )
    if key.value.casefold() == "expires" and isinstance(value, yaml.ScalarNode) and value.tag == f"{_TAG}timestamp":
        try:
            return _Said(key.value, loader.construct_yaml_timestamp(value), line)
        except ValueError:
            pass  # The thirteenth month: told as it is written.
    return _Said(key.value, _word(value), line)


def _word(node: yaml.Node) -> object:
    """What is written; of what is no single value (which no field takes), something that is none."""
    if not isinstance(node, yaml.ScalarNode):
        return {}
    return "" if node.tag == f"{_TAG}null" else node.value


def _toml(block: str, first: int) -> list[_Said]:
    try:
        found = tomllib.loads(block)
    except tomllib.TOMLDecodeError as error:
        at = _AT_LINE.search(str(error))
        line = int(at[1]) if at and at[1] else block.rstrip("\n").count("\n") + 1
        raise FrontMatterError(
            f"the front matter cannot be read as TOML: {_AT_LINE.sub('', str(error))}", first + line - 1
        ) from error
    except RecursionError as error:
        raise FrontMatterError("values of the front matter lie too deep in each other; leave them out", 1) from error
    return [_Said(name, value, first + _line_in(block, name)) for name, value in found.items()]


def _line_in(block: str, name: str) -> int:
    lines = block.split("\n")
    return next((at for at, line in enumerate(lines) if line.lstrip("[\"' ").startswith(name)), 0)


_FORMS = {
    "---": _Form(
        re.compile(r"^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.MULTILINE),
        re.compile(r"^(?:\{|[\w\"'.-]+[ \t]*:(?:[ \t]|$))", re.MULTILINE),
        _yaml,
    ),
    "+++": _Form(
        re.compile(r"^\+\+\+[ \t]*(?:\n|\Z)", re.MULTILINE), re.compile(r"^[\w\"'.-]+[ \t]*=", re.MULTILINE), _toml
    ),
}
