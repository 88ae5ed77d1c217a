"""Tools over HTTP: what each does, takes and gives back."""

import jsonschema

from actors.roster import TOOLS
from contracts.domains import Domain
from tests.gateway_world import World, run
from tests.stack import ok


def test_tools_are_listed_with_their_schemas_and_shown_by_name() -> None:
    async def body() -> None:
        async with World() as world, world.client("read_only") as client:
            listed = ok(await client.get("/v1/tools"))["tools"]
            assert {(one["domain"], one["name"]) for one in listed} == {
                (domain.value, name) for domain, tools in TOOLS.items() for name in tools
            }
            for one in listed:
                for schema in (one["arguments"], one["result"]):
                    jsonschema.Draft202012Validator.check_schema(schema)
            shown = ok(await client.get("/v1/tools/client_analysis"))
            assert shown == next(one for one in listed if one["name"] == "client_analysis")
            tool = TOOLS[Domain.SOPHIA]["client_analysis"]
            assert (shown["permission"], shown["approval"]) == ("sophia:read", False)
            assert (shown["s_max"], shown["memory_bytes_max"]) == (tool.limits.s_max, tool.limits.memory_bytes_max)
            assert shown["arguments"]["properties"]["table"] == {"type": "string"}
            assert (await client.get("/v1/tools/nothing")).status_code == 404

    run(body)
