"""Dead letters over HTTP: who may see and treat them, and that every treatment has one effect and a name."""

from typing import Any

import httpx
import msgspec
import pytest

from contracts import subjects
from contracts.domains import Clearance, Domain
from contracts.subjects import ActorRef
from contracts.users import Role
from runtime.errors import UnavailableError
from tests.gateway_world import SETTINGS, World, run

SIGNAL = ActorRef(Domain.SOPHIA, "signal", "deal-1")
LETTERS = "/v1/dead-letters"


async def poisoned(world: World, root: httpx.AsyncClient, *contents: bytes) -> list[dict[str, Any]]:
    """The letters that these bodies, published from outside, become; newest first."""
    for content in contents or (b'{"type":"nobody.knows.v1"}',):
        await world.broker.publish_plain(subjects.publisher(SIGNAL), content)
    while len(found := (await root.get(LETTERS)).json()["letters"]) < max(1, len(contents)):
        await world.broker.inboxes[Domain.SOPHIA].change(0.01)
    return list(found)


def test_a_letter_is_listed_shown_and_dropped() -> None:
    async def body() -> None:
        async with World() as world, world.client("admin", name="root") as root:
            [listed] = await poisoned(world, root)
            shown = (await root.get(f"{LETTERS}/{listed['id']}")).json()
            assert shown == listed
            assert (shown["domain"], shown["lane"], shown["kind"], shown["actor"]) == (
                "sophia",
                "pub",
                "signal",
                "deal-1",
            )
            assert shown["body"] == {"type": "nobody.knows.v1"}
            assert "nobody.knows.v1" in shown["reason"]
            unreadable = await root.post(f"{LETTERS}/{listed['id']}/redrive")
            assert unreadable.status_code == 409
            assert "is no fact" in unreadable.json()["detail"]
            for outcome in ("dropped", "already"):
                dropped = await root.delete(f"{LETTERS}/{listed['id']}")
                assert (dropped.status_code, dropped.json()["outcome"]) == (200, outcome)
            assert (await root.get(LETTERS)).json() == {"letters": [], "next": None}
            proof = (await root.get(f"{LETTERS}/{listed['id']}")).json()
            assert (proof["ended"]["how"], proof["ended"]["by"], proof["body"]) == ("dropped", "root", None)
            assert proof["digest"] == listed["digest"]

    run(body)


def test_pages_follow_each_other() -> None:
    async def body() -> None:
        async with World() as world, world.client("admin") as root:
            letters = await poisoned(world, root, *(b'{"n":%d}' % number for number in range(5)))
            found: list[str] = []
            after: dict[str, str] = {}
            while True:
                page = (await root.get(LETTERS, params={"limit": "2", **after})).json()
                found += [one["id"] for one in page["letters"]]
                if page["next"] is None:
                    break
                after = {"after": page["next"]}
            assert found == [one["id"] for one in letters]
            assert (await root.get(LETTERS, params={"lane": "log"})).json()["letters"] == []
            assert len((await root.get(LETTERS, params={"kind": "signal", "domain": "sophia"})).json()["letters"]) == 5

    run(body)


def test_a_fact_for_another_domain_is_redriven_and_comes_back() -> None:
    async def body() -> None:
        async with World() as world, world.client("admin", name="root") as root:
            wrong = b'{"type":"security_alert.v1","title":"t","text":"x","origin":"o"}'
            [letter] = await poisoned(world, root, wrong)
            bulk = await root.post(f"{LETTERS}/redrive", json={"type": "security_alert.v1"})
            assert bulk.status_code == 200
            [outcome] = bulk.json()["letters"]
            assert (outcome["id"], bulk.json()["more"]) == (letter["id"], False)
            assert outcome["outcome"] in ("redriven", "returned")
            while (back := (await root.get(f"{LETTERS}/{letter['id']}")).json())["burials"] < 2:
                await world.broker.inboxes[Domain.SOPHIA].change(0.01)
            assert "is for artemis" in back["reason"]
            assert [one["by"] for one in back["history"]] == ["root"]

    run(body)


