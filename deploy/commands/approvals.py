"""`diarchy approvals`: what waits for people, exactly what would run, and what they say to it."""

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING

import click

from deploy.commands import options
from deploy.commands.events import MOMENT

if TYPE_CHECKING:
    from msgspec import Struct

    from contracts.approvals import ApprovalView
    from deploy.client import Gateway

COUNTED_MAX = 200
"""So many that wait are looked through for those that are not shown."""


@click.group(short_help="What waits for people's approval")
def approvals() -> None:
    """See what waits for people's approval, and say what you think of it.

    A grant is for exactly what is shown, by its digest: if anything else were to run, nothing does.
    """


@approvals.command("list")
@click.option(
    "--which",
    type=click.Choice(["decide", "asked", "all"]),
    default="decide",
    show_default=True,
    help="Waiting for you, of your own runs, or all that you may see.",
)
@click.option("--limit", type=click.IntRange(1, 200), default=50, show_default=True, metavar="N", help="The newest N.")
@options.target_options
@options.json_option
def list_(*, which: str, limit: int, target: options.Target, as_json: bool) -> None:
    """List approvals, newest first.

    \b
    Examples:
      diarchy approvals list
      diarchy approvals list --which asked
    """
    from contracts.approvals import Approvals
    from deploy.client import pretty_json
    from deploy.progress import err

    path = "/v1/approvals"

    async def fetch() -> tuple[Approvals, set[str]]:
        """With the ids of those that he sees waiting, for him or not."""
        async with target.gateway() as gateway:
            found = await gateway.get(path, Approvals, {"which": which, "limit": limit})
            if as_json or which != "decide":
                return found, set()
            every = await gateway.get(path, Approvals, {"which": "all", "status": "waiting", "limit": COUNTED_MAX})
            return found, {one.id for one in every.approvals}

    found, waiting = asyncio.run(fetch())
    if as_json:
        click.echo(pretty_json(found))
        return
    for one in found.approvals:
        votes = f"{len(one.by)} of {one.quorum}"
        click.echo(
            f"{one.id}  {one.status}  {votes}  {one.name}  for {one.principal}  until {one.expires:%Y-%m-%d %H:%M} UTC"
        )
    if not found.approvals:
        err("there are no such approvals")
    elif which == "decide":
        err("see exactly what would run: diarchy approvals show ID · agree to it: diarchy approvals grant ID")
    if others := len(waiting - {one.id for one in found.approvals}):
        more = " or more" if len(waiting) == COUNTED_MAX else ""
        err(f"{others}{more} that wait for others are not shown: diarchy approvals list --which all{target.words}")


@approvals.command("show")
@click.argument("id")
@options.target_options
@options.json_option
def show(id: str, *, target: options.Target, as_json: bool) -> None:  # noqa: A002 - the argument's name
    """Show one approval: what would run, under which policy, its digest, and who said what.

    \b
    Examples:
      diarchy approvals show 0199a3c4-6c1e-7b0a-9d55-0d0f6a1b2c3d
    """
    from deploy.client import pretty_json

    async def fetch() -> "ApprovalView":
        async with target.gateway() as gateway:
            return await _view(gateway, id)

    view = asyncio.run(fetch())
    click.echo(pretty_json(view) if as_json else shown(view))


@approvals.command("grant")
@click.argument("id")
@click.option("--yes", is_flag=True, help="Do not ask: agree to whatever it is now.")
@options.target_options
@options.json_option
def grant(id: str, *, yes: bool, target: options.Target, as_json: bool) -> None:  # noqa: A002 - the argument's name
    """Agree to exactly what is shown. It shows what would run and asks first.

    \b
    Examples:
      diarchy approvals grant 0199a3c4-6c1e-7b0a-9d55-0d0f6a1b2c3d
      diarchy approvals grant 0199a3c4-6c1e-7b0a-9d55-0d0f6a1b2c3d --yes
    """
    from contracts.approvals import GrantBody

    async def work() -> "ApprovalView":
        async with target.gateway() as gateway:
            view = await _view(gateway, id)
            if view.action.digest != view.digest:
                raise options.FailedError(f"the digest {view.digest} is not that of what is shown; nothing was granted")
            if not yes and not await asyncio.to_thread(_agreed, view):
                raise options.FailedError("nothing was granted")
            return await _say(gateway, id, "grant", GrantBody(digest=view.digest))

    _tell(asyncio.run(work()), as_json=as_json)


@approvals.command("deny")
@click.argument("id")
@click.option("--reason", required=True, metavar="TEXT", help="Told to whoever asked.")
@options.target_options
@options.json_option
def deny(id: str, *, reason: str, target: options.Target, as_json: bool) -> None:  # noqa: A002 - the argument's name
    """Deny it, which ends it: nothing runs.

    \b
    Examples:
      diarchy approvals deny 0199a3c4-6c1e-7b0a-9d55-0d0f6a1b2c3d --reason "the table holds names"
    """
    from contracts.approvals import DenyBody

    _tell(_said(target, id, "deny", DenyBody(reason=reason)), as_json=as_json)


