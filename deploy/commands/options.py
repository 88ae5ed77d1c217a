"""What commands share: the options that say which stack is meant, and where that leads."""

import os
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import click

if TYPE_CHECKING:
    from contracts.approval import ApprovalRule
    from deploy.client import Gateway
    from deploy.settings import Settings

ROLES = ("admin", "sophia_user", "artemis_user", "cross_domain_user", "read_only", "approver")
LEVELS = ("public", "internal", "confidential", "restricted", "top_secret")

DEFAULT_CLEARANCE = "internal"

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""

F = TypeVar("F", bound=Callable[..., Any])


class FailedError(click.ClickException):
    """A command failed: one line on stderr, exit status 1."""

    exit_code = 1

    def show(self, file: object = None) -> None:  # noqa: ARG002 - click's signature
        click.echo(f"diarchy: {self.message}", err=True)


@dataclass
class Invocation:
    """What was said before the command's name."""

    config: str | None = None
    debug: bool = False


def invocation() -> Invocation:
    return click.get_current_context().ensure_object(Invocation)


def data_option(function: F) -> F:
    """`--data`: the folder of an embedded stack."""
    text = "Folder of the stack.  [default: diarchy-data]"
    return click.option("--data", type=click.Path(file_okay=False), metavar="DIR", help=text)(function)


def json_option(function: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)


def roles_option(text: str, *, required: bool = False) -> Callable[[F], F]:
    """`--role`, given to the command as `roles`; `text` says what becomes of them."""
    return click.option(
        "--role",
        "roles",
        multiple=True,
        required=required,
        type=click.Choice(ROLES),
        metavar="ROLE",
        help=f"{text}; repeatable: {', '.join(ROLES)}.",
    )


def clearance_option(text: str) -> Callable[[F], F]:
    return click.option(
        "--clearance", type=click.Choice(LEVELS), metavar="LEVEL", help=f"{text}.  [default: {DEFAULT_CLEARANCE}]"
    )


def password_option(function: F) -> F:
    return click.option("--password-stdin", is_flag=True, help="Read the password from stdin.")(function)


def password(*, from_stdin: bool, new: bool = False) -> str:
    """The password: the first line of stdin, or typed at the terminal (a new one twice). Raises UsageError."""
    if from_stdin:
        given = sys.stdin.readline().rstrip("\r\n")
        if not given:
            raise click.UsageError("there is no password on stdin")
        return given
    if not terminal():
        raise click.UsageError("there is no terminal to ask for the password at; give it with --password-stdin")
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=new, err=True))


def terminal() -> bool:
    """Whether a password can be typed: it is read from the terminal, wherever stdin comes from."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR))
    except OSError:
        return sys.stdin.isatty()
    return True


@dataclass(frozen=True)
class Target:
    """Which gateway is meant and who asks, as far as the command line says."""

    data: str | None
    url: str | None
    token: str | None

    @property
    def words(self) -> str:
        """The options that mean the same target, for hints: quoted for a shell, each with a space before it. No token."""
        named = {"--data": self.data, "--url": self.url}
        return "".join(f" {option} {shlex.quote(value)}" for option, value in named.items() if value)

    def gateway(self) -> "Gateway":
        """A client of the gateway meant: `--url`, a named `--data`, DIARCHY_URL, the default data folder, in this order.

        As whom: `--token`, DIARCHY_TOKEN, else the operator by the data folder's key, which never leaves for another gateway.
        """
        from deploy.client import Gateway, LocalKey, operator
        from deploy.stack import url_of

        asked = settings(self.data)
        stack = stack_settings(self.data)
        elsewhere = self.url or ("" if self.data else asked.url)
        given = self.token or asked.token.reveal()
        if given:
            return Gateway(elsewhere or url_of(stack), lambda: given)
        if elsewhere and elsewhere.rstrip("/") != url_of(stack):
            raise click.UsageError(
                f"as whom to ask {elsewhere}? give a token with --token or DIARCHY_TOKEN; `diarchy token --user` gets one"
            )
        return Gateway(url_of(stack), LocalKey(stack.jwt_key).source(operator(stack)))


def target_options(function: F) -> Callable[..., Any]:
    """`--data`, `--url`, `--token`, given to the command as one `target`."""

    @wraps(function)
    def bundled(*, data: str | None, url: str | None, token: str | None, **others: object) -> Any:
        return function(target=Target(data, url, token), **others)

    url_option = click.option("--url", metavar="URL", help="A gateway elsewhere (or DIARCHY_URL).")
    token_option = click.option("--token", metavar="JWT", help="Ask as its owner (or DIARCHY_TOKEN).")
    return data_option(url_option(token_option(bundled)))


def refused(error: Exception) -> click.UsageError:
    """What msgspec says of an input that cannot be, in words."""
    from contracts.forms import in_words

    return click.UsageError(in_words(str(error)))


def approval_options(function: F) -> F:
    """`--approval` and what goes with it, given to the command as `approval`, `quorum`, `approver` and `expires`."""
    tools = click.option(
        "--approval",
        metavar="TOOLS",
        help="Let people agree first to these tools: names with commas between, or `*` for all.",
    )
    quorum = click.option("--quorum", type=click.IntRange(min=1), metavar="N", help="So many people.  [default: 1]")
    approver = click.option(
        "--approver",
        multiple=True,
        metavar="NAME",
        help="Only these may; repeatable.  [default: who has approvals:decide]",
    )
    expires = click.option(
        "--expires", type=click.IntRange(min=1), metavar="SECONDS", help="How long they may take.  [default: a day]"
    )
    return tools(quorum(approver(expires(function))))


def approval_rule(
    approval: str | None, quorum: int | None, approver: tuple[str, ...], expires: int | None
) -> "ApprovalRule | None":
    """What those options say. Raises UsageError for one that cannot be."""
    import msgspec

    from contracts.approval import ApprovalRule

    said = {"quorum": quorum, "approvers": approver or None, "expires_s": expires}
    rule = {name: value for name, value in said.items() if value is not None}
    if approval is None:
        if rule:
            raise click.UsageError("--quorum, --approver and --expires go with --approval TOOLS")
        return None
    tools = [tool.strip() for tool in approval.split(",") if tool.strip()]
    try:
        return msgspec.convert({**rule, "tools": tools}, ApprovalRule)
    except msgspec.ValidationError as error:
        raise click.UsageError(f"--approval: {error}") from error


def settings(data: str | None = None) -> "Settings":
    """The settings in force: defaults, `--config`, the environment, `--data`. Raises SettingsError."""
    from deploy.settings import load

    return load(invocation().config, data=data) if data else load(invocation().config)


def stack_settings(data: str | None = None) -> "Settings":
    """Those of the stack that runs in the data folder, else those in force."""
    from deploy.stack import running

    asked = settings(data)
    return running(asked.folder) or asked


def path_part(text: str) -> str:
    """An id as a part of a URL's path."""
    return quote(text, safe="")
