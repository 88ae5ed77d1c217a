"""What commands share: the options that say which stack is meant, and where that leads."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import click

if TYPE_CHECKING:
    from deploy.client import Gateway
    from deploy.settings import Settings

LEVELS = ("public", "internal", "confidential", "restricted", "top_secret")

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


@dataclass(frozen=True)
class Target:
    """Which gateway is meant and who asks, as far as the command line says."""

    data: str | None
    url: str | None
    token: str | None

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
