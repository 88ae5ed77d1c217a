"""Approval on the running stack: two people, one through a delegate, over HTTP and the command line; a worker dies meanwhile."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from contracts.domains import Clearance
from contracts.users import Role
from tests.acceptance.test_domain_away import WAIT_S, events, pid
from tests.stack import ROOT, Stack, ok

QUESTION = "What do the renewals of Northwind tell us?"
TOOL = "business_insight"

Following = Iterator[tuple[str, Any]]


def test_a_tool_runs_only_as_two_people_saw_it_and_the_events_prove_who_agreed(stack: Stack) -> None:
    with (
        stack.client("ann", "cross_domain_user") as ann,
        stack.client("eve", "read_only") as eve,
        stack.client("root") as root,
        asked(ann, {"quorum": 2, "roles": ["approver"]}) as following,
    ):
        id_ = waiting(following)
        view = ok(root.get(f"/v1/approvals/{id_}"))
        assert (view["action"]["name"], view["action"]["principal"]) == (f"tool {TOOL}", "ann")
        assert view["action"]["arguments"]["question"] == QUESTION
        os.kill(pid(stack, "sophia"), signal.SIGKILL)

        assert "1 of 2 agreed" in command(stack, "bob", "approver", "grant", id_, "--yes")
        line = f"{id_}  waiting  1 of 2  tool {TOOL}  for ann"
        while line not in (listed := command(stack, "cleo", "approver", "list")):
            pass  # The read model comes after the log.
        assert "agree to it: diarchy approvals grant ID" in listed
        command(stack, "cleo", "approver", "delegate", id_, "eve")
        grant, agreed = f"/v1/approvals/{id_}/grant", {"digest": view["digest"]}
        assert "you asked for it yourself" in ok(ann.post(grant, json=agreed), 403)["detail"]
        other = ok(eve.post(grant, json={"digest": "0" * 64}), 409)
        assert other["type"] == "urn:diarchy:problem:digest-mismatch"
        assert ok(eve.post(grant, json=agreed))["by"] == ["bob", "eve"]

        turn = answered(following)
        assert f"tool {TOOL}" in effects(ann, turn)
        proof = ok(root.get("/v1/events", params={"kind": "approval", "id": id_}))["events"]
        granted = [one for one in proof if one["type"] == "approval.granted.v1"]
        assert [(one["principal"], one["body"]["digest"], one["body"]["authority"]) for one in granted] == [
            ("bob", view["digest"], {"how": "role", "what": "approver", "delegated_by": None}),
            ("eve", view["digest"], {"how": "role", "what": "approver", "delegated_by": "cleo"}),
        ]
        [used] = [one["body"] for one in proof if one["type"] == "approval.used.v1"]
        assert (used["digest"], used["causation"]) == (view["digest"], view["action"]["causation"])


def test_what_is_denied_or_expires_does_not_run_and_the_run_goes_on(stack: Stack) -> None:
    with stack.client("ann", "cross_domain_user") as ann:
        with asked(ann, {}) as following:
            id_ = waiting(following)
            command(stack, "bob", "approver", "deny", id_, "--reason", "not now")
            turn = answered(following)
        assert f"tool {TOOL}" not in effects(ann, turn)
        assert status(ann, id_) == ("denied", "not now")
        with asked(ann, {"expires_s": 1}) as following:
            id_ = waiting(following)
            turn = answered(following)
        assert f"tool {TOOL}" not in effects(ann, turn)
        assert status(ann, id_) == ("expired", "")


@contextmanager
def asked(client: httpx.Client, rule: dict[str, Any]) -> Iterator[Following]:
    """The question, followed; of its tools the last one waits for people."""
    body = {"question": QUESTION, "team": TOOL, "collaborate": False, "approval": {"tools": [TOOL], **rule}}
    headers = {"Accept": "text/event-stream"}
    with client.stream("POST", "/v1/sophia/ask", json=body, headers=headers, timeout=WAIT_S) as response:
        yield events(response)


def waiting(following: Following) -> str:
    """The approval that the question waits for, as its stream tells."""
    told = (body for name, body in following if name == "progress")
    return str(next(body["actor"] for body in told if body["type"] == "approval.requested.v1"))


def answered(following: Following) -> dict[str, Any]:
    return next(dict(body) for name, body in following if name == "answer")


def effects(client: httpx.Client, turn: dict[str, Any]) -> set[str | None]:
    """The names of the effects of the turn's run."""
    return {event["effect"] for event in ok(client.get(f"/v1/runs/{turn['correlation_id']}"))["events"]}


def status(client: httpx.Client, id_: str) -> tuple[str, str]:
    view = ok(client.get(f"/v1/approvals/{id_}"))
    return view["status"], view["reason"]


def command(stack: Stack, name: str, role: Role, *words: str) -> str:
    """What `diarchy approvals` prints, as that person."""
    token = stack.token(name, role, clearance=Clearance.TOP_SECRET)
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "deploy", "approvals", *words, "--url", stack.url, "--token", token],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr
