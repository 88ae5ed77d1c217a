"""The same job as bench/counter.py for Restate: a virtual object, one journaled step, one state change.

Runs in an environment of its own (see peer.py), not in the project's.
"""

import uuid

import restate
from restate import ObjectContext, VirtualObject

counter = VirtualObject("counter")


@counter.handler()  # type: ignore[untyped-decorator] # the SDK is in an environment of its own
async def add(ctx: ObjectContext, request: dict[str, int]) -> dict[str, int | str]:
    effect = await ctx.run_typed("effect", lambda: str(uuid.uuid4()))
    total = (await ctx.get("total", type_hint=int) or 0) + request["amount"]
    ctx.set("total", total)
    return {"total": total, "effect": effect}


app = restate.app([counter])
