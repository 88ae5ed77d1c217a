"""The process that fetches a git repository over HTTP and packs it (see deploy/packing.py); the address was checked before.

dulwich speaks git's protocol and reads its objects; all requests go to the checked address and to the address that was asked for,
no redirect is followed, nothing is sent but what the protocol needs. Nothing is checked out: the archive is made of objects, so
links, submodules, filters, hooks and large-file pointers mean nothing here. The bounds are looked at before git's objects are
indexed, for a pack says how much it unpacks to.
"""

import contextlib
import io
import re
import stat
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import httpx
from dulwich.client import AbstractHttpGitClient
from dulwich.errors import GitProtocolError
from dulwich.object_store import DiskObjectStore, ObjectStoreGraphWalker
from dulwich.objects import Blob, Commit, ObjectID, Tag, Tree, TreeEntry
from dulwich.pack import DELTA_TYPES, PackData
from dulwich.refs import Ref

from actors.artemis.tools.history import COMMITS_MAX
from actors.artemis.tools.left_out import Why
from actors.artemis.tools.source_tree import FILE_BYTES_MAX, shown
from deploy.git_history import history_at
from deploy.packing import Packed, serve
from deploy.source_archive import Left, Source, archived, describe, left_for, matches, opens, patterns, untold
from runtime.errors import InvalidError

if TYPE_CHECKING:
    from dulwich.client import HTTPResponse
    from dulwich.object_store import BaseObjectStore
    from dulwich.pack import UnpackedObject

DEPTH_COMMITS = COMMITS_MAX + 10  # of the history; dulwich reads a few more than it gives
REFS_BYTES_MAX = 16_000_000  # that the host sends before the pack
PACK_BYTES_MAX = 256_000_000  # that it sends at all
OBJECTS_MAX = 500_000
OBJECT_BYTES_MAX = 100_000_000
UNPACKED_BYTES_MAX = 4_000_000_000  # of all objects: every version of a file is one
TREE_ENTRIES_MAX = 200_000  # of the commit's tree, where few objects may make as many as they like
FOLDERS_DEEP_MAX = 100
TAGS_MAX = 5  # of tags, before the commit
SILENCE_S_MAX = 30.0
BUSY = (408, 429)  # the answers of a host that a later try may find better; those from 500 on besides
USER_AGENT = "git/2 (Diarchy)"  # hosts tell browsers from git by its beginning


class _Answer:
    """A response as dulwich wants it. `read` gives as many bytes as are asked for, until there are no more."""

    redirect_location = ""

    def __init__(self, response: httpx.Response, received: "_Received") -> None:
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self.content_type: str | None = response.headers.get("content-type")
        self._response = response
        self._pieces = response.iter_raw()
        self._received = received
        self._rest = bytearray()

    def read(self, amt: int | None = None) -> bytes:
        while amt is None or len(self._rest) < amt:
            piece = next(self._pieces, b"")
            if not piece:
                break
            self._received.count(len(piece))
            self._rest += piece
        taken = bytes(self._rest[:amt])
        del self._rest[: len(taken)]
        return taken

    def close(self) -> None:
        self._response.close()

    def geturl(self) -> str:
        return str(self._response.url)


class _Received:
    """What all answers together may have."""

    def __init__(self) -> None:
        self.bytes_max = REFS_BYTES_MAX
        self._bytes = 0

    def count(self, size: int) -> None:
        self._bytes += size
        if self._bytes > self.bytes_max:
            raise InvalidError(f"its host sends more than {self.bytes_max:,} bytes")


class _Client(AbstractHttpGitClient):
    """git's smart protocol with one host, at the address that was checked."""

    def __init__(self, url: httpx.URL, address: str) -> None:
        super().__init__(str(url), quiet=True)
        self.received = _Received()
        self._url, self._address = url, address
        # No proxy, cookies or .netrc; a company's own certificates by SSL_CERT_FILE, as everywhere.
        self._http = httpx.Client(
            verify=httpx.create_ssl_context(), trust_env=False, follow_redirects=False, timeout=SILENCE_S_MAX
        )

    def close(self) -> None:
        self._http.close()

    def _http_request(
        self,
        url: str,
        headers: dict[str, str] | None = None,
        data: bytes | Iterator[bytes] | None = None,
        raise_for_status: bool = True,  # noqa: ARG002 - dulwich's
    ) -> "tuple[HTTPResponse, Callable[[int], bytes]]":
        if not url.startswith(self._base_url):
            raise InvalidError("its host names another address, which is not asked")
        request = self._http.build_request(
            "GET" if data is None else "POST",
            httpx.URL(url).copy_with(host=self._address),
            content=data,
            headers={
                **(headers or {}),
                "Host": self._url.netloc.decode("ascii"),
                "User-Agent": USER_AGENT,
                "Accept-Encoding": "identity",
            },
            extensions={"sni_hostname": self._url.host},
        )
        response = self._http.send(request, stream=True)
        self._http.cookies.clear()
        answer = _Answer(response, self.received)
        if problem := _problem(response):
            answer.close()
            if response.status_code in BUSY or response.status_code >= 500:
                raise httpx.RemoteProtocolError(problem)
            raise InvalidError(problem)
        return answer, answer.read


