"""`diarchy token`: a bearer token, by password or by the key of the data folder."""

import asyncio

import click

from deploy.commands import options


@click.command(short_help="Print a token for the API")
@click.option("--user", metavar="NAME", help="Sign in as this user; the password is asked for.")
@options.password_option
@options.roles_option("Sign a token with it")
@options.clearance_option("With --role: cleared for this")
@click.option("--subject", metavar="NAME", help="With --role: in whose name.  [default: operator]")
@click.option(
    "--ttl", type=click.IntRange(1, 31_536_000), metavar="SECONDS", help="With --role: valid for.  [default: 3600]"
)
@options.data_option
@click.option("--url", metavar="URL", help="Sign in at a gateway elsewhere (or DIARCHY_URL).")
def token(*, user: str | None, password_stdin: bool, data: str | None, url: str | None, **signed: object) -> None:
    """Print a token for the API: signed in with a password, or signed by the operator with the data folder's key.

    \b
    Examples:
      diarchy token --user admin
      diarchy token --user admin --password-stdin < diarchy-data/admin-password
      diarchy token --role sophia_user --clearance confidential --subject dana --ttl 600
      curl -H "Authorization: Bearer $(diarchy token --role read_only)" localhost:8420/v1/me
    """
    if user:
        if any(signed.values()):
            raise click.UsageError(
                "--user signs in with a password; --role, --clearance, --subject, --ttl sign locally"
            )
        click.echo(asyncio.run(_signed_in(user, options.password(from_stdin=password_stdin), data, url)))
    elif signed["roles"]:
        click.echo(_signed(data, **signed))  # type: ignore[arg-type] # click gives what the options say
    else:
        raise click.UsageError(
            "say who: --user NAME to sign in, or --role ROLE to sign a token with the data folder's key"
        )


async def _signed_in(user: str, password: str, data: str | None, url: str | None) -> str:
    from contracts.http import Credentials, Token
    from deploy.client import Gateway
    from deploy.stack import url_of

    asked = options.settings(data)
    address = url or ("" if data else asked.url) or url_of(options.stack_settings(data))
    async with Gateway(address, lambda: "") as gateway:
        credentials = Credentials(username=user, password=password)
        return (await gateway.post("/v1/auth/token", credentials, Token)).access_token


def _signed(
    data: str | None, *, roles: tuple[str, ...], clearance: str | None, subject: str | None, ttl: int | None
) -> str:
    import msgspec

    from deploy.client import TOKEN_S, LocalKey
    from gateway.identity import Principal

    claims = {"username": subject or "operator", "roles": roles, "clearance": clearance or options.DEFAULT_CLEARANCE}
    key = LocalKey(options.stack_settings(data).jwt_key)
    return key.token(msgspec.convert(claims, Principal), lifetime_s=ttl or TOKEN_S)