@approvals.command("delegate")
@click.argument("id")
@click.argument("to")
@click.option("--until", type=MOMENT, metavar="TIME", help="Until then: 2026-01-31 (your time).  [default: its end]")
@options.target_options
@options.json_option
def delegate(
    id: str,  # noqa: A002 - the argument's name
    to: str,
    *,
    until: datetime | None,
    target: options.Target,
    as_json: bool,
) -> None:
    """Hand your vote on it to TO. You and he then count as one.

    \b
    Examples:
      diarchy approvals delegate 0199a3c4-6c1e-7b0a-9d55-0d0f6a1b2c3d eve
    """
    from contracts.approvals import DelegateBody

    moment = until.astimezone() if until else None
    _tell(_said(target, id, "delegate", DelegateBody(to=to, until=moment)), as_json=as_json)


@approvals.command("revoke")
@click.argument("id")
@options.target_options
@options.json_option
def revoke(id: str, *, target: options.Target, as_json: bool) -> None:  # noqa: A002 - the argument's name
    """Take back what you granted and delegated, while it has not run.

    \b
    Examples:
      diarchy approvals revoke 0199a3c4-6c1e-7b0a-9d55-0d0f6a1b2c3d
    """
    _tell(_said(target, id, "revoke", None), as_json=as_json)


@approvals.command("withdraw")
@click.argument("id")
@click.option("--reason", default="", metavar="TEXT", help="Told to those who would decide.")
@options.target_options
@options.json_option
def withdraw(id: str, *, reason: str, target: options.Target, as_json: bool) -> None:  # noqa: A002 - the argument's name
    """Withdraw what a run of your own waits for; the run goes on without it.

    \b
    Examples:
      diarchy approvals withdraw 0199a3c4-6c1e-7b0a-9d55-0d0f6a1b2c3d --reason "never mind"
    """
    from contracts.approvals import WithdrawBody

    _tell(_said(target, id, "withdraw", WithdrawBody(reason=reason)), as_json=as_json)


def _said(target: options.Target, id_: str, act: str, body: "Struct | None") -> "ApprovalView":
    async def work() -> "ApprovalView":
        async with target.gateway() as gateway:
            return await _say(gateway, id_, act, body)

    return asyncio.run(work())


async def _say(gateway: "Gateway", id_: str, act: str, body: "Struct | None") -> "ApprovalView":
    import msgspec

    from contracts.approvals import ApprovalView

    path = f"/v1/approvals/{options.path_part(id_)}/{act}"
    if body is None:
        return msgspec.json.decode((await gateway.send("POST", path)).body, type=ApprovalView)
    return await gateway.post(path, body, ApprovalView)


async def _view(gateway: "Gateway", id_: str) -> "ApprovalView":
    from contracts.approvals import ApprovalView

    return await gateway.get(f"/v1/approvals/{options.path_part(id_)}", ApprovalView)


def _agreed(view: "ApprovalView") -> bool:
    if not options.terminal():
        raise click.UsageError("there is no terminal to ask at; say --yes")
    click.echo(shown(view), err=True)
    return click.confirm(f"agree to {view.digest[:12]}…?", err=True)


def _tell(view: "ApprovalView", *, as_json: bool) -> None:
    from deploy.client import pretty_json

    if as_json:
        click.echo(pretty_json(view))
    else:
        click.echo(f"{view.id} is {view.status}: {len(view.by)} of {view.action.policy.quorum} agreed")


def shown(view: "ApprovalView") -> str:
    """What would run and what was said, for people; nothing in it can move the cursor."""
    import msgspec

    from deploy.rendering import clean

    action = view.action
    arguments = msgspec.json.format(bytes(action.arguments), indent=2).decode()
    policy = msgspec.json.encode(action.policy).decode()
    lines = [
        f"approval   {view.id}  {view.status}  {view.reason}".rstrip(),
        f"runs       {action.name}, effect {action.effect} of {action.domain.value}/{action.actor}",
        f"for        {action.principal}, run {action.correlation}, wanted by event {action.causation}",
        f"policy     {policy}: {len(view.by)} of {action.policy.quorum} agreed {' '.join(view.by)}".rstrip(),
        f"until      {view.expires.isoformat()}",
        f"label      {view.label.value}",
        f"digest     {view.digest}",
        "arguments",
        *(f"  {line}" for line in arguments.splitlines()),
        "history",
        *(f"  {step.time.isoformat()}  {step.type}  {step.principal}" for step in view.history),
    ]
    return "\n".join(clean(line) for line in lines)