def _problem(response: httpx.Response) -> str:
    """Why this is no answer of git's; empty: it is one."""
    status, kind = response.status_code, response.headers.get("content-type", "")
    if response.is_redirect:
        return "its host redirects elsewhere, which is not followed: name the address that it has now, often with .git at its end"
    if status in (401, 403, 404, 410):
        return f"its host answers {status}: it is not there, or not for everybody, and nobody's name or key is sent"
    if status != 200:
        return f"its host answers {status}"
    if not kind.startswith("application/x-git-"):
        return "its host does not answer as git does"
    if response.headers.get("content-encoding", "identity").lower() not in ("identity", ""):
        return "its host compresses its answer, though that was not asked for"
    return ""


def fetch(scratch: Path, arguments: Sequence[str]) -> Packed:
    """The work: `arguments` are the URL, the address to connect to, and a branch, tag or commit or "". Raises InvalidError."""
    url, address, ref = arguments
    try:
        return _fetch(scratch, httpx.URL(url), address, ref)
    except InvalidError:
        raise
    except httpx.HTTPError as error:
        return Packed(reason=f"its host does not answer: {shown(str(error)) or type(error).__name__}", away=True)
    except MemoryError:
        raise InvalidError("to read it takes too much memory") from None
    except Exception as error:  # dulwich has no error for all that strangers may send
        raise InvalidError(
            f"what its host sends cannot be read as git's: {type(error).__name__}: {shown(str(error))}"
        ) from error


def _fetch(scratch: Path, url: httpx.URL, address: str, ref: str) -> Packed:
    objects = DiskObjectStore.init(scratch / "objects")
    file, index, _ = objects.add_pack()
    with contextlib.closing(_Client(url, address)) as client:
        name, cut_off = _receive(client, file, ref)
    file.flush()
    _measure(file, objects)
    file.seek(0, io.SEEK_END)
    index()
    commit = _commit(objects, name)
    content, paths = archived(_sources(objects, commit.tree), lambda: history_at(objects, commit.id, cut_off))
    called = shown(url.path.rstrip("/").rpartition("/")[2].removesuffix(".git"))
    return Packed(content, describe(f"{called} at commit {commit.id.decode()[:12]}", paths))


def _receive(client: _Client, file: BinaryIO, ref: str) -> tuple[ObjectID, Collection[ObjectID]]:
    """The pack into the file; which object is wanted of it, and the commits whose parents the host left out."""
    wanted, listed = list[ObjectID](), False

    def determine(refs: Mapping[Ref, ObjectID], depth: int | None = None) -> list[ObjectID]:  # noqa: ARG001 - dulwich's
        nonlocal listed
        name = _wanted(refs, ref)
        listed = name in refs.values()
        wanted.append(name)
        client.received.bytes_max = PACK_BYTES_MAX
        return wanted

    walker, prefixes = ObjectStoreGraphWalker([], lambda _: []), [b"HEAD", *(_names(ref) if ref else ())]
    try:
        result = client.fetch_pack("", determine, walker, file.write, depth=DEPTH_COMMITS, ref_prefix=prefixes)
    except (GitProtocolError, httpx.RemoteProtocolError) as error:
        if not wanted or listed:
            raise
        raise InvalidError("it has no such commit, or its host does not give it to who names it") from error
    if result.object_format not in (None, "sha1"):
        raise InvalidError(f"it names its objects by {shown(str(result.object_format))}, which is not read")
    return wanted[0], result.new_shallow or frozenset()


def _names(ref: str) -> list[Ref]:
    """What a name may mean, the likeliest first."""
    name = ref.encode()
    whole = [Ref(name)] if ref.startswith("refs/") else []
    return [*whole, Ref(b"refs/heads/" + name), Ref(b"refs/tags/" + name)]


