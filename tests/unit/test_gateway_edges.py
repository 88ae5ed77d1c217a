"""What is refused, and how: a problem document that names the cause, and nothing recorded."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import msgspec
import pytest

from contracts.domains import Clearance
from contracts.envelope import Record
from contracts.http import Problem
from contracts.openai import OpenAiError
from contracts.retrieval import Hit, Query
from contracts.users import Permission
from deploy.client import GatewayError
from gateway.identity import PERMISSIONS, ROLE_PERMISSIONS, Principal, Tokens
from gateway.problems import REFUSALS, refused
from gateway.routes import ROUTES
from gateway.rows import Route
from runtime.errors import UnavailableError
from tests.gateway_world import SETTINGS, TOKENS, Blind, World, now, run, token_key

ANN = Principal(username="ann", roles=("cross_domain_user",), clearance=Clearance.CONFIDENTIAL)
ITEM = {"title": "t", "content": "c", "category": "strategic_planning", "confidentiality": "internal"}

BAD: list[tuple[str, str, dict[str, Any], int, str]] = [
    ("POST", "/v1/sophia/ask", {"content": b"{"}, 400, "$"),
    ("POST", "/v1/sophia/ask", {"content": b"\xff\xfe"}, 400, "$"),
    ("POST", "/v1/sophia/ask", {"content": b""}, 400, "$"),
    ("POST", "/v1/sophia/ask", {"content": b"[" * 200_000}, 422, "$"),
    ("POST", "/v1/sophia/ask", {"json": []}, 422, "$"),
    ("POST", "/v1/sophia/ask", {"json": {}}, 422, "$.question"),
    ("POST", "/v1/sophia/ask", {"json": {"question": ""}}, 422, "$.question"),
    ("POST", "/v1/sophia/ask", {"json": {"question": 5}}, 422, "$.question"),
    ("POST", "/v1/sophia/ask", {"json": {"question": "q", "extra": 1}}, 422, "$.extra"),
    ("POST", "/v1/sophia/ask", {"json": {"question": "q", "priority": 6}}, 422, "$.priority"),
    ("POST", "/v1/sophia/ask", {"json": {"question": "q", "team": "none"}}, 422, "$.team"),
    ("POST", "/v1/sophia/ask", {"json": {"question": "q", "repository": "/srv/x"}}, 422, "$.repository"),
    ("POST", "/v1/artemis/ask", {"json": {"question": "q", "repository": "file:///x"}}, 422, "$.repository"),
    (
        "POST",
        "/v1/artemis/ask",
        {"json": {"question": "q", "repository": "/srv/x", "team": "system_monitoring"}},
        422,
        "$.team",
    ),
    ("POST", "/v1/sophia/ask", {"json": {"question": "q", "deadline": "2001-01-01T00:00:00Z"}}, 422, "$.deadline"),
    ("POST", "/v1/sophia/ask", {"json": {"question": "q", "deadline": "2101-01-01T00:00:00"}}, 422, "$.deadline"),
    ("POST", "/v1/sophia/ask", {"content": b'{"question":"a\\u0000b"}'}, 422, "$.question"),
    (
        "POST",
        "/v1/sophia/ask",
        {"json": {"question": "q"}, "headers": {"Idempotency-Key": "a b"}},
        400,
        "Idempotency-Key",
    ),
    ("POST", "/v1/knowledge", {"json": {**ITEM, "expires": "2099-01-01T00:00:00"}}, 422, "$.expires"),
    ("POST", "/v1/knowledge", {"json": {**ITEM, "expires": "9999-12-31T23:59:59-14:00"}}, 422, "$.expires"),
    ("POST", "/v1/knowledge", {"json": {**ITEM, "tags": ["a", ""]}}, 422, "$.tags[1]"),
    ("POST", "/v1/events/sophia/signal/x", {"json": {"type": "user.create.v1"}}, 422, "$.type"),
    ("GET", "/v1/events?limit=0", {}, 422, "limit"),
    ("GET", "/v1/events?limit=many", {}, 422, "limit"),
    ("GET", "/v1/events?colour=red", {}, 422, "colour"),
    ("GET", "/v1/events?limit=1&limit=2", {}, 422, "limit"),
    ("GET", "/v1/events?type=%00", {}, 422, "type"),
    ("GET", "/v1/events?since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z", {}, 422, "until"),
    ("GET", "/v1/me?x=1", {}, 422, "x"),
]
PLAIN: list[tuple[str, str, dict[str, Any], int]] = [
    ("GET", "/nowhere", {}, 404),
    ("GET", "/v1/sessions/%00", {}, 404),
    ("GET", "/v1/sessions/other-1", {}, 404),
    ("GET", "/v1/sessions/sophia-1", {}, 404),
    ("POST", "/v1/sessions/sophia-1/messages", {"json": {"question": "q"}}, 404),
    ("GET", "/v1/knowledge/a.b", {}, 404),
    ("GET", "/v1/runs/x", {}, 404),
    ("GET", "/v1/traces/00000000-0000-0000-0000-000000000000", {}, 404),
    ("DELETE", "/v1/me", {}, 405),
    ("PATCH", "/v1/sessions", {}, 405),
    ("POST", "/v1/sophia/ask", {"content": b"question=q", "headers": {"Content-Type": "text/plain"}}, 415),
    ("POST", "/v1/sophia/ask", {"json": {"question": "q"}, "headers": {"Accept": "image/png"}}, 406),
    ("POST", "/v1/sophia/ask", {"content": b" " * 300_001}, 413),
    ("POST", "/v1/sophia/ask", {"json": {"question": "q", "confidentiality": "restricted"}}, 403),
    ("GET", "/metrics", {}, 403),
    ("GET", "/health/detailed", {}, 403),
]


def test_every_bad_input_names_its_field_and_records_nothing() -> None:
    async def body() -> None:
        async with World() as world, world.client("cross_domain_user") as ann:
            for method, path, sent, status, field in BAD:
                headers = {"Content-Type": "application/json", **sent.get("headers", {})}
                answer = await ann.request(method, path, **{**sent, "headers": headers})
                problem = checked(answer, status)
                assert [error.field for error in problem.errors] == [field], (path, sent, answer.text)
            assert world.recorded() == 0

    run(body)


def test_every_other_refusal_is_a_problem_and_records_nothing() -> None:
    async def body() -> None:
        async with World() as world, world.client("cross_domain_user") as ann:
            for method, path, sent, status in PLAIN:
                headers = {"Content-Type": "application/json", **sent.get("headers", {})}
                answer = await ann.request(method, path, **{**sent, "headers": headers})
                checked(answer, status)
                if status == 405:
                    assert answer.headers["Allow"]
            assert world.recorded() == 0

    run(body)


def test_a_body_without_a_length_is_cut_at_the_limit() -> None:
    async def endless() -> Any:
        for _ in range(10_000):
            yield b" " * 1_000

    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann:
            headers = {"Content-Type": "application/json"}
            checked(await ann.post("/v1/sophia/ask", content=endless(), headers=headers), 413)

    run(body)


def test_every_row_but_the_public_ones_needs_a_token_that_is_ours_and_alive() -> None:
    stale = TOKENS.issue(ANN, now() - timedelta(hours=2))
    foreign = Tokens(token_key()).issue(ANN, now())
    elsewhere = TOKENS.issue(ANN, now())[:-4] + "AAAA"

    async def body() -> None:
        async with World() as world, world.client() as nobody:
            for row in ROUTES:
                path = (
                    row.path.replace("{correlation}", "00000000-0000-0000-0000-000000000000")
                    .replace("{", "")
                    .replace("}", "")
                )
                answer = await nobody.request(row.method, path)
                if row.public:
                    assert answer.status_code != 401
                    continue
                told(answer, row, 401)
                assert answer.headers["WWW-Authenticate"].startswith("Bearer")
            for token in (stale, foreign, elsewhere, "x", "e30.e30.", "a" * 10_000):
                answer = await nobody.get("/v1/me", headers={"Authorization": f"Bearer {token}"})
                checked(answer, 401)
            checked(await nobody.get("/v1/me", headers={"Authorization": "Basic YTpi"}), 401)
            assert world.recorded() == 0

    run(body)


@pytest.mark.parametrize("role", list(ROLE_PERMISSIONS))
def test_every_role_reaches_exactly_the_rows_its_permissions_open(role: Any) -> None:
    async def body() -> None:
        async with World() as world, world.client(role) as ann:
            held: frozenset[Permission] = ROLE_PERMISSIONS[role]
            for row in ROUTES:
                path = (
                    row.path.replace("{correlation}", "00000000-0000-0000-0000-000000000000")
                    .replace("{", "")
                    .replace("}", "")
                )
                answer = await ann.request(row.method, path)
                opened = not row.permissions or not held.isdisjoint(row.permissions)
                assert (answer.status_code != 403) is opened or row.public, (row.path, answer.text)
                if not opened:
                    assert row.permissions[0] in told(answer, row, 403)
            me = (await ann.get("/v1/me")).json()
            assert me["permissions"] == [permission for permission in PERMISSIONS if permission in held]

    run(body)


def test_signing_in_gives_a_token_and_tells_nothing_else() -> None:
    async def body() -> None:
        async with World() as world, world.client() as nobody:
            await world.add_user("zoe", "right", "read_only", clearance=Clearance.INTERNAL)
            good = await nobody.post("/v1/auth/token", json={"username": "zoe", "password": "right"})
            assert good.status_code == 200, good.text
            token = good.json()["access_token"]
            me = await nobody.get("/v1/me", headers={"Authorization": f"Bearer {token}"})
            assert (me.json()["username"], me.json()["clearance"]) == ("zoe", "internal")
            details = set()
            for username, password in (("zoe", "wrong"), ("nobody", "right"), ("a b*", "right"), ("-", "right")):
                refusal = await nobody.post("/v1/auth/token", json={"username": username, "password": password})
                details.add(checked(refusal, 401).detail)
            assert len(details) == 1

    run(body)


def test_too_many_sign_ins_at_once_are_sent_away() -> None:
    async def body() -> None:
        async with World() as world, world.client() as nobody:
            body = {"username": "zoe", "password": "x"}
            answers = await asyncio.gather(*(nobody.post("/v1/auth/token", json=body) for _ in range(200)))
            assert {answer.status_code for answer in answers} == {401, 503}
            assert world.recorded() == 0

    run(body)


def test_what_is_down_answers_503_with_retry_after_and_nothing_of_our_insides() -> None:
    async def body() -> None:
        async with World() as world, world.client("admin") as root:
            world.reads.down = True
            for path in ("/v1/sessions", "/v1/events", "/v1/knowledge/x"):
                answer = await root.get(path)
                assert "connection refused" not in checked(answer, 503).detail
                assert int(answer.headers["Retry-After"]) > 0

            async def broken(*_: object, **__: object) -> None:
                raise RuntimeError("secret inside")

            world.reads.run = broken  # type: ignore[assignment]
            answer = await root.get("/v1/runs/00000000-0000-0000-0000-000000000000")
            assert "secret" not in checked(answer, 500).detail

    run(body)


@pytest.mark.parametrize("told", ["", "it is being built anew (embedding, 42 % of this step is done)"])
def test_of_why_it_is_down_only_what_is_meant_for_those_outside_is_said(told: str) -> None:
    async def body() -> None:
        async with World() as world, world.client("cross_domain_user") as ann:

            async def unserved(query: Query) -> list[Hit]:  # noqa: ARG001 - the port's
                raise UnavailableError("vector index", "no folder /srv/vectors", 17, told=told)

            world.words.search = unserved  # type: ignore[method-assign]
            answer = await ann.post("/v1/knowledge/search", json={"query": "q"})
            detail = checked(answer, 503).detail
            assert detail == f"vector index is unavailable{told and ': '}{told}; try again"
            assert answer.headers["Retry-After"] == "17"
            assert str(GatewayError(checked(answer, 503))) == f"{detail} [503]"  # So the command line says it.

    run(body)


def test_a_broker_that_does_not_confirm_is_never_answered_with_success() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann:

            async def unconfirmed(subject: str, record: Record, **_: object) -> None:  # noqa: ARG001 - the port's
                raise UnavailableError("broker", "no acknowledgement")

            world.queue.publish = unconfirmed  # type: ignore[method-assign]
            checked(await ann.post("/v1/sophia/ask", json={"question": "q"}), 503)

    run(body)


def test_what_was_accepted_is_pending_when_the_log_cannot_be_read() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann:

            async def blind(*_: object, **__: object) -> Blind:
                return Blind()

            world.log.watch = blind  # type: ignore[method-assign, assignment]
            assert (await ann.post("/v1/sophia/ask", json={"question": "slow"})).status_code == 202

    run(body)


def test_a_full_gateway_sends_requests_away() -> None:
    async def body() -> None:
        one_at_a_time = msgspec.structs.replace(SETTINGS, requests_in_flight_max=1)
        async with World(one_at_a_time) as world, world.client("sophia_user") as ann:
            first = asyncio.create_task(ann.post("/v1/sophia/ask", json={"question": "slow"}))
            while not world.agents.asked:
                await world.broker.logs[next(iter(world.broker.logs))].change(0.01)
            checked(await ann.get("/v1/me"), 503)
            world.agents.release.set()
            assert (await first).status_code == 200

    run(body)


def test_stopping_turns_every_wait_into_202() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann:
            waiting = asyncio.create_task(ann.post("/v1/sophia/ask", json={"question": "slow"}))
            while not world.agents.asked:
                await world.broker.logs[next(iter(world.broker.logs))].change(0.01)
            world.gateway.streams.stop()
            assert (await waiting).status_code == 202

    run(body)


def test_health_asks_every_dependency_at_once() -> None:
    async def well() -> str:
        return "fine"

    async def ill() -> str:
        raise OSError("refused")

    async def body() -> None:
        async with World() as world, world.client("admin") as root:
            world.checks.update({"nats": well, "postgres": ill})
            found = (await root.get("/health/detailed")).json()
            assert (found["status"], found["score"]) == ("degraded", 50)
            assert [(check["name"], check["ok"]) for check in found["checks"]] == [("nats", True), ("postgres", False)]
            assert (await root.get("/metrics")).text == "diarchy_up 1\n"
            assert (await root.get("/health", headers={"Authorization": ""})).json() == {"status": "ok"}

    run(body)


def test_open_metrics_need_no_token() -> None:
    async def body() -> None:
        async with World(msgspec.structs.replace(SETTINGS, metrics_open=True)) as world, world.client() as nobody:
            assert (await nobody.get("/metrics")).status_code == 200

    run(body)


def test_every_refusal_of_an_actor_has_its_status() -> None:
    assert {code: refused(code, "why").status for code in REFUSALS} == REFUSALS
    assert refused("new kind", "why").status == 409


def told(answer: httpx.Response, row: Route, status: int) -> str:
    """What the answer says of the error, in the form that the row has."""
    if row.errors == "problem":
        return checked(answer, status).detail
    assert answer.status_code == status, f"{answer.status_code} {answer.text}"
    assert answer.headers["content-type"] == "application/json"
    return msgspec.json.decode(answer.content, type=OpenAiError).error.message


def checked(answer: httpx.Response, status: int) -> Problem:
    assert answer.status_code == status, f"{answer.status_code} {answer.text}"
    assert answer.headers["content-type"] == "application/problem+json"
    problem = msgspec.json.decode(answer.content, type=Problem)
    assert problem.status == status
    assert problem.detail
    assert problem.correlation_id == answer.headers["Diarchy-Correlation-Id"]
    return problem
