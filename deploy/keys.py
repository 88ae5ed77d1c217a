"""Keys and first passwords: made once, kept in the data folder, readable by their owner only."""

import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from deploy.settings import Settings

ADMIN_PASSWORD_FILE = "admin-password"  # noqa: S105 - a file's name


def signing_key(settings: Settings) -> bytes:
    """The Ed25519 key (PEM) that signs tokens; made when there is none."""
    path = settings.jwt_key
    if not path.exists():
        key = Ed25519PrivateKey.generate()
        create(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path.read_bytes()


def admin_password(settings: Settings) -> str:
    """The configured first password, else the one in the data folder's `admin-password`; made when there is none."""
    if settings.gateway.admin_password:
        return settings.gateway.admin_password.reveal()
    path = settings.folder / ADMIN_PASSWORD_FILE
    if not path.exists():
        create(path, secrets.token_urlsafe(18).encode() + b"\n")
    return path.read_text().strip()


def create(path: Path, content: bytes) -> None:
    """Write a new file for its owner only; one that somebody made meanwhile is left as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(fresh, path)
    except FileExistsError:
        return
    finally:
        fresh.unlink()
