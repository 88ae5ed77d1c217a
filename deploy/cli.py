"""`diarchy`: the commands, how they are found, and how they end.

Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted. Results go to stdout, progress and errors to stderr. An error is
one line that names the thing and the remedy; `--debug` adds the traceback.
"""

import contextlib
import errno
import os
import sys
from importlib import import_module
from typing import NoReturn

import click

from deploy.commands.options import INTERRUPTED, FailedError, Invocation
from runtime.errors import DiarchyError

# Command to module (in deploy.commands) and function, in the order of the help.
COMMANDS = {
    "demo": "demo:demo",
    "up": "up:up",
    "ask": "ask:ask",
    "analyse": "analyse:analyse",
    "import": "knowledge_import:import_",
    "facts": "facts:facts",
    "knowledge": "knowledge:knowledge",
    "memories": "memories:memories",
    "alerts": "alerts:alerts",
    "agents": "agents:agents",
    "collaborations": "collaborations:collaborations",
    "events": "events:events",
    "runs": "runs:runs",
    "cancel": "cancel:cancel",
    "approvals": "approvals:approvals",
    "trace": "trace:trace",
    "rebuild": "rebuild:rebuild",
    "vectors": "vectors:vectors",
    "token": "token:token",
    "user": "user:user",
    "dlq": "dlq:dlq",
    "timers": "timers:timers",
    "publisher": "publisher:publisher",
    "tools": "tools:tools",
    "doctor": "doctor:doctor",
    "run": "run:run",
    "cluster": "cluster:cluster",
    "contracts": "contracts:contracts",
}


UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""What the system says where no more can be written."""


class Commands(click.Group):
    """Finds commands by COMMANDS, imports only what is asked for, and turns every failure into its exit status."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in COMMANDS:
            return None
        module, _, function = COMMANDS[cmd_name].partition(":")
        found = getattr(import_module(f"deploy.commands.{module}"), function)
        assert isinstance(found, click.Command)  # noqa: S101 - the table above
        return found

    def invoke(self, ctx: click.Context) -> object:
        invocation = ctx.ensure_object(Invocation)
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except BrokenPipeError:  # `diarchy events | head`: whoever reads has had enough.
            _print_no_more()
            ctx.exit(0)
        except DiarchyError as error:
            if invocation.debug:
                raise
            raise FailedError(str(error)) from error
        except Exception as error:
            told = f"unexpected {type(error).__name__}: {error}; the same with --debug shows where"
            if isinstance(error, OSError) and error.errno in UNWRITABLE:
                _print_no_more()
                told = f"cannot write: {error.strerror}; make room where the output or the data goes"
            if invocation.debug:
                raise
            raise FailedError(told) from error


def _print_no_more() -> None:
    """Drop what is still to be printed: at its end Python would try to, and fail again."""
    with contextlib.suppress(OSError, ValueError):  # Not a file, as in tests.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _debug(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    ctx.ensure_object(Invocation).debug = value


def _config(ctx: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    ctx.ensure_object(Invocation).config = value


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="`diarchy COMMAND --help` has examples. Begin with: diarchy demo",
)
@click.option("--config", metavar="FILE", expose_value=False, callback=_config, help="Settings, TOML or JSON.")
@click.option("--debug", is_flag=True, expose_value=False, callback=_debug, help="Show the traceback of an error.")
@click.version_option(package_name="diarchy", message="%(prog)s %(version)s")
def cli() -> None:
    """Ask your company's knowledge a business question and see every step of the answer.

    \b
      diarchy demo            the whole thing on a made-up company, about a minute
      diarchy up              serve on this machine until Ctrl-C
      diarchy ask "…"         ask the running stack
    """


def main() -> NoReturn:
    """The entry point."""
    try:
        status = cli.main(prog_name="diarchy", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        status = INTERRUPTED
    sys.exit(status if isinstance(status, int) else 0)