def test_a_reader_below_the_label_sees_that_it_is_there_and_no_more() -> None:
    async def body() -> None:
        async with World() as world, world.client("admin", name="root") as root:
            secret = b'{"type":"market_research.v1","title":"merger","confidentiality":"restricted"}'
            [letter] = await poisoned(world, root, secret)
            path = f"{LETTERS}/{letter['id']}"
            async with world.client("admin", clearance=Clearance.INTERNAL) as low:
                for shown in ((await low.get(path)).json(), (await low.get(LETTERS)).json()["letters"][0]):
                    assert (shown["withheld"], shown["label"]) == (True, "restricted")
                    assert (shown["reason"], shown["stack"], shown["headers"]) == ("", "", {})
                    assert (shown["body"], shown["text"]) == (None, None)
                assert (await low.get(LETTERS, params={"reason": "text"})).json()["letters"] == []
                assert (await low.post(f"{path}/redrive")).status_code == 403
                assert (await low.delete(path)).status_code == 403
                assert (await low.post(f"{LETTERS}/redrive", json={})).json()["letters"] == []
            assert (await root.get(path)).json()["ended"] is None

    run(body)


def test_letters_above_the_clearance_are_counted_and_left() -> None:
    async def body() -> None:
        async with World() as world, world.client("admin", name="root") as root:
            secret = b'{"type":"nobody.knows.v1","confidentiality":"restricted"}'
            plain = b'{"type":"nobody.knows.v1"}'
            await poisoned(world, root, secret, plain, plain + b" ", secret + b" ", secret + b"  ")
            async with world.client("admin", clearance=Clearance.INTERNAL) as low:
                for wanted, letters, withheld, more in (
                    ({}, 2, 3, False),
                    ({"domain": "artemis"}, 0, 0, False),
                    ({"limit": 1}, 1, 2, True),
                    ({"reason": "nobody.knows"}, 2, 0, False),  # A guess must tell him nothing.
                ):
                    answer = (await low.post(f"{LETTERS}/redrive", json=wanted)).json()
                    assert {one["outcome"] for one in answer["letters"]} <= {"unreadable"}
                    assert (len(answer["letters"]), answer["withheld"], answer["more"]) == (letters, withheld, more)
            async with world.client("admin", clearance=Clearance.RESTRICTED) as high:
                assert (await high.post(f"{LETTERS}/redrive", json={})).json()["withheld"] == 0

    run(body)


def test_what_matches_is_dropped_under_the_askers_clearance() -> None:
    async def body() -> None:
        async with World() as world, world.client("admin", name="root") as root:
            secret = b'{"type":"nobody.knows.v1","confidentiality":"restricted"}'
            letters = await poisoned(world, root, b"{}", *(b'{"type":"a.v%d"}' % n for n in range(3)), secret)
            ids = [one["id"] for one in letters[1:]]  # newest first, without the secret
            async with world.client("admin", clearance=Clearance.INTERNAL, name="low") as low:
                for wanted, expected, withheld, more in (
                    ({"domain": "artemis"}, [], 0, False),
                    ({"reason": "a.v1"}, ids[1:2], 0, False),
                    ({"limit": 1}, ids[:1], 1, True),
                    ({}, ids[:1:-1], 1, False),
                    ({}, [], 1, False),
                ):
                    answer = await low.post(f"{LETTERS}/drop", json=wanted)
                    assert answer.status_code == 200, answer.text
                    assert answer.json() == {
                        "letters": [{"id": one, "outcome": "dropped", "detail": ""} for one in expected],
                        "more": more,
                        "withheld": withheld,
                    }
            assert [one["id"] for one in (await root.get(LETTERS)).json()["letters"]] == [letters[0]["id"]]
            proof = (await root.get(f"{LETTERS}/{ids[0]}")).json()
            assert (proof["ended"]["how"], proof["ended"]["by"], proof["body"]) == ("dropped", "low", None)

    run(body)


@pytest.mark.parametrize("verb", ["redrive", "drop"])
def test_a_broker_that_goes_away_ends_it_early(verb: str) -> None:
    async def body() -> None:
        async with World() as world, world.client("admin") as root:
            letters = await poisoned(world, root, *(b'{"type":"a.v%d"}' % n for n in range(3)))
            kept = world.broker.letters.get
            asked: list[str] = []

            async def get(id: str) -> Any:  # noqa: A002 - the field's name
                asked.append(id)
                if len(asked) > 1:
                    raise UnavailableError("broker", "gone")
                return await kept(id)

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(world.broker.letters, "get", get)
                answer = (await root.post(f"{LETTERS}/{verb}", json={})).json()
            assert [one["id"] for one in answer["letters"]] == [one["id"] for one in letters[:0:-1]]
            assert answer["letters"][1]["outcome"] == "unavailable"
            assert answer["letters"][1]["detail"] == "broker is unavailable; try again"
            assert answer["more"]

    run(body)


