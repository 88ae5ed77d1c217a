"""Hosts of git repositories that mean harm, and addresses that may not be asked: each has a clear outcome, within its limits."""

import asyncio
import itertools
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from dulwich.objects import Blob, Commit, ObjectID, ShaFile, Tree
from dulwich.protocol import pkt_line
from dulwich.refs import Ref
from dulwich.repo import MemoryRepo, Repo

from actors.artemis.tools.source_tree import read_archive
from contracts.conversation import RepositoryPlace
from contracts.domains import Clearance
from deploy.git_hosts import AllowedHosts
from deploy.packing import Packer, environment
from runtime.errors import OutcomeError
from runtime.named_repositories import Naming
from tests.git_server import PACK, REFS, GitServer, hostile, number, pack_of, packed, refs, says

NOBODY = b"f" * 40
MAIN = NOBODY + b" refs/heads/main"
HEAD = NOBODY + b" HEAD"
COMMIT, TREE, BLOB, OFS_DELTA, REF_DELTA = 1, 2, 3, 6, 7
LARGE = 90_000_000


def allowed(*hosts: str, **more: Any) -> AllowedHosts:
    packer = Packer(read_s_max=more.pop("read_s_max", 60.0), bytes_max=10**7)
    given = {"label": Clearance.INTERNAL, "label_max": Clearance.INTERNAL} | more
    return AllowedHosts(hosts, packer, **given)


def refused(hosts: AllowedHosts, place: str, **more: Clearance) -> OutcomeError:
    """Why it is not read."""
    given = {"clearance": Clearance.RESTRICTED, "label": Clearance.INTERNAL} | more
    with pytest.raises(OutcomeError) as caught:
        asyncio.run(hosts.read(Naming(place=place, **given)))
    return caught.value


@pytest.fixture
def server() -> Iterator[GitServer]:
    with GitServer({}) as server:
        yield server


@pytest.fixture
def inside() -> Iterator[GitServer]:
    """A server that nobody may be led to."""
    with GitServer({}) as server:
        yield server


def repository(*objects: ShaFile, tree: ObjectID) -> MemoryRepo:
    commit = Commit()
    commit.tree, commit.message = tree, b"m"
    commit.author = commit.committer = b"a <a@b>"
    commit.author_time = commit.commit_time = 1_700_000_000
    commit.author_timezone = commit.commit_timezone = 0
    return MemoryRepo.init_bare([*objects, commit], {Ref(b"refs/heads/main"): commit.id, Ref(b"HEAD"): commit.id})


FORMS = [
    "ssh://git.example/x",
    "git://git.example/x",
    "file:///srv/x",
    "ext::sh -c id",
    "git@git.example:x/y",
    "https://ann:secret@git.example/x",
    "https://ann@git.example/x",
    "https://git.example/x?token=secret",
    "https://git.example",
    "https://git.example/x#a b",
    "https://git.example/x#a..b?",
    "https://git.example\\@evil.example/x",
    "HTTPS://git.example/x",
    "//git.example\n/x\0",
    "-uhttps://git.example/x",
    "https://git.example/x\nhttps://y",
]


