"""`diarchy user`: who may sign in."""

import asyncio
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
import msgspec

from deploy.commands import options
from deploy.commands.token import ROLES

if TYPE_CHECKING:
    from contracts.users import CreateUser

PASSWORD_CHARS_MIN = 12
CREATED_S_MAX = 15.0


@click.group(short_help="Make users of the API")
def user() -> None:
    """Make users of the API."""


@user.command()
@click.argument("name")
@click.option(
    "--role",
    "roles",
    multiple=True,
    required=True,
    type=click.Choice(ROLES),
    metavar="ROLE",
    help="Repeatable: admin, sophia_user, artemis_user, cross_domain_user, read_only.",
)
@click.option(
    "--clearance",
    type=click.Choice(options.LEVELS),
    default="internal",
    metavar="LEVEL",
    help="May read up to.  [default: internal]",
)
@click.option("--password-stdin", is_flag=True, help="Read the password from stdin.")
@options.data_option
def add(name: str, *, roles: tuple[str, ...], clearance: str, password_stdin: bool, data: str | None) -> None:
    """Make the user NAME on the stack of the data folder (or of the configured broker). The password is asked for.

    \b
    Examples:
      diarchy user add dana --role sophia_user --clearance confidential
      pwgen -s 20 1 | diarchy user add robot --role read_only --password-stdin
    """
    from argon2 import PasswordHasher

    from contracts.users import CreateUser
    from deploy.progress import err

    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    if len(password) < PASSWORD_CHARS_MIN:
        raise click.UsageError(f"the password must have at least {PASSWORD_CHARS_MIN} characters")
    given = {"username": name, "password_hash": PasswordHasher().hash(password), "roles": roles, "clearance": clearance}
    asyncio.run(_create(msgspec.convert({"type": "user.create.v1", **given}, CreateUser), data))
    err(f"{name} may sign in: diarchy token --user {name}")


async def _create(message: "CreateUser", data: str | None) -> None:
    """Return once the user is recorded. Raises DiarchyError where there is one of that name, or nobody records it."""
    from adapters.jetstream_log import JetStreamLog
    from adapters.jetstream_queue import JetStreamQueue
    from contracts import subjects
    from contracts.catalogue import tag
    from contracts.domains import Clearance, Domain
    from contracts.envelope import Envelope, Record
    from contracts.ids import new_id
    from contracts.kernel import Refused
    from deploy.stack import broker
    from runtime.errors import DiarchyError

    settings = options.stack_settings(data)
    try:
        actor = subjects.actor_ref(Domain.SYSTEM, "user", message.username)
    except ValueError as error:
        raise click.UsageError(str(error).replace("id ", "the name ", 1)) from error
    identity = new_id()
    envelope = Envelope(
        id=identity,
        type=tag(type(message)),
        time=datetime.now(UTC),
        correlation=identity,
        principal=settings.gateway.admin_username,
        source=Domain.SYSTEM,
        target=Domain.SYSTEM,
        clearance=Clearance.TOP_SECRET,
        label=Clearance.INTERNAL,
    )
    async with broker(settings) as connection:
        log, last = JetStreamLog(connection), 0
        await JetStreamQueue(connection).publish(subjects.inbox(actor), Record(envelope, msgspec.json.encode(message)))
        while await log.wait(subjects.log(actor), after=last, timeout_s=CREATED_S_MAX):
            for stored in await log.read(subjects.log(actor), after=last):
                last = stored.sequence
                if stored.record.envelope.causation == identity:
                    if stored.record.envelope.type == tag(Refused):
                        raise DiarchyError(msgspec.json.decode(stored.record.body, type=Refused).reason)
                    return
    raise DiarchyError(f"nobody took the request within {CREATED_S_MAX:g} s; is the system role running? It is kept")
