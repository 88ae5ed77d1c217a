"""Users: who exists, with which password hash, roles and clearance."""

from msgspec import Struct

from contracts.domains import Clearance, Domain
from contracts.users import Role, UserCreated
from projections.paging import types_of
from runtime.read_models import Db, Key, Logged, Projection

DDL = """
CREATE TABLE users (
  username text PRIMARY KEY, password_hash text NOT NULL, roles text[] NOT NULL, clearance diarchy.clearance NOT NULL
)
"""


class User(Struct, frozen=True, kw_only=True):
    username: str
    password_hash: str
    roles: tuple[Role, ...]
    clearance: Clearance


def key(logged: Logged) -> Key | None:
    event = logged.event
    return (event.username,) if isinstance(event, UserCreated) else None


def fold(row: User | None, logged: Logged) -> User | None:
    event = logged.event
    if not isinstance(event, UserCreated):
        return row
    return User(
        username=event.username, password_hash=event.password_hash, roles=event.roles, clearance=event.clearance
    )


USERS = Projection(
    name="users",
    version=1,
    domains=(Domain.SYSTEM,),
    ddl=DDL,
    table="users",
    row=User,
    key_columns=("username",),
    takes=types_of(UserCreated),
    key=key,
    fold=fold,
)


async def get_user(db: Db, username: str) -> User | None:
    """For authentication only, before there is a reader whose clearance could be asked for: it holds the password's hash."""
    rows = await db.rows(User, "SELECT * FROM read.users WHERE username = $1", username)
    return rows[0] if rows else None