@pytest.mark.parametrize("form", FORMS)
def test_a_form_that_may_hold_a_key_or_run_a_program_is_refused_before_it_is_recorded(form: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert(form, RepositoryPlace)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("form", [form for form in FORMS if "@git.example" in form or "?" in form])
def test_nor_does_the_worker_take_it_or_show_it(form: str) -> None:
    assert "secret" not in str(refused(allowed("git.example"), form))


@pytest.mark.parametrize(
    "place",
    [
        "/srv/code/till",
        "https://git.example/team/till.git",
        "http://git.example:8080/~ann/till#release/1.0",
        "https://[::1]:8/x",
    ],
)
def test_paths_and_addresses_are_taken(place: str) -> None:
    assert msgspec.convert(place, RepositoryPlace) == place


def test_what_the_operator_does_not_name_is_not_asked_and_all_is_refused_alike(server: GitServer) -> None:
    cases = [
        (allowed(), f"{server.url}/x", {}),
        (allowed("git.example"), f"{server.url}/x", {}),
        (allowed("127.0.0.1"), f"{server.url}/x", {}),  # HTTP, and a port of its own
        (allowed("127.0.0.1"), f"https://{server.place}/x", {}),
        (allowed("git.example"), "http://git.example/x", {}),
        (allowed("git.example"), "https://git.example:0/x", {}),
        (allowed("git.example"), "https://git.example.evil.test/x", {}),
        (allowed("git.example"), "https://evil.test/git.example", {}),
        (allowed(server.place), f"{server.url}/x", {"clearance": Clearance.PUBLIC}),
    ]
    said = {str(refused(hosts, place, **more)).removeprefix(place) for hosts, place, more in cases}
    assert said == {
        " is not read: its host is none of those that the operator lets questions name (repositories.hosts),"
        " or it is above your clearance"
    }
    assert server.asked == []


def test_a_question_above_what_hosts_are_told_is_not_asked_of_them(server: GitServer) -> None:
    error = refused(allowed(server.place), f"{server.url}/x", label=Clearance.CONFIDENTIAL)
    assert "repositories.label_max" in str(error)
    assert "the question is confidential" in str(error)
    assert server.asked == []


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.0.0.8", "169.254.169.254", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"]
)
def test_a_host_without_a_port_may_not_be_at_a_private_address(address: str) -> None:
    async def resolver(_host: str, _port: int) -> list[str]:
        return ["93.184.215.14", address]

    error = refused(allowed("git.example", resolver=resolver), "https://git.example/x")
    assert "not public" in str(error)
    assert error.code == "input"


def test_a_host_whose_name_is_not_known_now_is_nobodys_mistake() -> None:
    async def resolver(_host: str, _port: int) -> list[str]:
        raise OSError("no such name")

    error = refused(allowed("git.example", resolver=resolver), "https://git.example/x")
    assert "not known now" in str(error)
    assert error.code is None


def test_a_host_that_is_away_is_nobodys_mistake(server: GitServer) -> None:
    place = server.place
    with GitServer({}) as gone:
        place = gone.place
    error = refused(allowed(place), f"http://{place}/x")
    assert "its host does not answer" in str(error)
    assert error.code is None


@pytest.mark.parametrize("status", ["301 Moved", "307 Temporary Redirect"])
def test_no_redirect_is_followed(server: GitServer, inside: GitServer, status: str) -> None:
    for path, service in (("/a/x", "info/refs"), ("/b/x", "git-upload-pack")):
        url = hostile(server, path, b"", HEAD, MAIN)
        server.answers[f"{path}/{service}"] = says(status, "text/html", Location=f"{inside.url}{path}/{service}")
        assert "redirects elsewhere" in str(refused(allowed(server.place, inside.place), url))
    assert inside.asked == []


