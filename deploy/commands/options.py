"""What commands share: the options that say which stack is meant, and where that leads."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from deploy.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])


@dataclass
class Invocation:
    """What was said before the command's name."""

    config: str | None = None
    debug: bool = False


@dataclass(frozen=True, kw_only=True)
class Target:
    """Which gateway is meant and who asks, as far as the command line says."""

    data: str | None
    url: str | None
    token: str | None


def invocation() -> Invocation:
    return click.get_current_context().ensure_object(Invocation)


def data_option(function: F) -> F:
    """`--data`: the folder of an embedded stack."""
    text = "Folder of the stack.  [default: diarchy-data]"
    return click.option("--data", type=click.Path(file_okay=False), metavar="DIR", help=text)(function)


def json_option(function: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)


def target_options(function: F) -> F:
    """`--data`, `--url`, `--token`: which gateway, and as whom."""
    url = click.option("--url", metavar="URL", help="A gateway elsewhere (or DIARCHY_URL).")
    token = click.option("--token", metavar="JWT", help="Ask as its owner (or DIARCHY_TOKEN).")
    return data_option(url(token(function)))


def settings(data: str | None = None) -> "Settings":
    """The settings in force: defaults, `--config`, the environment, `--data`. Raises SettingsError."""
    from deploy.settings import load

    return load(invocation().config, data=data) if data else load(invocation().config)


def stack_settings(data: str | None = None) -> "Settings":
    """Those of the stack that runs in the data folder, else those in force."""
    from deploy.stack import running

    asked = settings(data)
    return running(asked.folder) or asked


def existing(path: str) -> Path:
    """A path that is there. Raises UsageError."""
    found = Path(path)
    if not found.exists():
        raise click.UsageError(f"there is no {path}")
    return found
