"""`diarchy tools`: what the domains' tools do, take and give back."""

import asyncio

import click

from deploy.commands import options


@click.command(short_help="What the domains' tools do, take and give back")
@click.argument("name", required=False)
@options.target_options
@options.json_option
def tools(name: str | None, *, target: options.Target, as_json: bool) -> None:
    """List the tools that teams, and models which call tools, work with; or show one with its schemas.

    A tool runs in a process of its own that reaches nothing but the files its arguments name, within these limits.

    \b
    Examples:
      diarchy tools
      diarchy tools client_analysis
      diarchy tools --json | jq '.tools[] | .name, .arguments'
    """
    from contracts.tools import Tools, ToolView
    from deploy.client import pretty_json
    from deploy.progress import show
    from deploy.rendering import clean, table

    async def fetch() -> Tools | ToolView:
        async with target.gateway() as gateway:
            if name is not None:
                return await gateway.get(f"/v1/tools/{options.path_part(name)}", ToolView)
            return await gateway.get("/v1/tools", Tools)

    found = asyncio.run(fetch())
    if as_json or isinstance(found, ToolView):
        click.echo(pretty_json(found))
        return
    listed = table(None)
    for heading in ("TOOL", "DOMAIN", "PERMISSION", "SECONDS", "MIB"):
        listed.add_column(heading, no_wrap=True)
    listed.add_column("DOES", ratio=1, overflow="fold")
    for tool in found.tools:
        approval = " Each call needs people's approval." if tool.approval else ""
        listed.add_row(
            tool.name,
            tool.domain.value,
            tool.permission,
            f"{tool.s_max:g}",
            str(tool.memory_bytes_max >> 20),
            clean(tool.description + approval),
        )
    show(listed)
