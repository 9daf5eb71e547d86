"""`sso-gate token`."""

from typing import Any

import click

from sso_gate.cli.session import (
    OPERATOR,
    Caller,
    agreed,
    dry_run_option,
    json_option,
    org_option,
    run_for,
    say,
    show_json,
    show_table,
    yes_option,
)
from sso_gate.clock import iso
from sso_gate.settings import parse_duration
from sso_gate.tokens import store as tokens
from sso_gate.tokens.manage import NewToken, create_token, revoke_token
from sso_gate.tokens.token import Scope, Token


@click.group("token")
def token_group() -> None:
    """API and SCIM tokens."""


@token_group.command("create")
@org_option
@click.option("--scope", "scopes", multiple=True, required=True, type=click.Choice([str(scope) for scope in Scope]))
@click.option("--name", default="", help="What it is for.")
@click.option("--expires", metavar="90d", help="How long it is valid; for ever when not given.")
@yes_option
@dry_run_option
@json_option
def create(
    *,
    slug: str,
    scopes: tuple[str, ...],
    name: str,
    expires: str | None,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make a token and print its secret, alone, on stdout. It is shown this once."""
    try:
        lifetime = parse_duration(expires) if expires else None
    except ValueError as error:
        raise click.UsageError(f"--expires: {error}") from error
    wanted = frozenset(Scope(scope) for scope in scopes)
    agreed(f"make a token for {' '.join(sorted(wanted))}", yes=yes, dry_run=dry_run, slug=slug)

    async def work(caller: Caller) -> NewToken:
        organization = caller.organization.id
        return await create_token(
            caller.runtime, organization, name=name, scopes=wanted, lifetime=lifetime, by=OPERATOR
        )

    made = run_for(slug, work)
    say(f"token {made.token.id} made")
    if as_json:
        show_json({**_row(made.token), "secret": made.secret})
    else:
        click.echo(made.secret)


@token_group.command("list")
@org_option
@json_option
def list_tokens(*, slug: str, as_json: bool) -> None:
    """Print the tokens, without their secrets."""

    async def work(caller: Caller) -> list[Token]:
        return await caller.runtime.database.read(lambda tx: tokens.of_organization(tx, caller.organization.id))

    rows = [_row(one) for one in run_for(slug, work)]
    if as_json:
        show_json(rows)
    else:
        show_table(
            ("Id", "Name", "Scopes", "Expires", "Revoked"),
            [
                (row["id"], row["name"], " ".join(row["scopes"] or ()), row["expires"] or "", row["revoked"] or "")
                for row in rows
            ],
        )


def _row(token: Token) -> dict[str, Any]:
    return {
        "id": token.id,
        "name": token.name,
        "scopes": sorted(token.scopes),
        "created": iso(token.created),
        "expires": iso(token.expires) if token.expires else None,
        "revoked": iso(token.revoked) if token.revoked else None,
    }


@token_group.command("revoke")
@click.argument("token_id")
@org_option
@yes_option
@dry_run_option
def revoke(*, token_id: str, slug: str, yes: bool, dry_run: bool) -> None:
    """End a token."""
    agreed(f"revoke {token_id}", yes=yes, dry_run=dry_run, slug=slug)

    async def work(caller: Caller) -> None:
        await revoke_token(caller.runtime, caller.organization.id, token_id, by=OPERATOR)

    run_for(slug, work)
    say(f"token {token_id} revoked")
