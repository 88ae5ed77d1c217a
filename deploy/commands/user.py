"""`diarchy user`: who may sign in."""

import asyncio
import shlex
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
import msgspec

from deploy.commands import options

if TYPE_CHECKING:
    from contracts.users import CreateUser

PASSWORD_CHARS_MIN = 12
CREATED_S_MAX = 15.0


@click.group(short_help="Make users of the API")
def user() -> None:
    """Make users of the API."""


@user.command()
@click.argument("name")
@options.roles_option("May do what it may", required=True)
@options.clearance_option("May read up to")
@options.password_option
@options.data_option
def add(name: str, *, roles: tuple[str, ...], clearance: str | None, password_stdin: bool, data: str | None) -> None:
    """Make the user NAME on the stack of the data folder (or of the configured broker). The password is asked for.

    \b
    Examples:
      diarchy user add dana --role sophia_user --clearance confidential
      pwgen -s 20 1 | diarchy user add robot --role read_only --password-stdin
    """
    from argon2 import PasswordHasher

    from contracts import subjects
    from contracts.domains import Domain
    from contracts.users import CreateUser
    from deploy.progress import err

    try:
        subjects.actor_ref(Domain.SYSTEM, "user", name)
    except ValueError as error:
        raise click.UsageError(str(error).replace("id ", "the name ", 1)) from error
    password = options.password(from_stdin=password_stdin, new=True)
    if len(password) < PASSWORD_CHARS_MIN:
        raise click.UsageError(f"the password must have at least {PASSWORD_CHARS_MIN} characters")
    given = {
        "type": "user.create.v1",
        "username": name,
        "password_hash": PasswordHasher().hash(password),
        "roles": roles,
        "clearance": clearance or options.DEFAULT_CLEARANCE,
    }
    asyncio.run(_create(msgspec.convert(given, CreateUser), data))
    where = f" --data {shlex.quote(data)}" if data else ""
    err(f"{name} may sign in: diarchy token --user {name}{where}")


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
    actor = subjects.actor_ref(Domain.SYSTEM, "user", message.username)
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