def _wanted(refs: Mapping[Ref, ObjectID], ref: str) -> ObjectID:
    found = next((refs[name] for name in (_names(ref) if ref else [Ref(b"HEAD")]) if name in refs), None)
    if found is not None:
        return found
    if not ref:
        raise InvalidError("it is empty, or says nothing of which branch is its first")
    if not re.fullmatch(r"[0-9a-f]{40}", ref):
        raise InvalidError(f"it has no branch or tag {shown(ref)}, and that is no commit's whole name of 40 signs")
    return ObjectID(ref.encode())


def _measure(file: BinaryIO, objects: DiskObjectStore) -> None:
    """Raises InvalidError for a pack of more objects, or that unpacks to more, than are read."""
    with PackData("the pack", objects.object_format, file=file) as pack:
        if len(pack) > OBJECTS_MAX:
            raise InvalidError(f"it has more than {OBJECTS_MAX:,} objects")
        total = 0
        for one in pack.iter_unpacked():
            size = _size_bytes(one)
            total += size
            if size > OBJECT_BYTES_MAX:
                raise InvalidError(f"one of its objects unpacks to more than {OBJECT_BYTES_MAX:,} bytes")
            if total > UNPACKED_BYTES_MAX:
                raise InvalidError(f"it unpacks to more than {UNPACKED_BYTES_MAX:,} bytes")


def _size_bytes(one: "UnpackedObject") -> int:
    """What an object unpacks to: a delta says it, in its second number, and dulwich holds it to that."""
    said = one.decomp_len or 0
    if one.pack_type_num not in DELTA_TYPES:
        return said
    numbers, value, shift = list[int](), 0, 0
    for byte in b"".join(one.decomp_chunks)[:20]:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(value)
            value = shift = 0
    return max(said, numbers[1]) if len(numbers) > 1 else said


def _commit(objects: "BaseObjectStore", name: ObjectID) -> Commit:
    """The commit that this is, or that its tags lead to."""
    for _ in range(TAGS_MAX):
        found = objects[name]
        if isinstance(found, Commit):
            return found
        if not isinstance(found, Tag):
            break
        name = found.object[1]
    raise InvalidError("what it names is no commit")


def _sources(objects: "BaseObjectStore", root: ObjectID) -> Iterator[Source | Left]:
    """The files of a commit's tree that are source code, by the rules for folders; links and submodules are none."""
    ignored = patterns(_ignored(objects, root))
    folders, entries = [("", root, 0)], 0
    while folders:
        above, tree, deep = folders.pop()
        found = objects[tree]
        if not isinstance(found, Tree) or deep > FOLDERS_DEEP_MAX:
            raise InvalidError("its tree holds what is no folder, or is too deep")
        for entry in found.iteritems():
            entries += 1
            if entries > TREE_ENTRIES_MAX:
                raise InvalidError(f"its tree has more than {TREE_ENTRIES_MAX:,} entries")
            name = entry.path.decode("utf-8", "replace")
            path = f"{above}{name}"
            if stat.S_ISDIR(entry.mode) and opens(name) and not matches(path, ignored):
                folders.append((f"{path}/", entry.sha, deep + 1))
            elif (one := _file(objects, entry, path, ignored)) is not None:
                yield one


def _file(objects: "BaseObjectStore", entry: TreeEntry, path: str, ignored: Sequence[str]) -> Source | Left | None:
    """Of an entry that is no folder to look into; None where nobody needs to hear of it."""
    if stat.S_ISLNK(entry.mode):
        return Left(path, "link")
    if stat.S_ISDIR(entry.mode):
        why: Why = "ignored" if matches(path, ignored) else "folder"
        return None if untold(path.rpartition("/")[2]) else Left(path, why)
    if matches(path, ignored):
        return Left(path, "ignored")
    if not stat.S_ISREG(entry.mode):
        return Left(path, "device")  # Another repository's commit.
    content = objects.get_raw(entry.sha)[1]
    left = left_for(path, len(content), lambda: content)
    return Left(path, left) if left else Source(path, len(content), lambda: content)


def _ignored(objects: "BaseObjectStore", root: ObjectID) -> str:
    """The text of the tree's .gitignore; empty where there is none."""
    tree = objects[root]
    if isinstance(tree, Tree) and b".gitignore" in tree:
        mode, name = tree[b".gitignore"]
        blob = objects[name] if stat.S_ISREG(mode) else None
        if isinstance(blob, Blob) and len(blob.data) <= FILE_BYTES_MAX:
            return blob.data.decode("utf-8", "replace")
    return ""


if __name__ == "__main__":
    serve(fetch)