@pytest.mark.parametrize("verb", ["redrive", "drop"])
@pytest.mark.parametrize(
    "wanted",
    [
        {"limit": 0},
        {"limit": 1_001},
        {"domain": "mars"},
        {"ids": []},
        {"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"},
    ],
)
def test_a_filter_that_cannot_be_touches_nothing(verb: str, wanted: dict[str, Any]) -> None:
    async def body() -> None:
        async with World() as world, world.client("admin") as root:
            [letter] = await poisoned(world, root)
            refused = await root.post(f"{LETTERS}/{verb}", json=wanted)
            assert refused.status_code == 422
            assert (await root.get(f"{LETTERS}/{letter['id']}")).json() == letter

    run(body)


@pytest.mark.parametrize("role", ["sophia_user", "artemis_user", "cross_domain_user", "read_only"])
def test_only_administrators_may(role: Role) -> None:
    async def body() -> None:
        async with World() as world, world.client(role) as other:
            for refused in (
                await other.get(LETTERS),
                await other.get(f"{LETTERS}/x"),
                await other.post(f"{LETTERS}/x/redrive"),
                await other.post(f"{LETTERS}/redrive", json={}),
                await other.post(f"{LETTERS}/drop", json={}),
                await other.delete(f"{LETTERS}/x"),
            ):
                assert refused.status_code == 403
                assert refused.json()["permission"].startswith("dead_letters:")

    run(body)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nobody", 404),
        ("POST", "/nobody/redrive", 404),
        ("DELETE", "/nobody", 404),
        ("GET", "?after=later", 422),
        ("GET", "?domain=mars", 422),
        ("GET", "?since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z", 422),
        ("GET", "?since=2026-01-02T00:00:00", 422),
        ("GET", "?limit=0", 422),
    ],
)
def test_wrong_requests_are_problems(method: str, path: str, status: int) -> None:
    async def body() -> None:
        async with World() as world, world.client("admin") as root:
            answer = await root.request(method, LETTERS + path)
            assert answer.status_code == status
            assert answer.headers["Content-Type"].startswith("application/problem+json")

    run(body)


NOTHING: tuple[tuple[bytes, str | None], ...] = (
    (b"", None),
    (b"", "application/x-www-form-urlencoded"),
    (b"{}", "application/json"),
)


@pytest.mark.parametrize(
    ("content", "media", "status"),
    [
        *((content, media, 200) for content, media in NOTHING),
        (b'{"a":1}', "application/json", 422),
        (b'{"a":1}', None, 422),
        (b"[]", "application/json", 422),
        (b"x", "application/json", 400),
        (b"a=1", "application/x-www-form-urlencoded", 415),
    ],
)
def test_a_path_that_takes_no_body_refuses_one(content: bytes, media: str | None, status: int) -> None:
    async def body() -> None:
        async with World() as world, world.client("admin", name="root") as root:
            [letter] = await poisoned(world, root, b'{"type":"security_alert.v1","title":"t","text":"x","origin":"o"}')
            headers = {"Content-Type": media} if media else {}
            path = f"{LETTERS}/{letter['id']}"
            redriven = await root.post(f"{path}/redrive", content=content or None, headers=headers)
            assert redriven.status_code == status, redriven.text
            refused = status != 200
            if refused:
                assert (await root.get(path)).json()["history"] == []
            dropped = await root.request("DELETE", path, content=content or None, headers=headers)
            assert (dropped.status_code in (400, 415, 422)) == refused
            if refused:
                assert (await root.get(path)).json()["ended"] is None

    run(body)


def test_a_refused_body_is_held_no_longer() -> None:
    async def body() -> None:
        settings = msgspec.structs.replace(SETTINGS, bodies_bytes_max=300)
        async with World(settings) as world, world.client("admin") as root:
            for _ in range(10):
                refused = await root.request("DELETE", f"{LETTERS}/nobody", json={"a": "x" * 100})
                assert refused.status_code == 422
                assert refused.json()["errors"][0]["detail"] == "Object contains unknown field `a`"

    run(body)