def test_a_pack_that_is_said_to_lie_elsewhere_is_not_fetched(server: GitServer, inside: GitServer) -> None:
    told = [b"version 2\n", b"fetch=shallow packfile-uris\n", b"object-format=sha1\n", b"ls-refs\n"]
    advertised = pkt_line(b"# service=git-upload-pack\n") + b"0000" + b"".join(map(pkt_line, told)) + b"0000"
    elsewhere = f"https://{inside.place}/pack".encode()
    lists = pkt_line(HEAD + b"\n") + b"0000"
    sends = (
        pkt_line(b"packfile-uris\n")
        + pkt_line(elsewhere + b" sha1 " + NOBODY + b"\n")
        + pkt_line(b"packfile\n")
        + b"0000"
    )
    answers = iter([says("200 OK", PACK, lists), says("200 OK", PACK, sends)])

    def in_turn(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        return next(answers)(environ, start)

    server.answers["/x/info/refs"] = says("200 OK", REFS, advertised)
    server.answers["/x/git-upload-pack"] = in_turn
    assert "another address, which is not asked" in str(refused(allowed(server.place), f"{server.url}/x"))
    assert inside.asked == []


@pytest.mark.parametrize(
    ("status", "reason", "code"),
    [
        ("401 Unauthorized", "nobody's name or key is sent", "input"),
        ("403 Forbidden", "nobody's name or key is sent", "input"),
        ("404 Not Found", "it is not there", "input"),
        ("418 Teapot", "answers 418", "input"),
        ("429 Too Many Requests", "does not answer", None),
        ("503 Unavailable", "does not answer", None),
        ("200 OK", "does not answer as git does", "input"),
    ],
)
def test_what_is_no_answer_of_gits_is_told(server: GitServer, status: str, reason: str, code: str | None) -> None:
    server.answers["/x/info/refs"] = says(status, "text/plain", b"deadbeef refs/heads/main\n", WWW_Authenticate="Basic")
    error = refused(allowed(server.place), f"{server.url}/x")
    assert reason in str(error)
    assert error.code == code
    assert len(server.asked) == 1
    assert not {"authorization", "cookie"} & set(server.asked[0][2])


def blob(content: bytes) -> bytes:
    return packed(BLOB, len(content), content)


def zeros(amount: int) -> Iterator[bytes]:
    return itertools.repeat(bytes(1_000_000), amount // 1_000_000)


def bomb_of_deltas() -> bytes:
    """A blob of nothing but zeros, and 60 deltas of some 50 bytes that each make as large a one of it: all well-formed."""
    most, rest = 0xFFFFFF, (LARGE - 3) % 0xFFFFFF
    copied = (b"\xf0" + most.to_bytes(3, "little")) * (LARGE // most) + b"\xf0" + rest.to_bytes(3, "little")
    delta = number(LARGE) + number(LARGE) + copied
    base = bytes.fromhex(Blob.from_string(bytes(LARGE)).id.decode())
    deltas = [packed(REF_DELTA, len(delta) + 4, delta + b"\3%03d" % n, base) for n in range(60)]
    return pack_of(packed(BLOB, LARGE, zeros(LARGE)), *deltas)


HOSTILE: dict[str, tuple[Callable[[], Any], str]] = {
    "endless pack": (lambda: itertools.repeat(bytes(60_000)), "sends more than 256,000,000 bytes"),
    "nothing": (lambda: b"", "cannot be read as git's"),
    "no pack": (lambda: b"hello" * 100, "cannot be read as git's"),
    "torn": (lambda: pack_of(blob(b"x" * 1_000), blob(b"y"))[:-30], "cannot be read as git's"),
    "too many objects": (lambda: b"PACK\0\0\0\2\xff\xff\xff\xff" + bytes(40), "more than 500,000 objects"),
    "one large object": (lambda: pack_of(packed(BLOB, 200_000_000, zeros(200_000_000))), "more than 100,000,000 bytes"),
    "says it is large": (lambda: pack_of(packed(BLOB, 1 << 60, b"x")), "cannot be read as git's"),
    "says it is small": (lambda: pack_of(packed(BLOB, 10, zeros(50_000_000))), "cannot be read as git's"),
    "a bomb of deltas": (bomb_of_deltas, "unpacks to more than 4,000,000,000 bytes"),
    "a delta of what is not there": (
        lambda: pack_of(packed(REF_DELTA, 4, b"\1\1\1x", bytes(20))),
        "cannot be read as git's",
    ),
    "a delta of itself": (lambda: pack_of(packed(OFS_DELTA, 4, b"\1\1\1x", b"\0")), "cannot be read as git's"),
    "other objects than the refs say": (lambda: pack_of(blob(b"x")), "cannot be read as git's"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_pack_that_is_made_to_do_harm_is_refused(server: GitServer, name: str) -> None:
    pack, reason = HOSTILE[name]
    error = refused(allowed(server.place), hostile(server, "/x", pack(), HEAD, MAIN))
    assert reason in str(error)
    assert error.code == "input"


def test_refs_that_are_none_or_without_end_are_refused(server: GitServer) -> None:
    for listed in ((b"no ref at all",), (b"\0\0\0", b"x"), (b"z" * 40 + b" HEAD",)):
        error = refused(allowed(server.place), hostile(server, "/x", pack_of(blob(b"x")), *listed))
        assert error.code == "input"
    endless = itertools.chain(
        [refs(HEAD, MAIN)[:-4]], itertools.repeat(pkt_line(NOBODY + b" refs/heads/main\n") * 1_000)
    )
    server.answers["/x/info/refs"] = says("200 OK", REFS, endless)
    assert "sends more than 16,000,000 bytes" in str(refused(allowed(server.place), f"{server.url}/x"))


def test_a_compressed_answer_is_not_unpacked(server: GitServer) -> None:
    server.answers["/x/info/refs"] = says("200 OK", REFS, b"x", Content_Encoding="gzip")
    assert "compresses its answer" in str(refused(allowed(server.place), f"{server.url}/x"))


@pytest.mark.parametrize("begun", [b"", refs(HEAD)[:-4]])
def test_a_host_that_is_slow_is_ended(server: GitServer, begun: bytes) -> None:
    def slow() -> Iterator[bytes]:
        yield begun
        server.stopping.wait()

    server.answers["/x/info/refs"] = says("200 OK", REFS, slow())
    assert "took longer than 2 s (repositories.read_s_max)" in str(
        refused(allowed(server.place, read_s_max=2), f"{server.url}/x")
    )


def test_an_empty_repository_is_told(tmp_path: Path) -> None:
    with GitServer({"/x": Repo.init(str(tmp_path))}) as empty:
        assert "it is empty" in str(refused(allowed(empty.place), f"{empty.url}/x"))


def test_the_process_that_fetches_knows_nothing_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIARCHY_NATS_URL", "nats://ann:hunter2@broker:4222")
    monkeypatch.setenv("HTTPS_PROXY", "http://ann:hunter2@proxy:3128")
    given = environment(tmp_path)
    assert "hunter2" not in str(given)
    assert given["HOME"] == str(tmp_path)


def test_a_tree_that_unfolds_without_end_is_refused() -> None:
    leaf = Blob.from_string(b"x = 1\n")
    trees, inner = list[Tree](), leaf.id
    for deep in range(10):
        tree = Tree()
        for n in range(10):
            tree.add(b"f%d%s" % (n, b"" if deep else b".py"), stat.S_IFDIR if deep else stat.S_IFREG | 0o644, inner)
        trees, inner = [*trees, tree], tree.id
    with GitServer({"/x": repository(leaf, *trees, tree=inner)}) as bomb:
        error = refused(allowed(bomb.place), f"{bomb.url}/x")
    assert "200,000 entries" in str(error) or "50,000 files" in str(error)


def test_names_that_lead_outside_are_kept_for_the_archives_own_guard() -> None:
    leaf = Blob.from_string(b"x = 1\n")
    tree, above = Tree(), Tree()
    tree.add(b"evil.py", stat.S_IFREG | 0o644, leaf.id)
    tree.add(b"good.py", stat.S_IFREG | 0o644, leaf.id)
    above.add(b"..", stat.S_IFDIR, tree.id)
    above.add(b"app", stat.S_IFDIR, tree.id)
    above.add(b"link.py", stat.S_IFLNK, leaf.id)
    above.add(b"module", 0o160000, ObjectID(b"1" * 40))
    with GitServer({"/x": repository(leaf, tree, above, tree=above.id)}) as odd:
        naming = Naming(place=f"{odd.url}/x", clearance=Clearance.RESTRICTED, label=Clearance.INTERNAL)
        found = read_archive(asyncio.run(allowed(odd.place).read(naming)).content)
    assert [file.path for file in found.files if not file.path.startswith(".")] == ["app/evil.py", "app/good.py"]
    assert found.dangers == {"outside the tree": 2}
