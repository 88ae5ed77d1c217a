"""A git server for tests on this machine: dulwich's own over HTTP, with addresses at which it answers as it is told."""

import struct
import subprocess
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha1
from pathlib import Path
from socketserver import ThreadingMixIn
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from types import TracebackType
from typing import Any, Self, cast
from wsgiref.simple_server import WSGIServer, make_server

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from dulwich.protocol import pkt_line
from dulwich.repo import BaseRepo
from dulwich.server import BackendRepo, DictBackend
from dulwich.web import WSGIRequestHandlerLogger, make_wsgi_chain

REFS = "application/x-git-upload-pack-advertisement"
PACK = "application/x-git-upload-pack-result"
CAPABILITIES = b"side-band-64k ofs-delta shallow agent=hostile symref=HEAD:refs/heads/main"

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


class GitServer:
    """Serves `repositories` by their paths; what is in `answers`, by whole paths, is answered there. `asked`: every request."""

    def __init__(self, repositories: Mapping[str, BaseRepo], tls: SSLContext | None = None) -> None:
        self.answers: dict[str, Application] = {}
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.stopping = threading.Event()
        self._git = make_wsgi_chain(DictBackend(cast("dict[str, BackendRepo]", repositories)))
        self._server = make_server("127.0.0.1", 0, self._answer, _Server, _Handler)
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.place = f"127.0.0.1:{self._server.server_port}"
        self.url = f"{'https' if tls else 'http'}://{self.place}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        headers = {name[5:].lower(): value for name, value in environ.items() if name.startswith("HTTP_")}
        self.asked.append((environ["REQUEST_METHOD"], environ["PATH_INFO"], headers))
        path = environ["PATH_INFO"]
        answer = self.answers.get(path) or self.answers.get(path.split("/")[1])
        return answer(environ, start) if answer else self._git(environ, start)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandlerLogger):
    def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002 - its own


def certified(folder: Path, name: str) -> tuple[Path, SSLContext]:
    """A certificate for a host, which vouches for itself, and what serves with it."""
    key, today = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    called = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    built = (
        x509.CertificateBuilder(called, called, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, SHA256())
    )
    certificate, secret = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(built.public_bytes(Encoding.PEM))
    secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = SSLContext(PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, secret)
    return certificate, context


def says(status: str, media_type: str, body: bytes | Iterable[bytes] = b"", **headers: str) -> Application:
    """An answer: what it says, once and for all."""

    def answer(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        start(
            status,
            [("Content-Type", media_type), *((name.replace("_", "-"), value) for name, value in headers.items())],
        )
        return [body] if isinstance(body, bytes) else body

    return answer


def refs(*listed: bytes) -> bytes:
    """An advertisement of refs, each `NAME SHA`… as git has it: the sha first."""
    first, *others = listed
    lines = [first + b"\0" + CAPABILITIES, *others]
    told = b"".join(pkt_line(line + b"\n") for line in lines)
    return pkt_line(b"# service=git-upload-pack\n") + b"0000" + told + b"0000"


def hostile(server: GitServer, path: str, pack: bytes | Iterable[bytes], *listed: bytes) -> str:
    """The address of a repository that sends these refs and then this as its pack."""
    server.answers[f"{path}/info/refs"] = says("200 OK", REFS, refs(*listed))
    sent = [pack] if isinstance(pack, bytes) else pack
    server.answers[f"{path}/git-upload-pack"] = says("200 OK", PACK, _banded(sent))
    return f"{server.url}{path}"


def _banded(pieces: Iterable[bytes]) -> Iterator[bytes]:
    yield b"0000" + pkt_line(b"NAK\n")  # nothing is shallow, nothing in common
    for piece in pieces:
        for start in range(0, len(piece), 65_000):
            yield pkt_line(b"\x01" + piece[start : start + 65_000])
    yield b"0000"


def pack_of(*objects: bytes) -> bytes:
    """A pack of these, each with its head and its compressed body."""
    body = b"PACK" + struct.pack(">LL", 2, len(objects)) + b"".join(objects)
    return body + sha1(body, usedforsecurity=False).digest()


def packed(kind: int, said_bytes: int, content: bytes | Iterable[bytes], base: bytes = b"") -> bytes:
    """One object of a pack: `kind` as packs number them, how long it says it is, and what it holds."""
    head = [(kind << 4) | (said_bytes & 15)]
    rest = said_bytes >> 4
    while rest:
        head[-1] |= 0x80
        head.append(rest & 0x7F)
        rest >>= 7
    press = zlib.compressobj(1)
    pieces = [content] if isinstance(content, bytes) else content
    return bytes(head) + base + b"".join(press.compress(piece) for piece in pieces) + press.flush()


def number(value: int) -> bytes:
    """A length as deltas have it."""
    found = bytearray([value & 0x7F])
    while value := value >> 7:
        found[-1] |= 0x80
        found.append(value & 0x7F)
    return bytes(found)


def http_backend(git: str, folder: Path) -> Application:
    """What git's own server answers for all repositories below a folder, in whichever version of the protocol is asked for."""

    def answer(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        given = {
            name: str(environ.get(name, "")) for name in ("REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "CONTENT_TYPE")
        }
        ours = {
            "GIT_PROJECT_ROOT": str(folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "HOME": str(folder),
            "REMOTE_ADDR": "127.0.0.1",
        }
        protocol = {"GIT_PROTOCOL": environ.get("HTTP_GIT_PROTOCOL", "")}
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        done = subprocess.run(  # noqa: S603 - git's own program, on a folder of the test's
            [git, "http-backend"], input=body, env=given | ours | protocol, check=False, capture_output=True
        )
        head, _, rest = done.stdout.partition(b"\r\n\r\n")
        headers = [tuple(line.split(": ", 1)) for line in head.decode().split("\r\n")]
        status = next((value for name, value in headers if name == "Status"), "200 OK")
        start(status, [*(header for header in headers if header[0] != "Status"), ("Set-Cookie", "seen=1")])
        return [rest]

    return answer
