"""Who asks: tokens, passwords, roles and what each role may do (mission F1, F2)."""

import asyncio
import time
from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import get_args

import jwt
import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from msgspec import Struct

from contracts.domains import Clearance
from contracts.ids import new_id
from contracts.users import Permission, Role
from gateway.problems import ForbiddenError, UnauthenticatedError
from runtime.errors import UnavailableError

TOKEN_LIFETIME_S = 3_600
TOKEN_CHARS_MAX = 8_192
TOKENS_REMEMBERED_MAX = 4_096
VERIFICATIONS_MAX = 2
VERIFICATIONS_WAITING_MAX = 64
EXPIRED = "the token has expired"
_ALGORITHM = "EdDSA"

PERMISSIONS: tuple[Permission, ...] = get_args(Permission)
ROLE_PERMISSIONS: dict[Role, frozenset[Permission]] = {
    "admin": frozenset(PERMISSIONS),
    "sophia_user": frozenset({"sophia:read", "sophia:write"}),
    "artemis_user": frozenset({"artemis:read", "artemis:write"}),
    "cross_domain_user": frozenset(
        {
            "sophia:read",
            "sophia:write",
            "artemis:read",
            "artemis:write",
            "cross_domain:collaborate",
            "cross_domain:read",
        }
    ),
    "read_only": frozenset({"sophia:read", "artemis:read", "cross_domain:read"}),
    "approver": frozenset({"approvals:decide"}),
}


class Principal(Struct, frozen=True, kw_only=True):
    """An authenticated asker: his name, roles and clearance, as his token says, and when it `expires`."""

    username: str
    roles: tuple[Role, ...]
    clearance: Clearance
    expires: datetime | None = None

    @property
    def permissions(self) -> frozenset[Permission]:
        return _permissions_of(self.roles)

    @property
    def grants(self) -> tuple[Permission, ...]:
        """The permissions as a run records them."""
        return tuple(sorted(self.permissions))

    def may(self, *any_of: Permission) -> bool:
        return not self.permissions.isdisjoint(any_of)

    def require(self, *any_of: Permission) -> None:
        """Raise ForbiddenError naming what is missing, unless one of the permissions is held."""
        if not self.may(*any_of):
            raise ForbiddenError(f"this needs the permission {' or '.join(any_of)}", permission=any_of[0])

    def owns(self, owner: str) -> bool:
        """Whether something of `owner` is his to use: his own, or anybody's for an administrator."""
        return self.username == owner or self.may("system:admin")


@cache  # There are only so many combinations of roles.
def _permissions_of(roles: tuple[Role, ...]) -> frozenset[Permission]:
    return frozenset().union(*(ROLE_PERMISSIONS[role] for role in roles))


class _Claims(Struct, frozen=True):
    sub: str
    exp: float
    roles: tuple[Role, ...]
    clearance: Clearance


class Tokens:
    """Issues and verifies the API's bearer tokens: JWT signed with Ed25519, one hour.

    Tokens that were verified are remembered until they expire, because checking a signature costs more than all the rest.
    """

    def __init__(self, private_key_pem: bytes, *, issuer: str = "diarchy", audience: str = "diarchy") -> None:
        key = load_pem_private_key(private_key_pem, password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise TypeError("the token key must be an Ed25519 private key in PEM")
        self._private = key
        self._public = key.public_key()
        self._issuer = issuer
        self._audience = audience
        self._verified: OrderedDict[str, tuple[float, Principal]] = OrderedDict()

    def issue(self, principal: Principal, now: datetime, *, lifetime_s: int = TOKEN_LIFETIME_S) -> str:
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": principal.username,
            "iat": now,
            "exp": now + timedelta(seconds=lifetime_s),
            "jti": new_id(),
            "roles": list(principal.roles),
            "clearance": principal.clearance.value,
        }
        return jwt.encode(claims, self._private, algorithm=_ALGORITHM)

    def verify(self, token: str) -> Principal:
        """Whose token this is. Raises UnauthenticatedError: not ours, tampered with, expired."""
        known = self._verified.get(token)
        if known is not None and time.time() < known[0]:
            return known[1]
        claims = self._claims(token)
        expires = datetime.fromtimestamp(claims.exp, UTC)
        principal = Principal(username=claims.sub, roles=claims.roles, clearance=claims.clearance, expires=expires)
        self._verified[token] = claims.exp, principal
        if len(self._verified) > TOKENS_REMEMBERED_MAX:
            self._verified.popitem(last=False)
        return principal

    def _claims(self, token: str) -> "_Claims":
        if len(token) > TOKEN_CHARS_MAX:
            raise UnauthenticatedError("the token is too long")
        try:
            claims = jwt.decode(
                token,
                self._public,
                algorithms=[_ALGORITHM],
                audience=self._audience,
                issuer=self._issuer,
                options={"require": ["exp", "iat", "sub", "jti"]},
            )
            return msgspec.convert(claims, _Claims)
        except jwt.ExpiredSignatureError as error:
            raise UnauthenticatedError(EXPIRED) from error
        except (jwt.PyJWTError, msgspec.ValidationError) as error:
            raise UnauthenticatedError("the token is not valid") from error


class Passwords:
    """Argon2id, in threads, few at a time: each verification takes 64 MiB and tens of milliseconds by design."""

    def __init__(self, hasher: PasswordHasher | None = None, *, waiting_max: int = VERIFICATIONS_WAITING_MAX) -> None:
        self._hasher = hasher or PasswordHasher()
        self._dummy = self._hasher.hash(new_id())
        self._slots = asyncio.Semaphore(VERIFICATIONS_MAX)
        self._waiting = 0
        self._waiting_max = waiting_max

    async def verify(self, encoded: str | None, password: str) -> bool:
        """Whether the password is the one that was hashed. `encoded` None (an unknown user) takes as long and is False.

        Raises UnavailableError when too many verifications wait already.
        """
        if self._waiting >= self._waiting_max:
            raise UnavailableError("password verification", "too many sign-ins at once", retry_after_s=1)
        self._waiting += 1
        try:
            async with self._slots:
                matches = await asyncio.to_thread(self._matches, encoded or self._dummy, password)
        finally:
            self._waiting -= 1
        return matches and encoded is not None

    def _matches(self, encoded: str, password: str) -> bool:
        try:
            return self._hasher.verify(encoded, password)
        except (VerificationError, InvalidHashError):
            return False
